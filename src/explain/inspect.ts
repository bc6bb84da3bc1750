/**
 * A look inside a network: its filters, its activations, and the time of each layer.
 *
 * @module
 */

import { partOf } from "../backend/interface.ts";
import type { RgbImage } from "../image/pixels.ts";
import { Conv } from "../layers/conv.ts";
import { runLayer } from "../layers/plan_cache.ts";
import type { Classifier } from "../models/classifier.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { bottlenecks, mapsOf, scoresIndex } from "./feature_map.ts";
import { type HeatMap, normalised, rangeOf } from "./heat_map.ts";

/** The filters of the first convolution as pictures. */
export interface Filters {
  /** The name of the layer. */
  readonly name: string;
  readonly pictures: readonly RgbImage[];
}

/**
 * Draws the filters of the first convolution: in colours if it takes red, green and blue, else in grey.
 * The least value of each filter becomes black, and the largest white. Undefined without a 2-D
 * convolution.
 */
export async function firstFilters(model: Classifier): Promise<Filters | undefined> {
  const found = model.leaves().find((leaf): leaf is [string, Conv] => leaf[1] instanceof Conv);
  if (!found) return undefined;
  const [name, layer] = found, { weight } = layer.parameters, { shape } = weight;
  if (shape.length !== 4) return undefined;
  const [count, channels, height, width] = shape, values = await weight.read();
  const size = height * width, isBgr = model.preprocessing.channels === "bgr";
  // the channels that become red, green and blue
  const shown = channels !== 3 ? [0, 0, 0] : isBgr ? [2, 1, 0] : [0, 1, 2];
  const pictures = Array.from({ length: count }, (_, i) => {
    const filter = values.subarray(i * channels * size, (i + 1) * channels * size);
    const [least, largest] = rangeOf(filter);
    const data = new Uint8ClampedArray(size * 3).map((_, at) => {
      const value = filter[shown[at % 3] * size + Math.floor(at / 3)];
      return 255 * (value - least) / (largest - least || 1);
    });
    return { width, height, data };
  });
  return { name, pictures };
}

/** What a stage of a network computed for an image. */
export interface Stage extends HeatMap {
  /** The name of its last layer. */
  readonly name: string;
  readonly channels: number;
}

/**
 * Returns a map for each size of values in the network: the mean of all channels, scaled from 0 to 1. Of
 * the values of a size that all paths lead through, it takes the last one.
 *
 * @param x A preprocessed image, [1, C, H, W].
 */
export async function stagesOf(model: Classifier, x: Tensor): Promise<Stage[]> {
  const { nodes } = model.expand(), shapes = model.shapes(x.shape);
  const first = nodes.findIndex(({ layer }) => layer instanceof Conv);
  const maps = mapsOf(model, shapes), last = new Map<string, number>();
  for (const i of bottlenecks(nodes, scoresIndex(model)).toReversed()) {
    if (i >= first && maps[i]) last.set(shapes[i].slice(2).join("×"), i);
  }
  const indices = [...last.values()];
  using outputs = model.outputsOf(x, indices.map((i) => nodes[i].name));
  const stages: Stage[] = [];
  for (const [at, output] of outputs.entries()) {
    const [, channels, height, width] = output.shape;
    const heat = meanOfChannels(await output.read(), channels);
    stages.push({ name: nodes[indices[at]].name, channels, height, width, heat });
  }
  return stages;
}

function meanOfChannels(values: Float32Array, channels: number): Float32Array {
  const size = values.length / channels, sums = new Float32Array(size);
  for (let i = 0; i < values.length; i++) sums[i % size] += values[i];
  const [least, largest] = rangeOf(sums);
  return normalised(sums.map((value) => value - least), largest - least);
}

/** The time of a layer. */
export interface LayerTime {
  readonly name: string;
  readonly type: string;
  /** The shape of its output for one image, without the batch axis. */
  readonly shape: Shape;
  readonly ms: number;
}

/** How often each time is measured. The least one counts. */
const repeats = 5;

/**
 * Measures each layer on its own, waiting for its result. A pass of the whole network is faster, because
 * kernels of convolutions also compute the layers that follow them.
 */
export async function timeLayers(model: Classifier, x: Tensor): Promise<LayerTime[]> {
  const { nodes } = model.expand(), shapes = model.shapes(x.shape);
  const least = nodes.map(() => Infinity);
  for (let repeat = 0; repeat < repeats; repeat++) {
    const values: Tensor[] = [];
    try {
      for (const [i, { layer, inputs }] of nodes.entries()) {
        const start = performance.now();
        values[i] = runLayer(layer, inputs.map((input) => input < 0 ? x : values[input]), {});
        await finished(values[i]);
        least[i] = Math.min(least[i], performance.now() - start);
      }
    } finally {
      for (const value of values) value.dispose();
    }
  }
  return nodes.map(({ name, layer: { type } }, i) => {
    return { name, type, shape: shapes[i].slice(1), ms: least[i] };
  });
}

/** Measures a forward pass of the whole network. */
export async function timePass(model: Classifier, x: Tensor): Promise<number> {
  let least = Infinity;
  for (let repeat = 0; repeat <= repeats; repeat++) { // the first one makes a plan
    const start = performance.now();
    using y = model.forward(x);
    await finished(y);
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

/** Waits until a value is computed. */
async function finished(value: Tensor): Promise<void> {
  await partOf(value, 0, [1]).read();
}
