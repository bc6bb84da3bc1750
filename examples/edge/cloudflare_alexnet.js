/**
 * For Cloudflare Workers, with AlexNet's 1000 classes: its 62 MB of weights come from storage when the
 * first photo comes, as a stream of which no more than a MiB is held. `deno run -A cli.ts convert
 * --precision int8 alexnet.pth alexnet.int8.safetensors` makes them.
 *
 * @module
 */

import jpeg from "npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.wasm";
import webp from "npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.wasm";
import module from "../../src/backend/wasm/generated/relaxed.wasm";
import { edgeHandler } from "./handler.ts";

/** What is left beside 80 MB of weights. */
const limits = { maxPixels: 640 * 480, maxBytes: 2 ** 20, maxRequests: 4 };

/** The isolate's handler, from the first request on: only those know the worker's bindings. */
let handler;

export default {
  fetch(request, env, context) {
    handler ??= edgeHandler({ module, codecs: { jpeg, webp }, limits, weights: () => stored(env) });
    const response = handler(request);
    // who asked first may go before the weights have come, and others wait for them
    context.waitUntil(response);
    return response;
  },
};

/** The weights behind a URL; those in a bucket are `(await env.BUCKET.get(key)).body`. */
async function stored({ WEIGHTS_URL }) {
  const { ok, status, body } = await fetch(WEIGHTS_URL);
  if (!ok) throw new Error(`${WEIGHTS_URL}: ${status}`);
  return body;
}
