// @ts-self-types="./npm_packages.d.ts"
// Never called. It tells Deno which npm packages the codecs need, so that `deno cache` downloads them
// and a server can run offline. It also locates them while it loads the program, which takes 8 ms less
// than later. The modules that import the packages hide their names from Deno: a program that
// imports mod.ts must start without the packages, and download none before the first image. This is
// JavaScript because type checking would look for the packages too.

export const packages = () => [
  import("npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.js"),
  import("npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.js"),
  import("./npm_binaries.js"),
];
