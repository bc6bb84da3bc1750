/** Writes compressed weights as "Deep Compression" does, for tests. */

import {
  type CompressedNetwork,
  compressedNetworks,
} from "../../../src/weights/deep_compression/networks.ts";
import { elements } from "../../../src/tensor.ts";
import { bytes, le } from "../helpers.ts";

/** A layer to write. All weights that are not stored have code 0. */
export interface LayerToWrite {
  /** Indices of the stored weights among all weights, ascending. */
  readonly indices: readonly number[];
  /** The code of each stored weight. */
  readonly codes: readonly number[];
  /** The value of each code. */
  readonly codebook: Float32Array;
  readonly bias: Float32Array;
}

/** Writes a file. Layers that are left out are pruned, except for their first weight. */
export function deepCompressed(
  network: CompressedNetwork,
  layers: Readonly<Record<string, LayerToWrite>> = {},
): Uint8Array<ArrayBuffer> {
  const all = compressedNetworks.get(network)!.map(({ name, shape, bits }) => {
    const pruned = {
      ...{ indices: [0], codes: [0], bias: new Float32Array(shape[0]) },
      codebook: new Float32Array(2 ** bits),
    };
    const { indices, codes, codebook, bias } = layers[name] ?? pruned;
    const stored = withBridges(indices, codes);
    const packedCodes = bits === 8 ? stored.codes : packHalves(stored.codes);
    const parts = [codebook, bias].map(({ buffer }) => new Uint8Array(buffer));
    return {
      count: le(stored.codes.length, 4),
      data: bytes(...parts, packedCodes, packHalves(stored.gaps)),
    };
  });
  return bytes(...all.map(({ count }) => count), ...all.map(({ data }) => data));
}

/** Adds weights of code 0, so that no gap exceeds 15. */
function withBridges(
  indices: readonly number[],
  codes: readonly number[],
): { codes: number[]; gaps: number[] } {
  const stored = { codes: [] as number[], gaps: [] as number[] };
  let next = 0;
  for (const [i, index] of indices.entries()) {
    for (; index - next > 15; next += 16) {
      stored.codes.push(0);
      stored.gaps.push(15);
    }
    stored.codes.push(codes[i]);
    stored.gaps.push(index - next);
    next = index + 1;
  }
  return stored;
}

/** Two numbers of four bits in a byte, the first one in the lower half. */
function packHalves(numbers: readonly number[]): Uint8Array {
  const packed = new Uint8Array(Math.ceil(numbers.length / 2));
  numbers.forEach((number, i) => packed[i >> 1] |= number << 4 * (i & 1));
  return packed;
}

/** A layer with random weights, and the same weights without compression. */
export function randomLayer(
  network: CompressedNetwork,
  name: string,
  random: () => number,
  density = 0.1,
): { readonly layer: LayerToWrite; readonly weights: Float32Array } {
  const { shape, bits } = compressedNetworks.get(network)!.find((layer) => layer.name === name)!;
  const count = elements(shape), scale = Math.sqrt(24 * shape[0] / (count * density));
  const codebook = Float32Array.from(
    { length: 2 ** bits },
    (_, i) => i === 0 ? 0 : scale * (random() - 0.5),
  );
  const bias = Float32Array.from({ length: shape[0] }, () => 0.1 * (random() - 0.5));
  const weights = new Float32Array(count), indices: number[] = [], codes: number[] = [];
  for (let i = 0; i < count; i += 1 + Math.floor(random() * (2 / density - 1))) {
    const code = Math.floor(random() * 2 ** bits);
    indices.push(i);
    codes.push(code);
    weights[i] = codebook[code];
  }
  return { layer: { indices, codes, codebook, bias }, weights };
}
