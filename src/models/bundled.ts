/**
 * The weights that ship with the library.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";

/** The files, by network. Bundlers look for literal paths. */
const files = {
  "resnet-tiny": () => new URL("../../weights/resnet_tiny.safetensors", import.meta.url),
  "alexnet-tiny": () => new URL("../../weights/alexnet_tiny.safetensors", import.meta.url),
};

/** The name of a network whose weights ship. */
export type ShippedNetwork = keyof typeof files;

/** The names of the networks whose weights ship. */
export const shippedNetworks = /* @__PURE__ */ Object.keys(files) as ShippedNetwork[];

/** The network that `loadModel()` and the command use unless another is named. */
export const bundledNetwork: ShippedNetwork = "resnet-tiny";

/** Whether the weights of a network ship. */
export function isShipped(name: string | undefined): name is ShippedNetwork {
  return name !== undefined && Object.hasOwn(files, name);
}

/** Returns the URL of weights that ship: a file on disk, or on the server of this module. */
export function bundledWeights(network: ShippedNetwork = bundledNetwork): URL {
  try {
    return files[network]();
  } catch { // a bundler may remove import.meta.url
    throw new PembrokeError(
      "loadModel: this bundle does not know its URL and cannot find the bundled weights; " +
        `pass \`weights\`: the bytes or the URL of weights/${
          network.replace("-", "_")
        }.safetensors`,
    );
  }
}

/** Returns the bundled weights as an input. The npm package replaces this function by a module. */
// deno-lint-ignore require-await -- async, so that an error rejects instead of throwing
export async function bundledInput(): Promise<URL | Uint8Array> {
  return bundledWeights();
}
