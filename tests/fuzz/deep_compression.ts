/** Compressed weights with counts that nearly fit, and codes and gaps of any value. */

import {
  type CompressedNetwork,
  compressedNetworks,
  layerParts,
} from "../../src/weights/deep_compression/networks.ts";
import { elements } from "../../src/tensor.ts";
import { joinBytes } from "../bytes.ts";
import { le } from "../weights/helpers.ts";
import type { FuzzRandom } from "./random.ts";
import { checkWeightsFile, damage } from "./weights.ts";

/** Opens a random file. AlexNet is rare: its 61 million weights take a moment. */
export default async function fuzzDeepCompression(random: FuzzRandom): Promise<void> {
  const network: CompressedNetwork = random.chance(0.02) ? "bvlc_alexnet" : "squeezenet1_0";
  const counts: Uint8Array[] = [], parts: Uint8Array[] = [];
  for (const layer of compressedNetworks.get(network)!) {
    const all = elements(layer.shape);
    const stored = random.chance(0.5)
      ? 1 + random.below(100)
      : random.chance(0.99)
      ? 1 + random.below(Math.min(all, 20_000))
      : random.edgy(32);
    const { codebook, bias, codes, gaps } = layerParts(layer, stored < 1e6 ? stored : 1);
    counts.push(le(stored, 4));
    parts.push(random.bytes(codebook), new Uint8Array(bias));
    parts.push(new Uint8Array(codes).fill(random.below(256)));
    // small gaps, or large ones that lead to the end and beyond
    parts.push(new Uint8Array(gaps).fill(random.pick([0, random.below(256), 0xff])));
  }
  await checkWeightsFile(damage(joinBytes([...counts, ...parts]), random), random);
}
