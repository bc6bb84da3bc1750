/**
 * For Cloudflare Workers with any compatibility date: the runtime compiles the WebAssembly modules.
 *
 * @module
 */

import jpeg from "npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.wasm";
import webp from "npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.wasm";
import module from "../../src/backend/wasm/generated/relaxed.wasm";
import weights from "../../weights/resnet_tiny.safetensors";
import { edgeHandler } from "./handler.ts";

const handler = edgeHandler({
  module,
  codecs: { jpeg, webp },
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
