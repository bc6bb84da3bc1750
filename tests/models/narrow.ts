/** The narrow networks of tests/fixtures/networks/make_network_fixtures.py. */

import type { Backend } from "../../src/backend/mod.ts";
import { loadWeights } from "../../src/models/load.ts";
import { Network, type NetworkDefinition } from "../../src/models/network.ts";
import { networks } from "../../src/models/registry.ts";
import { densenet } from "../../src/models/densenet.ts";
import { mobilenetV2 } from "../../src/models/mobilenet_v2.ts";
import { resnet } from "../../src/models/resnet.ts";
import { shufflenetV2 } from "../../src/models/shufflenet_v2.ts";
import golden from "../fixtures/networks/golden.json" with { type: "json" };

export { golden };

/** The name of a narrow network. */
export type NarrowName = keyof typeof golden.narrow;

/** The names of all narrow networks. */
export const narrowNames = Object.keys(golden.narrow) as NarrowName[];

/** Those that are no network of torchvision. */
const own: Readonly<Record<string, NetworkDefinition>> = {
  resnext: resnet({ block: "bottleneck", blocks: [1, 1, 1, 1], groups: 64, widthPerGroup: 2 }),
  mobilenet: mobilenetV2([[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2], [6, 64, 1, 2]]),
  densenet: densenet({ growthRate: 32, layers: [2, 2, 2, 2], initial: 64 }),
  shufflenet: shufflenetV2({ units: [2, 2, 2], channels: [24, 48, 96, 192, 1024] }),
};

/** Creates a narrow network without weights. */
export function narrowNetwork(name: NarrowName, dropout?: number): Network {
  const { width } = golden.narrow[name], options = { width, numClasses: 7, dropout };
  return own[name]
    ? new Network(name, own[name], options)
    : networks.get(name)!.create(options) as Network;
}

/** Loads a narrow network. */
export async function loadNarrow(
  name: NarrowName,
  backend: Backend,
  dropout?: number,
): Promise<Network> {
  const model = narrowNetwork(name, dropout);
  await loadWeights(model, backend, new URL(`../fixtures/networks/${name}.pth`, import.meta.url));
  return model;
}

/** The images of the golden file, [count, 3, side, side]. */
export function images(count: number, side: number): Float32Array {
  const values = new Float32Array(count * 3 * side * side);
  let i = 0;
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < side; y++) {
        for (let x = 0; x < side; x++) {
          const product = Math.floor(x * y / (4 + 3 * n));
          const value = x * (3 + n) + y * (7 - n) + product + 50 * c;
          values[i++] = (value % 256 - 128) / 64;
        }
      }
    }
  }
  return values;
}
