/**
 * Reads tensors in chunks, once a format has located them in the file.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { type FloatDType, isFloat, itemSize, swapBytes, toFloat32 } from "./dtype.ts";
import {
  compareFileOrder,
  offsetOf,
  RegionMemory,
  runOf,
  type StoredTensor,
  type WeightEntry,
} from "./layout.ts";
import { shortNames } from "./names.ts";
import { dequantize, maxStored } from "./quantized.ts";
import { type ByteSource, readBytes } from "./io/source.ts";
import { escapeText } from "./io/quote.ts";

/**
 * The file formats that can be read.
 */
export type WeightsFormat = "pth" | "pth-legacy" | "safetensors" | "onnx" | "deep-compression";

/**
 * Receives a chunk of a tensor. `values` is valid only during the call; `offset` is in elements.
 */
export type WeightSink = (values: Float32Array, offset: number) => void;

/**
 * Receives whole rows of a quantised tensor as they are stored. The values of row i are its
 * integers times `scale[i]`. The arrays are valid only during the call.
 */
export type IntegerSink = (integers: Int8Array, offset: number, scale: Float32Array) => void;

/** An open file of weights. */
export interface WeightsFile extends Disposable {
  /** The name that the user knows. */
  readonly name: string;
  /** The detected format. */
  readonly format: WeightsFormat;
  /** The `__metadata__` of a safetensors file; empty for other formats. */
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * The tensors by name, including those that are not weights (`num_batches_tracked`). The scales
   * of a quantised tensor have no entry of their own.
   */
  readonly entries: ReadonlyMap<string, WeightEntry>;
  /** The names of all entries in file order, in which a stream should be read. */
  readonly order: readonly string[];
  /**
   * Reads a tensor as float32 in row-major order, in chunks of at most 256 KiB. Quantised tensors
   * are dequantised. The sink is not called for an empty tensor.
   *
   * @param integerSink Receives a tensor of integers and scales instead, if it is stored row by
   * row.
   * @throws {ArgumentError} When there is no such entry, or the file is closed.
   * @throws {FileError} When the elements are not floats or quantised, or the file cannot be read.
   */
  read(name: string, sink: WeightSink, integerSink?: IntegerSink): Promise<void>;
  /** Closes the source. Closing twice is harmless. */
  close(): void;
}

/** Whether an entry can be read as float32. */
export function isWeight({ dtype, quantized }: WeightEntry): boolean {
  return isFloat(dtype) || quantized === true;
}

/** The types that can be read as float32, for error messages. */
export const weightTypes = "F32, F16, BF16, F64, F8 or I8 with a scale";

/**
 * 256 KiB of float32, so that a chunk stays in the L2 cache between the read and the sink. Larger
 * chunks would need fewer reads, but the first use of fresh memory takes longer than many small
 * reads.
 */
const chunkElements = 1 << 16;

/** Arrays that copy elements of any type, by their size in bytes. */
const elementArrays: Readonly<
  Record<
    number,
    new (
      buffer: ArrayBuffer,
      offset?: number,
      length?: number,
    ) => Uint8Array | Uint16Array | Uint32Array
  >
> = {
  1: Uint8Array,
  2: Uint16Array,
  4: Uint32Array,
  8: Float64Array as never, // faster than BigUint64Array
};

/** The memory of one read: the stored bytes, and the float32 values. */
interface Buffers {
  readonly raw: ArrayBuffer;
  readonly values: Float32Array;
}

/** The descriptions of tensors, by their names in the file. */
function entriesOf(tensors: ReadonlyMap<string, StoredTensor>): Map<string, WeightEntry> {
  const entries = new Map<string, WeightEntry>();
  for (const [name, { dtype, shape, scale, integers }] of tensors) {
    const entry = { name, dtype: integers ?? dtype, shape };
    entries.set(name, scale || integers ? { ...entry, quantized: true } : entry);
  }
  return entries;
}

/** A file whose tensors are located. */
export class TensorFile implements WeightsFile {
  readonly #source: ByteSource;
  #tensors: ReadonlyMap<string, StoredTensor>;
  #entries: ReadonlyMap<string, WeightEntry>;
  #order: readonly string[];
  readonly #regions: RegionMemory;
  #spare: Buffers | undefined;
  #open = true;

  constructor(
    source: ByteSource,
    readonly format: WeightsFormat,
    tensors: ReadonlyMap<string, StoredTensor>,
    readonly metadata: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#source = source;
    this.#tensors = tensors;
    this.#entries = entriesOf(tensors);
    this.#order = [...tensors].sort(([, a], [, b]) => compareFileOrder(a, b)).map(([key]) => key);
    this.#regions = new RegionMemory(tensors.values());
  }

  get entries(): ReadonlyMap<string, WeightEntry> {
    return this.#entries;
  }

  get order(): readonly string[] {
    return this.#order;
  }

  /** Removes what training tools add to the names of tensors. See {@linkcode shortNames}. */
  shortenNames(): void {
    const names = shortNames(this.#entries, isWeight), tensors = this.#tensors;
    if (names.size === tensors.size && [...names].every(([full, short]) => full === short)) return;
    this.#tensors = new Map([...names].map(([full, short]) => [short, tensors.get(full)!]));
    this.#entries = entriesOf(this.#tensors);
    this.#order = this.#order.flatMap((name) => names.get(name) ?? []);
  }

  get name(): string {
    return this.#source.name;
  }

  async read(name: string, sink: WeightSink, integerSink?: IntegerSink): Promise<void> {
    if (!this.#open) throw new ArgumentError("read", "file", "closed", "open");
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new ArgumentError("read", "name", name, `an entry of ${this.name}`);
    if (!tensor.scale && !isFloat(tensor.dtype)) {
      throw new FileError(
        this.name,
        `${escapeText(name)} is ${tensor.dtype}, weights must be ${weightTypes}`,
      );
    }
    if (tensor.count === 0) return;
    // Taken while in use, so that concurrent reads have buffers of their own.
    const buffers = this.#spare ?? this.#createBuffers();
    this.#spare = undefined;
    try {
      if (tensor.strides) await this.#readStrided(tensor, buffers, sink);
      else if (!integerSink || !await this.#readIntegers(tensor, buffers, integerSink)) {
        await this.#readContiguous(tensor, buffers, sink);
      }
    } finally {
      this.#spare = buffers;
    }
  }

  close(): void {
    if (this.#open) this.#source.close();
    this.#open = false;
    this.#spare = undefined;
    this.#regions.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #createBuffers(): Buffers {
    let largest = 0;
    for (const { count } of this.#tensors.values()) largest = Math.max(largest, count);
    const elements = Math.min(largest, chunkElements);
    // Room for F64. Narrower types never touch the second half, which then costs no memory.
    return { raw: new ArrayBuffer(8 * elements), values: new Float32Array(elements) };
  }

  /** Reads elements in contiguous row-major order. */
  async #readContiguous(tensor: StoredTensor, { raw, values }: Buffers, sink: WeightSink) {
    const { dtype, source = this.#source } = tensor, bytes = itemSize(dtype);
    const start = await offsetOf(tensor);
    const scale = tensor.scale && await this.#readScale(tensor.scale);
    for (let done = 0; done < tensor.count;) {
      const count = Math.min(values.length, tensor.count - done);
      await source.read(start + done * bytes, new Uint8Array(raw, 0, count * bytes));
      if (tensor.isBigEndian) swapBytes(raw, count, bytes);
      if (scale) {
        sink(dequantize(raw, count, done, tensor.count / scale.length, scale, values), done);
      } else if (isFloat(dtype)) sink(this.#toFloats(tensor, dtype, raw, count, values), done);
      done += count;
    }
  }

  /** Reads a quantised tensor as it is stored. Returns false for others, or if rows are long. */
  async #readIntegers(tensor: StoredTensor, { raw }: Buffers, sink: IntegerSink): Promise<boolean> {
    const row = tensor.scale ? tensor.count / tensor.scale.count : Infinity;
    if (!tensor.scale || row > raw.byteLength) return false;
    const scale = await this.#readScale(tensor.scale);
    if (!scale) return false;
    const { source = this.#source } = tensor, start = await offsetOf(tensor);
    const chunk = row * Math.floor(raw.byteLength / row);
    for (let done = 0; done < tensor.count; done += chunk) {
      const integers = new Int8Array(raw, 0, Math.min(chunk, tensor.count - done));
      await source.read(start + done, new Uint8Array(raw, 0, integers.length));
      sink(integers, done, scale);
    }
    return true;
  }

  /** Reads the scales of a quantised tensor. */
  async #readScale(tensor: StoredTensor): Promise<Float32Array | undefined> {
    const { dtype, count, span } = tensor;
    if (!isFloat(dtype)) return undefined;
    const { buffer } = await readBytes(this.#source, await offsetOf(tensor), span);
    const out = new Float32Array(dtype === "F32" ? 0 : count);
    const scale = this.#toFloats(tensor, dtype, buffer, count, out);
    const large = scale.find((value) => becameInfinite(value, Math.fround(maxStored * value)));
    if (large !== undefined) throw this.#tooLarge(tensor, maxStored * large);
    return scale;
  }

  /** Converts elements to float32, and multiplies them by the tensor's factor. */
  #toFloats(
    tensor: StoredTensor,
    dtype: FloatDType,
    raw: ArrayBuffer,
    count: number,
    out: Float32Array,
  ): Float32Array {
    const { factor = 1 } = tensor, values = toFloat32(dtype, raw, count, out);
    if (dtype === "F64") {
      const large = new Float64Array(raw, 0, count).find((x, i) => becameInfinite(x, values[i]));
      if (large !== undefined) throw this.#tooLarge(tensor, large);
    }
    if (factor === 1) return values;
    for (let i = 0; i < count; i++) {
      const product = values[i] * factor;
      values[i] = product;
      if (becameInfinite(product, values[i])) throw this.#tooLarge(tensor, product);
    }
    return values;
  }

  #tooLarge({ name }: StoredTensor, value: number): FileError {
    return new FileError(this.name, `${escapeText(name)}: ${value} is too large for float32`);
  }

  /**
   * Reads elements in any other order. Their region is read into memory. Elements that are in none are
   * few and far between: each run of neighbours is read alone.
   */
  async #readStrided(tensor: StoredTensor, { raw, values }: Buffers, sink: WeightSink) {
    const { dtype, shape, strides, count, source = this.#source } = tensor;
    if (!isFloat(dtype) || !strides) return;
    const bytes = itemSize(dtype), Elements = elementArrays[bytes], to = new Elements(raw);
    const span = await this.#regions.read(tensor, source),
      start = span ? 0 : await offsetOf(tensor);
    const from = span && new Elements(span.buffer, span.byteOffset, span.length / bytes);
    const run = runOf(tensor), index = shape.slice(0, shape.length - run.axes).fill(0);
    for (let done = 0, filled = 0, at = 0; done + filled < count;) {
      for (let i = 0; i < run.length;) {
        const some = Math.min(run.length - i, values.length - filled);
        if (from) { for (let k = 0; k < some; k++) to[filled + k] = from[at + i + k]; }
        else {
          const into = new Uint8Array(raw, filled * bytes, some * bytes);
          await source.read(start + (at + i) * bytes, into);
        }
        i += some;
        filled += some;
        if (filled < values.length && done + filled < count) continue;
        if (tensor.isBigEndian) swapBytes(raw, filled, bytes);
        sink(this.#toFloats(tensor, dtype, raw, filled, values), done);
        done += filled;
        filled = 0;
      }
      // Advance the index like an odometer, and `at` with it.
      for (let axis = index.length - 1; axis >= 0; axis--) {
        at += strides[axis];
        if (++index[axis] < shape[axis]) break;
        at -= shape[axis] * strides[axis];
        index[axis] = 0;
      }
    }
  }
}

/** Whether a value was finite before a conversion, but not after it. */
function becameInfinite(before: number, after: number): boolean {
  return Number.isFinite(before) && !Number.isFinite(after);
}
