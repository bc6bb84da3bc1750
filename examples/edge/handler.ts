/**
 * Classifies a posted photo on any edge runtime. The other files in this folder load the weights and
 * WebAssembly modules in the way of their runtime.
 *
 * @module
 */

import { type CodecModules, createBackend, loadModel, type WeightsInput } from "../../mod.ts";
import { photoHandler, type PhotoHandlerOptions } from "../../src/serve/mod.ts";

/** Options of {@linkcode edgeHandler}. */
export interface EdgeOptions {
  /** Loads the weights; called on the first request. `signal` aborts when the model takes too long. */
  readonly weights: (
    options: { readonly signal: AbortSignal },
  ) => WeightsInput | Promise<WeightsInput>;
  /** The compiled kernels, for runtimes that do not compile from bytes. */
  readonly module?: WebAssembly.Module;
  /** The compiled image codecs, for runtimes that cannot load them. */
  readonly codecs?: CodecModules;
  /** Limits on photos and requests. Default: what fits into 128 MB beside the model. */
  readonly limits?: Pick<
    PhotoHandlerOptions,
    "loadMs" | "maxPixels" | "maxBytes" | "maxRequests" | "maxUploads" | "maxUploadBytes"
  >;
  /** Origin whose pages may use the handler, or "*" for all. Default: none. */
  readonly cors?: string;
}

const isolateLimits = {
  maxPixels: 1_500_000,
  maxBytes: 4 * 2 ** 20,
  maxRequests: 8,
  maxUploads: 64,
  maxUploadBytes: 8 * 2 ** 20,
};

/** The options with the smallest weights in memory. */
const compact = { algorithm: "direct", keepPacked: false, precision: "int8" } as const;

/** Creates the handler. It loads the model on the first request. */
export function edgeHandler(
  { weights, module, codecs, cors, limits = isolateLimits }: EdgeOptions,
): (request: Request) => Promise<Response> {
  return photoHandler({
    ...limits,
    codecs,
    cors,
    async load({ signal }) {
      const backend = await createBackend({ module, threads: 1 });
      return await loadModel({ backend, weights: await weights({ signal }), signal, ...compact });
    },
  });
}
