/** Types of `jpeg_wasm.js` and `webp_wasm.js`. */
declare const module: WebAssembly.Module;
export default module;
