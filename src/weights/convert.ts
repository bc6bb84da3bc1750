/**
 * Converts weights to another file format or precision, in chunks.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import type { ByteSink } from "../io/byte_sink.ts";
import { elements } from "../tensor.ts";
import { FileWriter, type Part, requireFloats, type TensorOutline } from "./io/file_writer.ts";
import { escapeText } from "./io/quote.ts";
import { layOutOnnx } from "./onnx/writer.ts";
import { layOutPth } from "./pth/writer.ts";
import { quantize, scaleName } from "./quantized.ts";
import { layOutSafetensors } from "./safetensors/writer.ts";
import {
  checksumKey,
  type OutputFormat,
  type StoredPrecision,
  storedPrecisions,
  storedTypes,
} from "./stored.ts";
import { isWeight, type WeightsFile } from "./tensor_file.ts";

/** Options of {@linkcode convertWeights}. */
export interface ConvertOptions {
  /** The file format. Default "safetensors". */
  readonly format?: OutputFormat;
  /** The precision of the stored weights. */
  readonly precision: StoredPrecision;
  /** The metadata of a safetensors file. Default: that of the input file, without its checksum. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Called with the number of elements converted so far, and in total. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Cancels the conversion, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The number of elements that are quantised at a time, in whole rows. */
const batchElements = 1 << 18;

/**
 * Writes the weights of a file in another format or precision. Integer tensors
 * (`num_batches_tracked`) are left out. At most 1 MiB of weights, or one row, is in memory at a
 * time.
 *
 * @returns The size of the written file in bytes.
 * @throws {FileError} When the file cannot be read, has no weights, or has a tensor with the name that the
 * scales of another one take in int8.
 * @throws {ArgumentError} When the precision is unknown, the format does not support it, or a value to
 * quantise is not finite.
 * @throws {PembrokeError} When a value is too large for f16.
 */
export async function convertWeights(
  file: WeightsFile,
  sink: ByteSink,
  { format = "safetensors", precision, metadata, onProgress, signal }: ConvertOptions,
): Promise<number> {
  if (!storedPrecisions.includes(precision)) {
    const known = storedPrecisions.join(" or ");
    throw new ArgumentError("convertWeights", "precision", precision, known);
  }
  const weights = new Map<string, TensorOutline>();
  for (const [name, entry] of file.entries) {
    if (!isWeight(entry)) continue;
    weights.set(name, { name, shape: entry.shape, dtype: storedType(entry.shape, precision) });
  }
  if (weights.size === 0) throw new FileError(file.name, "holds only integer tensors, no weights");
  for (const { name, dtype } of weights.values()) {
    const taken = scaleName(name);
    if (dtype !== "I8" || !weights.has(taken)) continue;
    const [own, of] = [escapeText(taken), escapeText(name)];
    throw new FileError(
      file.name,
      `holds ${own}, but int8 stores the scales of ${of} under that name: use f16, or rename it`,
    );
  }
  const parts = layOutFile(
    format,
    [...weights.values()],
    metadata ?? copiedMetadata(file),
  );
  const writer = new FileWriter(parts, sink);
  const total = [...weights.values()].reduce((sum, { shape }) => sum + elements(shape), 0);
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
    const count = elements(shape), batcher = new RowBatcher(count / shape[0]);
    await file.read(name, (values) => {
      step(values);
      batcher.add(values, count, (batch) => {
        const rows = batch.length / batcher.rowLength;
        const { stored, scale } = quantize(name, batch, [rows, ...shape.slice(1)]);
        writer.append(name, new Uint8Array(stored.buffer));
        writer.appendFloats(scaleName(name), "F32", scale);
      });
    });
  }
  writer.finish();
  return writer.size;
}

function copiedMetadata({ metadata }: WeightsFile): Record<string, string> {
  return Object.fromEntries([...metadata].filter(([key]) => key !== checksumKey));
}

function layOutFile(
  format: OutputFormat,
  tensors: readonly TensorOutline[],
  metadata: Readonly<Record<string, string>>,
): Part[] {
  if (format === "safetensors") return layOutSafetensors(tensors, metadata);
  const floats = requireFloats("convertWeights", tensors);
  return format === "pth" ? layOutPth(floats) : layOutOnnx(floats);
}

/** The type to store a tensor's elements as. */
function storedType(shape: readonly number[], precision: StoredPrecision): "F32" | "F16" | "I8" {
  // Biases are small, and empty tensors have no rows to scale.
  return shape.length < 2 || elements(shape) === 0 ? "F32" : storedTypes[precision];
}

/** Collects chunks of a tensor into batches of whole rows. */
class RowBatcher {
  readonly #batch: Float32Array;
  #filled = 0;
  #done = 0;

  /** @param rowLength Elements in a row. */
  constructor(readonly rowLength: number) {
    const rows = Math.max(1, Math.floor(batchElements / rowLength));
    this.#batch = new Float32Array(rowLength * rows);
  }

  /** Adds the next chunk of a tensor of `total` elements, and passes on every full batch. */
  add(values: Float32Array, total: number, onBatch: (batch: Float32Array) => void) {
    for (let at = 0; at < values.length;) {
      const chunk = values.subarray(at, at + this.#batch.length - this.#filled);
      this.#batch.set(chunk, this.#filled);
      this.#filled += chunk.length;
      at += chunk.length;
      if (this.#filled < this.#batch.length && this.#done + this.#filled < total) continue;
      onBatch(this.#batch.subarray(0, this.#filled));
      this.#done += this.#filled;
      this.#filled = 0;
    }
  }
}
