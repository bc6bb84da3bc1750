/**
 * The model that comes with the library.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";

/** Where alexnet-tiny's weights lie: beside this module, on disk or on the server it came from. */
export function bundledWeights(): URL {
  try {
    return new URL("../../weights/alexnet_tiny.safetensors", import.meta.url);
  } catch { // in a bundle, modules may have no address
    throw new PembrokeError(
      "loadModel: this bundle has no address to find weights beside; " +
        "pass those of weights/alexnet_tiny.safetensors, as bytes or by their URL",
    );
  }
}

/** The same weights, for whatever loads them. The npm package brings them in a module. */
// deno-lint-ignore require-await -- so that an error rejects instead of being thrown
export async function bundledInput(): Promise<URL | Uint8Array> {
  return bundledWeights();
}
