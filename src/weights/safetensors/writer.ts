/**
 * Writes safetensors files.
 *
 * @module
 */

import { ArgumentError } from "../../errors.ts";
import { checkObject } from "../../options.ts";
import type { Shape } from "../../tensor.ts";
import { itemSize } from "../dtype.ts";
import {
  checkData,
  checkNames,
  elementsPart,
  type FileWriter,
  littleEndian,
  type Part,
  type TensorOutline,
  type TensorToWrite,
  writeToMemory,
} from "../io/file_writer.ts";
import { escapeText } from "../io/quote.ts";
import { quantize, scaleName } from "../quantized.ts";

/**
 * Writes tensors as a safetensors file in memory. F16 and BF16 are rounded to nearest even. I8 is
 * quantised: each outermost row is stored as integers from −127 to 127, with a float32 scale in the
 * tensor `name_scale`. Wider types come first, so that every tensor is aligned.
 *
 * @param tensors The tensors to write.
 * @param metadata The `__metadata__` of the file.
 * @throws {ArgumentError} When a name is not unique, the data does not fill the shape, a value to
 * quantise is not finite, or the metadata has a value that is no string.
 * @throws {PembrokeError} When a finite value is too large for F16 or BF16.
 *
 * @example
 * ```ts
 * import { bytesSource, openWeights, writeSafetensors } from "../mod.ts";
 *
 * const data = new Float32Array([1, 2]);
 * const bytes = writeSafetensors([{ name: "bias", dtype: "F16", shape: [2], data }]);
 * using file = await openWeights(bytesSource(bytes));
 * await file.read("bias", (values) => console.log(values)); // Float32Array [ 1, 2 ]
 * ```
 */
export function writeSafetensors(
  tensors: Iterable<TensorToWrite>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const all = [...tensors];
  checkData("writeSafetensors", all);
  return writeToMemory(layOutSafetensors(all, metadata), (writer) => {
    for (const { name, dtype, shape, data } of all) {
      if (dtype !== "I8") writer.appendFloats(name, dtype, data);
      else appendQuantized(writer, name, data, shape);
    }
  });
}

/** Quantises rows of a tensor, and appends them and their scales. */
export function appendQuantized(
  writer: FileWriter,
  name: string,
  rows: Float32Array,
  shape: Shape,
): void {
  const { stored, scale } = quantize(name, rows, shape);
  writer.append(name, new Uint8Array(stored.buffer));
  writer.appendFloats(scaleName(name), "F32", scale);
}

/** Lays out a safetensors file, with the scales of I8 tensors. */
export function layOutSafetensors(
  tensors: readonly TensorOutline[],
  metadata?: Readonly<Record<string, string>>,
): Part[] {
  const names = new Set(tensors.map(({ name }) => name));
  for (const { name, dtype } of tensors) {
    const taken = scaleName(name);
    if (dtype !== "I8" || !names.has(taken)) continue;
    const expected = `another one: the scales of ${escapeText(name)} have it`;
    throw new ArgumentError("writeSafetensors", "name", taken, expected);
  }
  const stored = tensors.flatMap(withScale).sort(byWidth);
  checkNames("writeSafetensors", stored, "__metadata__");
  const entries = new Map<string, unknown>();
  if (metadata) entries.set("__metadata__", checkMetadata(metadata));
  const parts = stored.map(elementsPart);
  let end = 0;
  for (const [i, { name, dtype, shape }] of stored.entries()) {
    const begin = end;
    end += parts[i].length;
    entries.set(name, { dtype, shape, data_offsets: [begin, end] });
  }

  // fromEntries() creates own properties, even for the name `__proto__`.
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const header = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20); // padded with spaces
  header.set(json);
  return [littleEndian(header.length, 8), header, ...parts];
}

/** Checks that metadata are an object of texts: readers reject a file with others. */
function checkMetadata(metadata: Readonly<Record<string, string>>): object {
  const op = "writeSafetensors";
  checkObject(op, "metadata", metadata);
  for (const [key, value] of Object.entries<unknown>(metadata)) {
    if (typeof value !== "string") {
      throw new ArgumentError(op, `metadata.${key}`, value, "a string");
    }
  }
  return metadata;
}

/** Compares by element width, widest first, so that every tensor is aligned. */
function byWidth(a: TensorOutline, b: TensorOutline): number {
  return itemSize(b.dtype) - itemSize(a.dtype);
}

/** The tensors to store for a tensor: itself, and its scales if it is quantised. */
function withScale(tensor: TensorOutline): TensorOutline[] {
  const { name, dtype, shape } = tensor;
  if (dtype !== "I8") return [tensor];
  if (shape.length === 0) {
    const expected = "a shape with at least one axis, to be quantised";
    throw new ArgumentError("writeSafetensors", `shape of ${name}`, shape, expected);
  }
  return [tensor, { name: scaleName(name), dtype: "F32", shape: [shape[0]] }];
}
