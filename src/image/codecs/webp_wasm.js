// @ts-self-types="./wasm_module.d.ts"
// JavaScript for the reason in jpeg_wasm.js.
const name = "npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.wasm";

export default await import.source(name);
