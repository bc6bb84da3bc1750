/**
 * Where a tensor lies in its file, and whether that can be true.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { type DType, itemSize } from "./dtype.ts";
import type { ByteSource } from "./io/source.ts";
import { shown, shownShape } from "./io/quote.ts";

/** What a file says about one tensor. */
export interface WeightEntry {
  /** Its name, as `features.0.weight`. */
  readonly name: string;
  /** The kind of number it is stored as. */
  readonly dtype: DType;
  /** Its sizes, outermost first; empty for a scalar. */
  readonly shape: readonly number[];
  /** Whether it is I8 that stands for real numbers, with a factor for each row in the file. */
  readonly quantized?: true;
}

/** A tensor and its place, checked: every element is inside the file. */
export interface StoredTensor extends Omit<WeightEntry, "quantized"> {
  readonly count: number;
  /** Where its first element is, in bytes: in the file, or in a storage that is found later. */
  readonly start: number;
  /** The storage that `start` counts from, if it is found only when reading comes to it. */
  readonly later?: LaterStorage;
  /** From there to the end of its last element, in bytes. */
  readonly span: number;
  /** In elements, outermost first; undefined when the elements follow each other in row-major order. */
  readonly strides: readonly number[] | undefined;
  /** The factors of an I8 tensor's rows. */
  readonly scale?: StoredTensor;
  /** Multiplies every element; for floats. */
  readonly factor?: number;
  /** Where its bytes are, when they are not in the file as they are in memory. */
  readonly source?: ByteSource;
}

/** A place for elements, in bytes from the beginning of the file. */
export interface Extent {
  readonly start: number;
  readonly length: number;
  readonly later?: LaterStorage;
}

/** A storage in a file that is read from its beginning to its end: nothing says where it is. */
export interface LaterStorage {
  /** Its place in the order in which storages follow each other. */
  readonly rank: number;
  /** Where it is in the file; goes there. */
  start(): Promise<number>;
}

/** The order in which tensors lie in their file. */
export function byPlace(a: StoredTensor, b: StoredTensor): number {
  // empty ones before whatever begins there
  return (a.later?.rank ?? 0) - (b.later?.rank ?? 0) || a.start - b.start || a.span - b.span;
}

/** As many dimensions as PyTorch allows. */
const maxDimensions = 64;

/**
 * How many elements a shape has.
 *
 * @throws {FileError} When it is no shape, or has more elements than can be counted.
 */
export function elementCount(shape: readonly unknown[], name: string, file: string): number {
  let count = 1, extent = 1;
  for (const size of shape) {
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
      throw new FileError(file, `${shown(name)} has a size that is no count: damaged`);
    }
    count *= size;
    extent *= size || 1; // a zero must not hide an overflow beside it
  }
  if (shape.length > maxDimensions || extent > Number.MAX_SAFE_INTEGER) {
    throw new FileError(file, `${shown(name)} has an impossible shape: damaged`);
  }
  return count;
}

/**
 * Checks a tensor that is `offset` elements into a storage.
 *
 * @param entry What the file says about it; the shape unchecked.
 * @param strides In elements, unchecked.
 * @param storage Where the storage is; inside the file.
 * @param offset In elements, unchecked.
 * @param file What error messages call it, and its size in bytes.
 * @throws {FileError} When an element would be outside of the storage.
 */
export function placeTensor(
  { name, dtype, shape }: WeightEntry,
  strides: readonly unknown[],
  storage: Extent,
  offset: unknown,
  file: { readonly name: string; readonly size: number },
): StoredTensor {
  const count = elementCount(shape, name, file.name);
  const bytes = itemSize(dtype);
  const bad = (why: string) => new FileError(file.name, `${shown(name)} ${why}: damaged`);
  if (strides.length !== shape.length) throw bad("has as many strides as no tensor of its shape");
  if (!isCount(offset) || !strides.every(isCount)) throw bad("has a stride or offset below zero");
  // A stride of 0 repeats elements without end; no model is larger than its file.
  if (count * bytes > file.size) {
    throw bad(`claims ${shownShape(shape)}, more than a file of ${file.size} bytes holds`);
  }
  if (count === 0) return { name, dtype, shape, count, start: 0, span: 0, strides: undefined };

  let last = 0, rowMajor = true;
  for (let i = shape.length - 1, dense = 1; i >= 0; dense *= shape[i--]) {
    last += (shape[i] - 1) * strides[i];
    if (shape[i] !== 1 && strides[i] !== dense) rowMajor = false;
  }
  if (!((offset + last + 1) * bytes <= storage.length)) {
    throw bad(`reaches beyond its storage of ${storage.length} bytes`);
  }
  return {
    name,
    dtype,
    shape,
    count,
    start: storage.start + offset * bytes,
    later: storage.later,
    span: (last + 1) * bytes,
    // Along an axis of size 1 nobody steps, so any stride may stand there, even one beyond counting.
    strides: rowMajor ? undefined : strides.map((stride, i) => shape[i] === 1 ? 0 : stride),
  };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
