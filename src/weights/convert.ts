/**
 * From one file of weights to another, a piece at a time.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import type { ByteSink } from "../io/byte_sink.ts";
import { elements } from "../tensor.ts";
import { FileWriter, floatsOnly, type Part, type TensorOutline } from "./io/file_writer.ts";
import { layOutOnnx } from "./onnx/writer.ts";
import { layOutPth } from "./pth/writer.ts";
import { quantize, scaleName } from "./quantized.ts";
import { layOutSafetensors } from "./safetensors/writer.ts";
import { isWeight, type WeightsFile, type WeightsFormat } from "./tensor_file.ts";

/** The formats that are written. */
export type WrittenFormat = Exclude<WeightsFormat, "pth-legacy">;

/**
 * How weights are stored: "f32" as they are, "f16" rounded to half precision, "int8" as integers of 8
 * bits with a scale for each output channel or feature, in safetensors only. What has but one axis (a
 * bias) stays "f32".
 */
export type StoredPrecision = "f32" | "f16" | "int8";

/** All ways to store weights. */
export const storedPrecisions: readonly StoredPrecision[] = ["f32", "f16", "int8"];

/** What converting takes besides. */
export interface ConvertOptions {
  /** The format to write. Default "safetensors". */
  readonly format?: WrittenFormat;
  /** How the weights are stored. */
  readonly precision: StoredPrecision;
  /** What safetensors say besides; default: what the old file said. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Called while converting, with the floats done so far and in all. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends it, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Elements that are rounded together, in whole rows. */
const batchElements = 1 << 18;

/**
 * Writes the weights of a file in another format or precision. Tensors of integers
 * (`num_batches_tracked`) are left out. No more than a MiB of it, or one row, is in memory at a time.
 *
 * @returns Bytes of the whole file.
 * @throws {FileError} When the file cannot be read, or holds no weights.
 * @throws {ArgumentError} When the format cannot hold them, or what is to be quantised is not finite.
 */
export async function convertWeights(
  file: WeightsFile,
  sink: ByteSink,
  { format = "safetensors", precision, metadata, onProgress, signal }: ConvertOptions,
): Promise<number> {
  const weights = new Map<string, TensorOutline>();
  for (const [name, entry] of file.entries) {
    if (!isWeight(entry)) continue;
    weights.set(name, { name, shape: entry.shape, dtype: storedAs(entry.shape, precision) });
  }
  if (weights.size === 0) throw new FileError(file.name, "holds integers only, no weights");
  const parts = layOut(
    format,
    [...weights.values()],
    metadata ?? Object.fromEntries(file.metadata),
  );
  const writer = new FileWriter(parts, sink);
  const total = weights.values().reduce((sum, { shape }) => sum + elements(shape), 0);
  let done = 0;
  for (const name of file.order) {
    const weight = weights.get(name);
    if (!weight) continue;
    const { shape, dtype } = weight;
    const step = (values: Float32Array) => {
      signal?.throwIfAborted();
      onProgress?.(done += values.length, total);
    };
    if (dtype !== "I8") {
      await file.read(name, (values) => {
        step(values);
        writer.appendFloats(name, dtype, values);
      });
      continue;
    }
    const count = elements(shape), rows = new Rows(count / shape[0]);
    await file.read(name, (values) => {
      step(values);
      rows.take(values, count, (batch) => {
        const { stored, scale } = quantize(name, batch, batch.length / rows.length);
        writer.append(name, new Uint8Array(stored.buffer));
        writer.appendFloats(scaleName(name), "F32", scale);
      });
    });
  }
  writer.finish();
  return writer.size;
}

function layOut(
  format: WrittenFormat,
  tensors: readonly TensorOutline[],
  metadata: Readonly<Record<string, string>>,
): Part[] {
  if (format === "safetensors") return layOutSafetensors(tensors, metadata);
  const floats = floatsOnly("convertWeights", tensors);
  return format === "pth" ? layOutPth(floats) : layOutOnnx(floats);
}

/** The kind of number that a tensor is stored as. */
function storedAs(shape: readonly number[], precision: StoredPrecision): "F32" | "F16" | "I8" {
  // biases are few, and empty tensors have no rows to scale
  if (precision === "f32" || shape.length < 2 || elements(shape) === 0) return "F32";
  return precision === "f16" ? "F16" : "I8";
}

/** Makes whole rows of the pieces in which a tensor arrives. */
class Rows {
  readonly #batch: Float32Array;
  #filled = 0;
  #done = 0;

  /** @param length Elements of a row. */
  constructor(readonly length: number) {
    this.#batch = new Float32Array(length * Math.max(1, Math.floor(batchElements / length)));
  }

  /** Takes a piece of a tensor of `total` elements; hands on each full batch. */
  take(values: Float32Array, total: number, full: (batch: Float32Array) => void) {
    for (let at = 0; at < values.length;) {
      const piece = values.subarray(at, at + this.#batch.length - this.#filled);
      this.#batch.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled < this.#batch.length && this.#done + this.#filled < total) continue;
      full(this.#batch.subarray(0, this.#filled));
      this.#done += this.#filled;
      this.#filled = 0;
    }
  }
}
