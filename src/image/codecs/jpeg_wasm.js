// @ts-self-types="./wasm_module.d.ts"
// This is JavaScript because TypeScript does not know source phase imports yet. No other way to load
// the binary works without a permission in Deno and from a URL. The name is a variable to hide it from
// Deno; see npm_packages.js.
const name = "npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.wasm";

export default await import.source(name);
