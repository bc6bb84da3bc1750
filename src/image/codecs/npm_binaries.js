// Never called; see npm_packages.js. A file of its own, because not every engine reads this syntax.

export const binaries = () => [
  import.source("npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.wasm"),
  import.source("npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.wasm"),
];
