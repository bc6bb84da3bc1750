/**
 * Opens safetensors files: the length of a JSON header, the header, then the elements of every
 * tensor.
 *
 * Source: https://github.com/huggingface/safetensors, README, "Format".
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { type DType, itemSize, itemSizes } from "../dtype.ts";
import { compareFileOrder, elementCount, type StoredTensor } from "../layout.ts";
import { pairScales } from "../quantized.ts";
import { type HeaderEntry, parseHeader } from "./header.ts";
import { type ByteSource, readBytes, unknownSize } from "../io/source.ts";
import { TensorFile } from "../tensor_file.ts";
import { escapeText } from "../io/quote.ts";

/** Enough for the names and shapes of 40 000 tensors. */
const maxHeaderBytes = 8 << 20;

/** The limit of the reference implementation: nobody writes a longer header. */
const possibleHeaderBytes = 100_000_000;

/**
 * Opens a safetensors file.
 *
 * @throws {FileError} When its header is malformed, or does not match the rest of the file.
 */
export async function openSafetensors(source: ByteSource): Promise<TensorFile> {
  const bad = (why: string) => new FileError(source.name, why);
  const length = new DataView((await readBytes(source, 0, 8)).buffer).getBigUint64(0, true);
  if (length > possibleHeaderBytes) throw bad(`claims a header of ${length} bytes: damaged`);
  if (length > maxHeaderBytes) throw bad("has a header of more than 8 MiB");
  const dataStart = 8 + Number(length);
  if (dataStart > source.size) throw bad("ends inside its header: truncated or damaged");
  const header = parseHeader(await readBytes(source, 8, Number(length)), source.name);
  const tensors = new Map(
    header.entries.map((entry) => [entry.name, toStoredTensor(entry, dataStart, source.name)]),
  );
  if (tensors.size === 0) throw bad("holds no tensors");
  checkRanges([...tensors.values()], dataStart, source);
  const weights = pairScales(tensors, source.name);
  return new TensorFile(source, "safetensors", weights, header.metadata);
}

/** Checks that every byte after the header belongs to exactly one tensor. */
function checkRanges(
  tensors: readonly StoredTensor[],
  dataStart: number,
  source: ByteSource,
): void {
  const bad = (why: string) => new FileError(source.name, why);
  let at = dataStart;
  for (const { name, start, span } of [...tensors].sort(compareFileOrder)) {
    if (start > source.size) throw bad(`ends before ${escapeText(name)}: truncated or damaged`);
    if (start < at) throw bad(`${escapeText(name)} overlaps another tensor: damaged`);
    if (start > at) {
      throw bad(`has bytes before ${escapeText(name)} that belong to no tensor: damaged`);
    }
    at += span;
    if (at > source.size) throw bad(`ends inside ${escapeText(name)}: truncated or damaged`);
  }
  if (at < source.size && source.size !== unknownSize) {
    throw bad("has bytes at its end that belong to no tensor: damaged");
  }
}

/** Locates the tensor of an entry, and checks its size. */
function toStoredTensor(entry: HeaderEntry, dataStart: number, file: string): StoredTensor {
  const { name, shape, begin, end } = entry;
  if (!itemSizes.has(entry.dtype)) {
    throw new FileError(file, `${escapeText(name)} has unknown dtype ${escapeText(entry.dtype)}`);
  }
  const dtype = entry.dtype as DType;
  const count = elementCount(shape, name, file);
  const span = count * itemSize(dtype);
  if (end - begin !== span) {
    throw new FileError(
      file,
      `${escapeText(name)} has ${end - begin} bytes, but its shape and dtype need ${span}: damaged`,
    );
  }
  return { name, dtype, shape, count, start: dataStart + begin, span };
}
