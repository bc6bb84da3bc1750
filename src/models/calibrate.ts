/**
 * Finding the ranges of values that convolutions in 8 bits round their inputs to.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import type { RgbImage } from "../image/pixels.ts";
import { Conv } from "../layers/conv.ts";
import type { Graph } from "../layers/graph.ts";
import type { InputRange } from "../ops/quantize_conv.ts";
import type { Tensor } from "../tensor.ts";
import { checkLoaded, type ImageModel, uploadImages } from "./classify.ts";

/** Bins of a histogram, half of them for negative values. */
const bins = 4096;

/** Candidates for each end of a range: from a quarter of the extreme in equal steps. */
const candidates = 25;

/** A convolution, and the name of the node that computes its input; undefined for the network's. */
interface Place {
  readonly name: string;
  readonly input: string | undefined;
  readonly histogram: Histogram;
}

/** Records the inputs of a network's convolutions, and chooses their ranges. */
export class RangeRecorder {
  readonly #places: readonly Place[];
  readonly #output: string;

  /** Records the convolutions of `model` that gain from a range. */
  constructor(readonly model: Graph) {
    const { nodes, output } = model.expand();
    this.#output = nodes[output].name;
    this.#places = nodes.flatMap(({ name, layer, inputs: [from] }) =>
      layer instanceof Conv && layer.takesRange
        ? [{ name, input: nodes[from]?.name, histogram: new Histogram() }]
        : []
    );
  }

  /**
   * Records a forward pass.
   *
   * @param x A batch of inputs.
   * @returns The output of the network.
   * @throws {PembrokeError} When a value is not finite.
   */
  async record(x: Tensor): Promise<Float32Array> {
    const recorded = this.#places.map(({ input }) => input).filter((name) => name !== undefined);
    const names = [...new Set([...recorded, this.#output])];
    using outputs = this.model.outputsOf(x, names);
    const values = new Map<string | undefined, Float32Array>([[undefined, await x.read()]]);
    for (const [i, name] of names.entries()) values.set(name, await outputs[i].read());
    for (const { name, input, histogram } of this.#places) {
      if (histogram.add(values.get(input)!)) continue;
      throw new PembrokeError(`calibrate: the input of ${name} is not finite`);
    }
    return values.get(this.#output)!;
  }

  /** The ranges with the least squared error, by the names of the layers. */
  ranges(): Map<string, InputRange> {
    return new Map(this.#places.map(({ name, histogram }) => [name, histogram.range()]));
  }

  /** Sets the ranges of the layers. */
  apply(): void {
    const ranges = this.ranges();
    for (const [name, layer] of this.model.leaves()) {
      const range = ranges.get(name);
      if (range && layer instanceof Conv) layer.inputRange = range;
    }
  }
}

/**
 * Sets the ranges of a classifier's convolutions to those of sample images.
 *
 * @throws {ArgumentError} When there are no images.
 * @throws {PembrokeError} While weights are being loaded into the model.
 */
export async function calibrate(
  model: Graph & ImageModel,
  images: Iterable<RgbImage | Float32Array>,
): Promise<void> {
  const op = "calibrate";
  const isList = typeof images === "object" && !ArrayBuffer.isView(images);
  if (!isList || typeof images?.[Symbol.iterator] !== "function") {
    throw new ArgumentError(op, "images", images, "a list of images");
  }
  const recorder = new RangeRecorder(model);
  let count = 0;
  for (const image of images) {
    checkLoaded(model); // others may load weights while this one waits
    using x = uploadImages(op, model, [image]);
    await recorder.record(x);
    count++;
  }
  if (count === 0) throw new ArgumentError(op, "the number of images", 0, "at least 1");
  checkLoaded(model);
  recorder.apply();
}

/**
 * Counts of values in bins of equal width, a power of two that grows with the largest value. It uses only
 * arithmetic that is exact to the bit, so that ranges are the same on every engine.
 */
class Histogram {
  #counts = new Float64Array(bins);
  #width = 2 ** -100;
  #low = 0;
  #high = 0;

  /** Counts values. Returns false, and counts none, if one is not finite. */
  add(values: Float32Array): boolean {
    let low = this.#low, high = this.#high, sum = 0;
    for (const v of values) {
      if (v < low) low = v;
      if (v > high) high = v;
      sum += v - v; // NaN if v is not finite
    }
    if (sum !== 0) return false;
    this.#low = low, this.#high = high;
    this.#widen(Math.max(high, -low));
    const { length } = values, counts = this.#counts, scale = 1 / this.#width, middle = bins / 2;
    for (let i = 0; i < length; i++) {
      if (values[i] !== 0) counts[middle + Math.floor(values[i] * scale)]++; // 0 has no error
    }
    return true;
  }

  /** Doubles the width of the bins until values up to `most` fit. */
  #widen(most: number): void {
    if (most < this.#width * bins / 2) return;
    let factor = 2; // not by Math.log2(), which engines round differently
    while (most >= factor * this.#width * bins / 2) factor *= 2;
    const merged = new Float64Array(bins), middle = bins / 2;
    for (let i = 0; i < bins; i++) {
      merged[middle + Math.floor((i - middle) / factor)] += this.#counts[i];
    }
    this.#counts = merged;
    this.#width *= factor;
  }

  /** The range that gives the least squared error when values are rounded to 128 levels. */
  range(): InputRange {
    const ends = (extreme: number) =>
      extreme === 0
        ? [0]
        : Array.from({ length: candidates }, (_, i) => extreme * (1 - 0.75 * i / (candidates - 1)));
    let best: InputRange = [this.#low, this.#high], least = Infinity;
    if (best[0] === best[1]) return [0, 1]; // all values are 0
    for (const low of ends(this.#low)) {
      for (const high of ends(this.#high)) {
        const error = this.#error(low, high);
        if (error < least) [best, least] = [[low, high], error];
      }
    }
    return best;
  }

  #error(low: number, high: number): number {
    const step = (high - low) / 127, rounding = step * step / 12, width = this.#width;
    const first = Math.floor(this.#low / width) + bins / 2;
    const last = Math.floor(this.#high / width) + bins / 2;
    let error = 0;
    for (let i = first; i <= last; i++) {
      const value = (i + 0.5 - bins / 2) * width;
      const beyond = value > high ? value - high : value < low ? low - value : 0;
      error += this.#counts[i] * (beyond > 0 ? beyond * beyond : rounding);
    }
    return error;
  }
}
