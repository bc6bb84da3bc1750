/**
 * From one file of weights to another, a piece at a time.
 *
 * @module
 */

import { fromFloat32, itemSize } from "./dtype.ts";
import type { WeightEntry } from "./layout.ts";
import { quantize, scaleName } from "./quantized.ts";
import { layOut, type TensorToWrite } from "./safetensors_writer.ts";
import { isWeight, type WeightsFile } from "./tensor_file.ts";

/**
 * How weights are stored: "f32" as they are, "f16" rounded to half precision, "int8" as integers of 8
 * bits with a scale for each output channel or feature. What has but one axis (a bias) stays "f32".
 */
export type StoredPrecision = "f32" | "f16" | "int8";

/** All ways to store weights. */
export const storedPrecisions: readonly StoredPrecision[] = ["f32", "f16", "int8"];

/** A file that is written anywhere. */
export interface ByteSink {
  /** Writes all of the bytes from `offset` on. */
  write(offset: number, bytes: Uint8Array): void;
}

/** What converting takes besides. */
export interface ConvertOptions {
  /** How the weights are stored. */
  readonly precision: StoredPrecision;
  /** What the file says besides; default: what the old one said. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Called while converting, with the floats done so far and in all. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends it, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Elements that are rounded together, in whole rows. */
const batchElements = 1 << 18;

/**
 * Writes the weights of a file as safetensors. Tensors of integers (`num_batches_tracked`) are left
 * out. No more than a MiB of it, or one row, is in memory at a time.
 *
 * @returns Bytes of the whole file.
 * @throws {FileError} When the file cannot be read.
 * @throws {ArgumentError} When what is to be quantised is not finite.
 */
export async function convertToSafetensors(
  file: WeightsFile,
  sink: ByteSink,
  { precision, metadata, onProgress, signal }: ConvertOptions,
): Promise<number> {
  const weights = weightsOf(file).map(({ name, shape }) => ({
    name,
    shape,
    dtype: storedAs(shape, precision),
  }));
  const { header, places, size } = layOut(
    weights.flatMap((tensor) => tensor.dtype === "I8" ? [tensor, scaleOf(tensor)] : [tensor]),
    metadata ?? Object.fromEntries(file.metadata),
  );
  sink.write(0, header);
  const total = weights.reduce((sum, { shape }) => sum + count(shape), 0);
  let done = 0;
  for (const { name, shape, dtype } of weights) {
    const start = places.get(name)!;
    const step = (values: Float32Array) => {
      signal?.throwIfAborted();
      onProgress?.(done += values.length, total);
    };
    if (dtype === "I8") {
      const scales = new Float32Array(shape[0]), rows = new Rows(count(shape) / shape[0]);
      await file.read(name, (values) => {
        step(values);
        rows.take(values, count(shape), (batch, row) => {
          const rounded = quantize(name, batch, batch.length / rows.length);
          scales.set(rounded.scale, row);
          sink.write(start + row * rows.length, new Uint8Array(rounded.stored.buffer));
        });
      });
      sink.write(places.get(scaleName(name))!, new Uint8Array(scales.buffer));
    } else {
      await file.read(name, (values, offset) => {
        step(values);
        const bytes = new Uint8Array(values.length * itemSize(dtype));
        fromFloat32(dtype, values, new DataView(bytes.buffer));
        sink.write(start + offset * itemSize(dtype), bytes);
      });
    }
  }
  return size;
}

/** What a file holds that is weights, in the order in which it lies there. */
export function weightsOf(file: WeightsFile): WeightEntry[] {
  return file.order.map((name) => file.entries.get(name)!).filter(isWeight);
}

/** The kind of number that a tensor is stored as. */
function storedAs(shape: readonly number[], precision: StoredPrecision): "F32" | "F16" | "I8" {
  // biases are few, and empty tensors have no rows to scale
  if (precision === "f32" || shape.length < 2 || count(shape) === 0) return "F32";
  return precision === "f16" ? "F16" : "I8";
}

function scaleOf({ name, shape }: Omit<TensorToWrite, "data">): Omit<TensorToWrite, "data"> {
  return { name: scaleName(name), dtype: "F32", shape: [shape[0]] };
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Makes whole rows of the pieces in which a tensor arrives. */
class Rows {
  readonly #batch: Float32Array;
  #filled = 0;
  #row = 0;

  /** @param length Elements of a row. */
  constructor(readonly length: number) {
    this.#batch = new Float32Array(length * Math.max(1, Math.floor(batchElements / length)));
  }

  /** Takes a piece of a tensor of `total` elements; hands on each full batch, with its first row. */
  take(values: Float32Array, total: number, full: (batch: Float32Array, row: number) => void) {
    for (let at = 0; at < values.length;) {
      const piece = values.subarray(at, at + this.#batch.length - this.#filled);
      this.#batch.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      const whole = this.#filled === this.#batch.length ||
        this.#row * this.length + this.#filled === total;
      if (!whole) continue;
      full(this.#batch.subarray(0, this.#filled), this.#row);
      this.#row += this.#filled / this.length;
      this.#filled = 0;
    }
  }
}
