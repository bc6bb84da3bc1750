/**
 * For Cloudflare Workers with a compatibility date of 2025-07-01 or later: the WebAssembly is part of
 * the file, and compiled from bytes while the module starts.
 *
 * @module
 */

import jpeg from "npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.wasm";
import webp from "npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.wasm";
import weights from "../../weights/resnet_tiny.safetensors";
import { edgeHandler } from "./handler.ts";

const handler = edgeHandler({
  codecs: { jpeg: new WebAssembly.Module(jpeg), webp: new WebAssembly.Module(webp) },
  weights: () => new Uint8Array(weights),
});

export default {
  fetch(request, _env, context) {
    const response = handler(request);
    // a client that disconnects must not stop the handler halfway
    context.waitUntil(response);
    return response;
  },
};
