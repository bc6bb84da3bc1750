// @ts-self-types="./wasm_module.d.ts"
// JavaScript, because TypeScript does not know source phase imports yet. Of all ways to the binary
// this is the one that needs no permission in Deno, and works when this file comes from a URL. Why the
// name is a variable: see ahead.js.
const name = "npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.wasm";

export default await import.source(name);
