/**
 * For Deno: `deno serve --parallel --allow-read examples/edge/deno.ts`. With `--parallel` there is one
 * of it for each processor.
 *
 * @module
 */

import { edgeHandler } from "./handler.ts";

const weights = new URL("../../weights/alexnet_tiny.safetensors", import.meta.url);

export default {
  // a process has more memory than an isolate: the library's own limits
  fetch: edgeHandler({ weights: () => weights, limits: {} }),
} satisfies Deno.ServeDefaultExport;
