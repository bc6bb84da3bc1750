/**
 * Random values, the same on every machine and in every run.
 *
 * @module
 */

import type { SizedConvolution } from "./architecture.ts";
import type { ConvProblem, Values } from "./peer.ts";

/** [batch, ...image], with about the range of normalised photos. */
export function randomImages(batch: number, seed: number, image: readonly number[]): Values {
  return uniform(batch * product(image), 2, seed);
}

/** A convolution with random values that give outputs of about 1. */
export function randomConvolution(
  { layer, size, outSize }: SizedConvolution,
  batch: number,
  seed: number,
): ConvProblem {
  const { inChannels, outChannels, kernel } = layer;
  const xShape = [batch, inChannels, size, size] as const;
  const weightShape = [outChannels, inChannels, kernel, kernel] as const;
  const yShape = [batch, outChannels, outSize, outSize] as const;
  return {
    layer,
    xShape,
    weightShape,
    yShape,
    x: uniform(product(xShape), 2, seed),
    weight: uniform(product(weightShape), 1 / Math.sqrt(inChannels * kernel ** 2), seed + 1),
    dy: uniform(product(yShape), 1, seed + 2),
  };
}

/** The product of all sizes. */
export function product(sizes: readonly number[]): number {
  return sizes.reduce((a, b) => a * b, 1);
}

/** `size` values in ±limit from the mulberry32 generator, 61 million in less than a second. */
export function uniform(size: number, limit: number, seed: number): Values {
  const values = new Float32Array(size);
  const scale = 2 * limit / 2 ** 32;
  // Move consecutive seeds far apart, because the generator only adds a constant to its state.
  let state = Math.imul(seed + 1, 0x9e3779b1);
  for (let i = 0; i < size; i++) {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    values[i] = ((t ^ (t >>> 14)) >>> 0) * scale - limit;
  }
  return values;
}
