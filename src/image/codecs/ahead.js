// @ts-self-types="./ahead.d.ts"
// Nobody calls this. Deno reads here which packages there may be, so that `deno cache` fetches them and
// a server may run without a network. The modules that use them hide their names: a program that imports
// mod.ts must start where there are no such packages, and download none before the first image.
// JavaScript, because Deno also looks for the packages in TypeScript when it checks types.

export const packages = () => [
  import("npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.js"),
  import("npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.js"),
];
