/**
 * Saliency, smoothed by noise.
 *
 * @module
 */

import type { Classifier } from "../models/classifier.ts";
import { checkInteger, checkNonNegative } from "../ops/checks.ts";
import { RandomGenerator } from "../random.ts";
import { scoresIndex } from "./feature_map.ts";
import { GradientGraph } from "./gradient_graph.ts";
import { type HeatMap, normalised, rangeOf } from "./heat_map.ts";

/**
 * Options of {@linkcode saliency}.
 */
export interface SaliencyOptions {
  /** The number of noisy copies, for saliency. Default: 16. */
  readonly samples?: number;
  /**
   * The standard deviation of the noise, as a share of the range of the image's values, for saliency.
   * 0 computes the plain gradient once. Default: 0.15.
   */
  readonly noise?: number;
  /** The seed of the noise, as for `torch.manual_seed`. Default: 0. */
  readonly seed?: number;
}

/** The share of pixels that are not clipped: a few have gradients far above all others. */
const unclippedShare = 0.99;

/**
 * Computes which pixels change the score of each class most: the gradient of the score with respect to
 * the input (Simonyan et al. 2014), averaged over noisy copies of it (SmoothGrad, Smilkov et al. 2017).
 * The value of a pixel is the largest magnitude of its channels. The 99th percentile becomes 1.
 *
 * @param values A preprocessed image.
 * @param classes The indices of classes.
 * @returns A map for each class, in the size of the input.
 * @throws {ArgumentError} When an option is invalid.
 */
export async function saliency(
  model: Classifier,
  values: Float32Array,
  classes: readonly number[],
  { samples = 16, noise = 0.15, seed = 0 }: SaliencyOptions = {},
): Promise<HeatMap[]> {
  checkInteger("explain", "samples", samples, 1);
  checkNonNegative("explain", "noise", noise);
  const shape = model.inputShape(), channelsLast = model.preprocessing.layout === "nhwc";
  const [height, width] = channelsLast ? shape.slice(1) : shape.slice(2);
  using graph = await GradientGraph.make(model.expand().nodes, -1, scoresIndex(model));
  const copies = noise === 0 ? [values] : noisyCopies(values, samples, noise, seed);
  const sums = classes.map(() => new Float64Array(values.length));
  for (const copy of copies) {
    using x = model.backend.upload(copy, shape);
    for (const [i, index] of classes.entries()) {
      using gradient = graph.gradient(x, index);
      const read = await gradient.read(), sum = sums[i];
      for (let at = 0; at < read.length; at++) sum[at] += read[at];
    }
  }
  return sums.map((sum) => {
    const magnitudes = largestOfChannels(sum, width * height, channelsLast);
    const sorted = magnitudes.toSorted();
    const largest = sorted[Math.floor(unclippedShare * (sorted.length - 1))] || sorted.at(-1)!;
    return { width, height, heat: normalised(magnitudes, largest) };
  });
}

/** The values with normally distributed noise. */
function* noisyCopies(
  values: Float32Array,
  samples: number,
  noise: number,
  seed: number,
): Generator<Float32Array> {
  const generator = new RandomGenerator(seed), drawn = new Float32Array(values.length);
  const [least, largest] = rangeOf(values);
  for (let i = 0; i < samples; i++) {
    generator.normal(drawn, 0, noise * (largest - least));
    yield drawn.map((value, at) => value + values[at]);
  }
}

/** The largest magnitude of each pixel's channels. */
function largestOfChannels(sum: Float64Array, pixels: number, channelsLast: boolean): Float32Array {
  const channels = sum.length / pixels;
  const [pixelStep, step] = channelsLast ? [channels, 1] : [1, pixels];
  return Float32Array.from({ length: pixels }, (_, i) => {
    let largest = 0;
    for (let c = 0; c < channels; c++) {
      largest = Math.max(largest, Math.abs(sum[i * pixelStep + c * step]));
    }
    return largest;
  });
}
