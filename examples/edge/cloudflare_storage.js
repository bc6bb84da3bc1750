/**
 * For Cloudflare Workers, with any network that fits. The first request streams the weights from
 * storage, and buffers a few MiB of them: 61 MB for AlexNet, in a file of `deno run -A cli.ts convert
 * --precision int8 alexnet.pth alexnet.int8.safetensors`.
 *
 * @module
 */

import jpeg from "npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.wasm";
import webp from "npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.wasm";
import module from "../../src/backend/wasm/generated/relaxed.wasm";
import { edgeHandler } from "./handler.ts";

/** What fits beside the weights of AlexNet. */
const limits = {
  maxPixels: 640 * 480,
  maxBytes: 2 ** 20,
  maxRequests: 4,
  maxUploads: 32,
  maxUploadBytes: 2 * 2 ** 20,
};

/** Created by the first request, which brings the worker's bindings. */
let handler;

export default {
  fetch(request, env, context) {
    handler ??= edgeHandler({
      module,
      codecs: { jpeg, webp },
      limits,
      weights: ({ signal }) => fetchWeights(env, signal),
    });
    const response = handler(request);
    // the first client may disconnect while others wait for the weights
    context.waitUntil(response);
    return response;
  },
};

/** Fetches the weights from a URL. From a bucket, use `(await env.BUCKET.get(key)).body`. */
async function fetchWeights({ WEIGHTS_URL }, signal) {
  const { ok, status, body } = await fetch(WEIGHTS_URL, { signal });
  if (!ok) throw new Error(`${WEIGHTS_URL}: ${status}`);
  return body;
}
