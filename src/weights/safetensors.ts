/**
 * safetensors: the length of a JSON header, the header, then the elements of every tensor.
 *
 * Source: https://github.com/huggingface/safetensors, README, "Format".
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { type DType, itemSize, itemSizes } from "./dtype.ts";
import { elementCount, type StoredTensor } from "./layout.ts";
import { type ByteSource, readBytes } from "./source.ts";
import { TensorFile } from "./tensor_file.ts";
import { shown } from "./text.ts";

/** The limit that the reference implementation has. */
const maxHeaderBytes = 100_000_000;

/**
 * Opens a safetensors file.
 *
 * @throws {FileError} When its header contradicts itself, the file or the format.
 */
export async function openSafetensors(source: ByteSource): Promise<TensorFile> {
  const bad = (why: string) => new FileError(source.name, why);
  const length = new DataView((await readBytes(source, 0, 8)).buffer).getBigUint64(0, true);
  if (length > maxHeaderBytes) throw bad(`claims a header of ${length} bytes: damaged`);
  const dataStart = 8 + Number(length);
  if (dataStart > source.size) throw bad("ends inside of its header: truncated or damaged");
  const header = parseHeader(await readBytes(source, 8, Number(length)), source.name);

  const metadata = new Map<string, string>();
  const tensors = new Map<string, StoredTensor>();
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") {
      for (const [key, text] of Object.entries(fields(value) ?? { "": value })) {
        if (typeof text !== "string") throw bad("has metadata that is not text: damaged");
        metadata.set(key, text);
      }
    } else tensors.set(name, parseTensor(name, value, dataStart, source.name));
  }
  if (tensors.size === 0) throw bad("holds no tensors");

  // No byte may belong to two tensors, nor to none.
  let at = dataStart;
  for (const { name, start, span } of [...tensors.values()].sort(byPlace)) {
    if (start < at) throw bad(`${shown(name)} overlaps another tensor: damaged`);
    if (start > at) throw bad(`has bytes before ${shown(name)} that belong to no tensor: damaged`);
    at += span;
    if (at > source.size) throw bad(`ends inside of ${shown(name)}: truncated or damaged`);
  }
  if (at < source.size) throw bad("has bytes at its end that belong to no tensor: damaged");
  return new TensorFile(source, "safetensors", tensors, metadata);
}

/** By where they are; empty ones before whatever begins there. */
function byPlace(a: StoredTensor, b: StoredTensor): number {
  return a.start - b.start || a.span - b.span;
}

function parseTensor(name: string, value: unknown, dataStart: number, file: string): StoredTensor {
  const bad = (why: string) => new FileError(file, `${shown(name)} ${why}: damaged`);
  const info = fields(value);
  const shape = info?.shape, offsets = info?.data_offsets;
  if (!info || !Array.isArray(shape) || !Array.isArray(offsets) || offsets.length !== 2) {
    throw bad("has no dtype, shape and data_offsets");
  }
  if (typeof info.dtype !== "string" || !itemSizes.has(info.dtype)) {
    throw new FileError(file, `${shown(name)} has unknown dtype ${shown(String(info.dtype))}`);
  }
  const dtype = info.dtype as DType;
  const count = elementCount(shape, name, file);
  const [begin, end] = offsets;
  if (!Number.isSafeInteger(begin) || !Number.isSafeInteger(end) || begin < 0 || end < begin) {
    throw bad("has impossible data_offsets");
  }
  const span = count * itemSize(dtype);
  if (end - begin !== span) {
    throw bad(`has ${end - begin} bytes where its shape and dtype take ${span}`);
  }
  return { name, dtype, shape, count, start: dataStart + begin, span, strides: undefined };
}

function parseHeader(bytes: Uint8Array, file: string): Record<string, unknown> {
  let text: string, header: Record<string, unknown> | undefined;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    header = fields(JSON.parse(text));
  } catch (cause) {
    throw new FileError(file, "has a header that is not JSON: damaged", { cause });
  }
  if (!header) throw new FileError(file, "has a header that is not a JSON object: damaged");
  const twice = repeatedKey(text);
  if (twice !== undefined) throw new FileError(file, `has ${shown(twice)} twice in its header`);
  return header;
}

/** The value as an object with fields, when it is one. */
function fields(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Record<string, unknown>
    : undefined;
}

/**
 * A key that one object of the outer two levels has twice; JSON.parse() would keep the last and say
 * nothing. `text` is known to be JSON, so a string before a colon is a key.
 */
function repeatedKey(text: string): string | undefined {
  const seen: Set<string>[] = [];
  let depth = 0;
  for (const [token, colon] of text.matchAll(/[{}]|"(?:[^"\\]|\\.)*"(\s*:)?/g)) {
    if (token === "{") seen[depth++] = new Set();
    else if (token === "}") depth--;
    else if (colon && depth <= 2) {
      const key: string = JSON.parse(token.slice(0, -colon.length)), keys = seen[depth - 1];
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
}
