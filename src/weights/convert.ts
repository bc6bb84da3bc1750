/**
 * Converts weights to another file format or precision, in chunks.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import type { ByteSink } from "../io/byte_sink.ts";
import { elements, type Shape } from "../tensor.ts";
import { FileWriter, type Part, requireFloats, type TensorOutline } from "./io/file_writer.ts";
import { escapeText } from "./io/quote.ts";
import { layOutOnnx } from "./onnx/writer.ts";
import { layOutPth } from "./pth/writer.ts";
import { scaleName } from "./quantized.ts";
import { appendQuantized, layOutSafetensors } from "./safetensors/writer.ts";
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
  /** The file format. Default: "safetensors". */
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

/** The most elements that are quantised at a time, if several rows fit: 1 MiB of float32. */
const batchElements = 1 << 18;

/**
 * Writes the weights of a file in another format or precision. Integer tensors
 * (`num_batches_tracked`) are left out. Besides what `file.read()` needs, at most 1 MiB of weights, or
 * one row, is in memory at a time.
 *
 * @param file The weights to convert, which stay open.
 * @param sink The output.
 * @returns The size of the written file in bytes.
 * @throws {FileError} When the file cannot be read, has no weights, or has a tensor whose name int8
 * needs for the scales of another one.
 * @throws {ArgumentError} When the precision is unknown, the format does not support it, or a value
 * to quantise is not finite.
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
  const outlines = outlinesOf(file, precision), all = [...outlines.values()];
  const parts = layOutFile(format, all, metadata ?? copiedMetadata(file));
  const writer = new FileWriter(parts, sink);
  const total = all.reduce((sum, { shape }) => sum + elements(shape), 0);
  let done = 0;
  const onRead = (values: Float32Array) => {
    signal?.throwIfAborted();
    onProgress?.(done += values.length, total);
  };
  for (const name of file.order) {
    const outline = outlines.get(name);
    if (outline) await copyTensor(file, outline, writer, onRead);
  }
  writer.finish();
  return writer.size;
}

/** The tensors to write, by name: all weights of a file. */
function outlinesOf(file: WeightsFile, precision: StoredPrecision): Map<string, TensorOutline> {
  const outlines = new Map<string, TensorOutline>();
  for (const [name, entry] of file.entries) {
    if (!isWeight(entry)) continue;
    outlines.set(name, { name, shape: entry.shape, dtype: storedType(entry.shape, precision) });
  }
  if (outlines.size === 0) throw new FileError(file.name, "holds only integer tensors, no weights");
  for (const { name, dtype } of outlines.values()) {
    const taken = scaleName(name);
    if (dtype !== "I8" || !outlines.has(taken)) continue;
    const [own, of] = [escapeText(taken), escapeText(name)];
    throw new FileError(
      file.name,
      `holds ${own}, but int8 stores the scales of ${of} under that name: use f16, or rename it`,
    );
  }
  return outlines;
}

/** Reads a tensor, and writes it in its new type. */
async function copyTensor(
  file: WeightsFile,
  { name, shape, dtype }: TensorOutline,
  writer: FileWriter,
  onRead: (values: Float32Array) => void,
): Promise<void> {
  const write = dtype === "I8"
    ? batchRows(shape, (rows, shape) => appendQuantized(writer, name, rows, shape))
    : (values: Float32Array) => writer.appendFloats(name, dtype, values);
  await file.read(name, (values) => {
    onRead(values);
    write(values);
  });
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

/** The type in which to store a tensor of this shape. */
function storedType(shape: readonly number[], precision: StoredPrecision): "F32" | "F16" | "I8" {
  // Biases are small, and empty tensors have no rows to scale.
  return shape.length < 2 || elements(shape) === 0 ? "F32" : storedTypes[precision];
}

/**
 * Collects the chunks of a tensor into batches of whole rows.
 *
 * @param shape The shape of the tensor, whose outermost indices are the rows.
 * @param onBatch Receives the values of some rows, and their shape.
 * @returns A function that takes the next chunk.
 */
function batchRows(
  shape: Shape,
  onBatch: (rows: Float32Array, shape: Shape) => void,
): (chunk: Float32Array) => void {
  const total = elements(shape), rowLength = total / shape[0];
  const batch = new Float32Array(rowLength * Math.max(1, Math.floor(batchElements / rowLength)));
  let filled = 0, done = 0;
  return (chunk) => {
    for (let rest = chunk; rest.length > 0;) {
      const part = rest.subarray(0, batch.length - filled);
      batch.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
      if (filled < batch.length && done + filled < total) continue;
      onBatch(batch.subarray(0, filled), [filled / rowLength, ...shape.slice(1)]);
      done += filled;
      filled = 0;
    }
  };
}
