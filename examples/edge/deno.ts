/**
 * For Deno: `deno serve --parallel --allow-read examples/edge/deno.ts`.
 *
 * @module
 */

import { edgeHandler } from "./handler.ts";

const weights = new URL("../../weights/alexnet_tiny.safetensors", import.meta.url);

export default {
  fetch: edgeHandler({ weights: () => weights }),
} satisfies Deno.ServeDefaultExport;
