/**
 * The input ranges of convolutions. In the metadata of safetensors files, the key `input_ranges` holds a
 * JSON object with [min, max] for the names of layers.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { Conv } from "../layers/conv.ts";
import { Graph } from "../layers/graph.ts";
import type { Layer } from "../layers/layer.ts";
import { escapeText } from "../weights/io/quote.ts";
import type { WeightsFile } from "../weights/tensor_file.ts";

/** The metadata with a network's ranges; empty if it has none. */
export function describeRanges(model: Graph): Record<string, string> {
  const ranges = model.leaves().flatMap(([name, layer]) =>
    layer instanceof Conv && layer.inputRange ? [[name, layer.inputRange] as const] : []
  );
  return ranges.length > 0 ? { input_ranges: JSON.stringify(Object.fromEntries(ranges)) } : {};
}

/**
 * Sets the ranges of a network's layers to those in a file.
 *
 * @throws {FileError} When they are damaged, or name a layer that the network does not have.
 */
export function readRanges(model: Graph, { name: file, metadata }: WeightsFile): void {
  const text = metadata.get("input_ranges") ?? "{}", layers = new Map(model.leaves());
  let ranges: unknown;
  try {
    ranges = JSON.parse(text);
  } catch (cause) {
    throw new FileError(file, "its input_ranges are not valid JSON: damaged", { cause });
  }
  if (typeof ranges !== "object" || ranges === null || Array.isArray(ranges)) {
    throw new FileError(file, "its input_ranges are not a JSON object: damaged");
  }
  for (const [name, range] of Object.entries(ranges)) {
    const layer = layers.get(name);
    if (!(layer instanceof Conv)) {
      const missing = `${escapeText(name)}, which is no convolution of ${model.type}`;
      throw new FileError(file, `its input_ranges name ${missing}`);
    }
    try {
      layer.inputRange = range;
    } catch (cause) {
      if (!(cause instanceof ArgumentError)) throw cause;
      const reason = `its input_ranges of ${escapeText(name)} are not two numbers: damaged`;
      throw new FileError(file, reason, { cause });
    }
  }
}

/**
 * Forgets the `inputRange` of convolutions behind trained layers. It was found with other weights, and
 * values beyond it would be clamped in 8 bits.
 */
export function forgetTrainedRanges(model: Layer): void {
  if (!(model instanceof Graph)) return;
  let isChanged = false;
  for (const [, layer] of model.leaves()) {
    if (isChanged && layer instanceof Conv) layer.inputRange = null;
    isChanged ||= [...layer.stateDict().values()].some(({ requiresGrad }) => requiresGrad);
  }
}
