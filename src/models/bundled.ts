/**
 * The weights of the bundled model.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";

/** Returns the URL of the bundled weights: a file on disk, or on the server of this module. */
export function bundledWeights(): URL {
  try {
    return new URL("../../weights/alexnet_tiny.safetensors", import.meta.url);
  } catch { // a bundler may remove import.meta.url
    throw new PembrokeError(
      "loadModel: this bundle does not know its URL and cannot find the bundled weights; " +
        "pass `weights`: the bytes or the URL of weights/alexnet_tiny.safetensors",
    );
  }
}

/** Returns the bundled weights as an input. The npm package replaces this function by a module. */
// deno-lint-ignore require-await -- async, so that an error rejects instead of throwing
export async function bundledInput(): Promise<URL | Uint8Array> {
  return bundledWeights();
}
