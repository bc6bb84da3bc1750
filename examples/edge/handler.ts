/**
 * The handler of every edge runtime: a posted photo in, its classes as JSON out. The files beside it
 * bring what their runtime has its own ways for: weights, and compiled WebAssembly.
 *
 * @module
 */

import { createBackend, loadModel, type WeightsInput } from "../../mod.ts";
import type { CodecModules } from "../../src/image/mod.ts";
import { photoHandler, type PhotoHandlerOptions } from "../../src/serve/mod.ts";

/** What a runtime brings. */
export interface Parts {
  /** Where the weights come from: asked for when the first photo comes. */
  readonly weights: () => WeightsInput | Promise<WeightsInput>;
  /** The kernels, where they may not be compiled from bytes. */
  readonly module?: WebAssembly.Module;
  /** The image codecs, where the runtime does not find them by itself. */
  readonly codecs?: CodecModules;
  /** What is refused. Default: what does not fit into an isolate's 128 MB beside the model. */
  readonly limits?: Pick<PhotoHandlerOptions, "maxPixels" | "maxBytes" | "maxRequests">;
}

const isolate = { maxPixels: 1_500_000, maxBytes: 4 * 2 ** 20, maxRequests: 8 };

/** Of the ways to compute, those with the smallest weights. */
const small = { algorithm: "direct", keepPacked: false, precision: "int8" } as const;

/** Makes the handler; nothing is loaded yet. */
export function edgeHandler(
  { weights, module, codecs, limits = isolate }: Parts,
): (request: Request) => Promise<Response> {
  return photoHandler({
    ...limits,
    codecs,
    async load() {
      const backend = await createBackend({ module, threads: 1 });
      return await loadModel({ backend, weights: await weights(), ...small });
    },
  });
}
