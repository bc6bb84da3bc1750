/**
 * For Deno: `deno serve --parallel --allow-read examples/edge/deno.ts`. `--parallel` starts one handler
 * per processor.
 *
 * @module
 */

import { edgeHandler } from "./handler.ts";

const weights = new URL("../../weights/resnet_tiny.safetensors", import.meta.url);

export default {
  // a process has more memory than an isolate: use the default limits
  fetch: edgeHandler({ weights: () => weights, limits: {} }),
} satisfies Deno.ServeDefaultExport;
