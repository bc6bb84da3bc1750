/**
 * Positions of tensors in a file, checked against the size of the file.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { type DType, itemSize } from "./dtype.ts";
import { type ByteRange, type ByteSource, readBytes } from "./io/source.ts";
import { escapeText, formatShape } from "./io/quote.ts";

/**
 * The description of a tensor in a file.
 */
export interface WeightEntry {
  /** Its name, such as `features.0.weight`. */
  readonly name: string;
  /** The type of its stored elements. */
  readonly dtype: DType;
  /** Its shape, outermost axis first. A scalar has none. */
  readonly shape: readonly number[];
  /** Whether the file stores integers and scales, which are read as floats. */
  readonly quantized?: true;
}

/** A tensor with its position. Every element is inside the file. */
export interface StoredTensor extends Omit<WeightEntry, "quantized"> {
  /** Number of elements. */
  readonly count: number;
  /** The offset of the first element in bytes, in the `source` or in the `deferred` storage. */
  readonly start: number;
  /** The storage of the tensor, if its offset is unknown until it is read. */
  readonly deferred?: DeferredStorage;
  /** Bytes from the start of the first element to the end of the last. */
  readonly span: number;
  /** Strides in elements, outermost first. Default: contiguous row-major order. */
  readonly strides?: readonly number[];
  /** Whether the bytes of every element are in big-endian order. */
  readonly isBigEndian?: boolean;
  /** The scales of a quantised tensor's rows. */
  readonly scale?: StoredTensor;
  /** The type of the integers in the file, if the `source` converts them to floats. */
  readonly integers?: DType;
  /** A factor for every element of a float tensor. */
  readonly factor?: number;
  /** Where the elements are read from. Default: the file itself. */
  readonly source?: ByteSource;
}

/** A range of a file that holds elements. */
export interface StorageRange extends ByteRange {
  /** The storage that `start` is relative to, if its offset is unknown until it is read. */
  readonly deferred?: DeferredStorage;
}

/** A storage in a stream, whose offset is unknown until reading has reached it. */
interface DeferredStorage {
  /** Its position in the order of storages. */
  readonly rank: number;
  /** Reads up to the storage and returns its offset in the file. */
  start(): Promise<number>;
}

/** Compares tensors by their position in the file. */
export function compareFileOrder(a: StoredTensor, b: StoredTensor): number {
  // Compare spans last, so that an empty tensor comes before one that starts at the same offset.
  return (a.deferred?.rank ?? 0) - (b.deferred?.rank ?? 0) || a.start - b.start || a.span - b.span;
}

/** The offset of a tensor's first element in its source. */
export async function offsetOf({ start, deferred }: StoredTensor): Promise<number> {
  return start + (await deferred?.start() ?? 0);
}

/** The most axes that a tensor may have, as in PyTorch. */
export const maxDimensions = 64;

/**
 * Counts the elements of a shape.
 *
 * @param shape The sizes, unchecked.
 * @param name The tensor's name in error messages.
 * @param file The file's name in error messages.
 * @throws {FileError} When a size is not a non-negative integer, or there are too many elements.
 */
export function elementCount(shape: readonly unknown[], name: string, file: string): number {
  const impossible = () =>
    new FileError(file, `${escapeText(name)} has an impossible shape: damaged`);
  // Check this first: many tensors may share one shape of a million sizes.
  if (shape.length > maxDimensions) throw impossible();
  let count = 1, extent = 1;
  for (const size of shape) {
    if (!isCount(size)) {
      throw new FileError(file, `${escapeText(name)} has an invalid size: damaged`);
    }
    count *= size;
    extent *= size || 1; // a size of zero must not hide the overflow of another
  }
  if (extent > Number.MAX_SAFE_INTEGER) throw impossible();
  return count;
}

/**
 * Locates a tensor in a storage.
 *
 * @param entry The description of the tensor, with an unchecked shape.
 * @param strides The strides in elements, unchecked.
 * @param storage The storage, which is inside the file.
 * @param offset The offset in the storage in elements, unchecked.
 * @param file The file's name in error messages, and its size in bytes.
 * @throws {FileError} When an element is outside the storage.
 */
export function locateTensor(
  { name, dtype, shape }: WeightEntry,
  strides: readonly unknown[],
  storage: StorageRange,
  offset: unknown,
  file: { readonly name: string; readonly size: number },
): StoredTensor {
  const count = elementCount(shape, name, file.name);
  const bytes = itemSize(dtype);
  const bad = (why: string) => new FileError(file.name, `${escapeText(name)} ${why}: damaged`);
  if (strides.length !== shape.length) throw bad("has the wrong number of strides for its shape");
  if (!isCount(offset) || !strides.every(isCount)) throw bad("has an invalid stride or offset");
  if (count === 0) return { name, dtype, shape, count, start: 0, span: 0 };

  // `last` is the offset of the last element from the first, `dense` the stride of row-major order.
  let last = 0, dense = 1, isRowMajor = true;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    last += (shape[axis] - 1) * strides[axis];
    if (shape[axis] !== 1 && strides[axis] !== dense) isRowMajor = false;
    dense *= shape[axis];
  }
  if (!((offset + last + 1) * bytes <= storage.length)) {
    throw bad(`extends beyond its storage of ${storage.length} bytes`);
  }
  return {
    name,
    dtype,
    shape,
    count,
    start: storage.start + offset * bytes,
    deferred: storage.deferred,
    span: (last + 1) * bytes,
    // The stride of an axis of size 1 is never used, and may be any number.
    strides: isRowMajor ? undefined : strides.map((stride, i) => shape[i] === 1 ? 0 : stride),
  };
}

/** Whether an unchecked value is a size, a stride or an offset. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/**
 * A part of a storage that is read at once, because its tensors lie between each other's elements: parts
 * of a fused tensor that was split along an inner axis, or columns of a matrix.
 */
export interface Region {
  /** Its offset in bytes, counted as in its tensors. */
  readonly start: number;
  end: number;
  readonly tensors: StoredTensor[];
}

/** A region whose tensors fill at least this part of it is read whole, however large it is. */
const leastDensity = 1 / 8;

/** Spans of up to 16 MiB are read whole in any case, in regions of up to twice that size. */
const maxSparseSpan = 16 << 20;

/** Finds the region of each tensor that has strides. Others are few and far between: read each run alone. */
export function findRegions(tensors: Iterable<StoredTensor>): Map<StoredTensor, Region> {
  const regions = group([...tensors].filter(({ strides }) => strides), Infinity);
  const found = regions.flatMap((region) => {
    const { start, end, tensors } = region;
    const filled = tensors.reduce((sum, { count, dtype }) => sum + count * itemSize(dtype), 0);
    if (end - start <= maxSparseSpan || filled >= leastDensity * (end - start)) return [region];
    return group(tensors.filter(({ span }) => span <= maxSparseSpan), 2 * maxSparseSpan);
  });
  return new Map(found.flatMap((region) => region.tensors.map((tensor) => [tensor, region])));
}

/** Groups tensors whose spans overlap, and whose elements are aligned in each other's arrays. */
function group(tensors: readonly StoredTensor[], maxLength: number): Region[] {
  const regions: Region[] = [];
  for (const tensor of [...tensors].sort(compareFileOrder)) {
    const { start, span, deferred, source, dtype } = tensor, end = start + span;
    const last = regions.at(-1), first = last?.tensors[0];
    const fits = last && start < last.end && end - last.start <= maxLength &&
      (start - last.start) % itemSize(dtype) === 0 &&
      first?.deferred?.rank === deferred?.rank && first?.source === source;
    if (!fits) regions.push({ start, end, tensors: [tensor] });
    else {
      last.end = Math.max(last.end, end);
      last.tensors.push(tensor);
    }
  }
  return regions;
}

/** Keeps regions in memory until all of their tensors are read. */
export class RegionMemory {
  readonly #regions: ReadonlyMap<StoredTensor, Region>;
  #kept:
    | Map<Region, { readonly bytes: Uint8Array<ArrayBuffer>; readonly unread: Set<StoredTensor> }>
    | undefined = new Map();

  /** @param tensors All tensors of a file. */
  constructor(tensors: Iterable<StoredTensor>) {
    this.#regions = findRegions(tensors);
  }

  /** The bytes from a tensor's first element to its last. Undefined if the tensor is in no region. */
  async read(
    tensor: StoredTensor,
    source: ByteSource,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const region = this.#regions.get(tensor);
    if (!region) return undefined;
    let kept = this.#kept?.get(region);
    if (!kept) {
      const from = await offsetOf({ ...tensor, start: region.start });
      const bytes = await readBytes(source, from, region.end - region.start);
      kept = { bytes, unread: new Set(region.tensors) };
      this.#kept?.set(region, kept);
    }
    kept.unread.delete(tensor);
    if (kept.unread.size === 0) this.#kept?.delete(region);
    const start = tensor.start - region.start;
    return kept.bytes.subarray(start, start + tensor.span);
  }

  /** Frees the memory. */
  close(): void {
    this.#kept = undefined;
  }
}

/** The number of neighbouring elements that end a row-major walk through a tensor, and their axes. */
export function runOf({ shape, strides }: StoredTensor): { length: number; axes: number } {
  let length = 1, axes = 0;
  for (let axis = shape.length - 1; axis >= 0; axis--, axes++) {
    if (shape[axis] !== 1 && strides?.[axis] !== length) break;
    length *= shape[axis];
  }
  return { length, axes };
}

/** How much larger than their file all tensors together may be, in bytes: 64 MiB. */
const maxSharedBytes = 64 << 20;

/**
 * Limits how often tensors share elements. Otherwise a small file could claim tensors of any size, with a
 * stride of 0 (an expanded tensor) or as views of one storage.
 */
export class SharedElements {
  #bytes = 0;

  /** @param file The file's name in error messages, and its size in bytes. */
  constructor(readonly file: { readonly name: string; readonly size: number }) {}

  /**
   * Counts a tensor.
   *
   * @throws {FileError} When all tensors have more bytes than four times the file's size plus 64 MiB.
   */
  add({ name, dtype, shape, count, strides }: StoredTensor): void {
    this.#bytes += count * itemSize(dtype);
    if (this.#bytes <= 4 * this.file.size + maxSharedBytes) return;
    const kind = strides?.some((stride, axis) => stride === 0 && shape[axis] > 1)
      ? "is an expanded tensor (stride 0)"
      : "shares its elements with other tensors";
    throw new FileError(
      this.file.name,
      `${escapeText(name)} ${formatShape(shape)} ${kind}, too large for a file of ` +
        `${this.file.size} bytes: save it after clone()`,
    );
  }
}
