/**
 * Reading tensors, once a format has said where they lie.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { isFloat, itemSize, toFloat32 } from "./dtype.ts";
import { byPlace, type StoredTensor, type WeightEntry } from "./layout.ts";
import { dequantize } from "./quantized.ts";
import { type ByteSource, readBytes } from "./io/source.ts";
import { shown } from "./io/quote.ts";

/** The formats that are read. */
export type WeightsFormat = "pth" | "pth-legacy" | "safetensors" | "onnx";

/** Receives a piece of a tensor. `values` is only valid during the call; `offset` is in elements. */
export type WeightSink = (values: Float32Array, offset: number) => void;

/** An open file of weights. */
export interface WeightsFile extends Disposable {
  /** What the user knows it by. */
  readonly name: string;
  /** What it was found to be. */
  readonly format: WeightsFormat;
  /** The `__metadata__` of safetensors; empty for the others. */
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * Its tensors by name, also those that are no weights (`num_batches_tracked`). The scale of a
   * quantised tensor belongs to that and has no entry.
   */
  readonly entries: ReadonlyMap<string, WeightEntry>;
  /** The names of all entries in the order in which they lie there: that to read a stream in. */
  readonly order: readonly string[];
  /**
   * Reads one tensor as float32 in row-major order, a piece (at most 1 MiB) at a time; what is
   * quantised comes multiplied out. An empty tensor never reaches the sink.
   *
   * @throws {ArgumentError} When there is no such entry, or the file was closed.
   * @throws {FileError} When its elements are no real numbers, or the file cannot be read.
   */
  read(name: string, sink: WeightSink): Promise<void>;
  /** Closes the source; closing twice does nothing. */
  close(): void;
}

/** Whether an entry can be read as float32. */
export function isWeight({ dtype, quantized }: WeightEntry): boolean {
  return isFloat(dtype) || quantized === true;
}

/** The kinds that can be read, for error messages. */
export const weightKinds = "F32, F16, BF16, F64 or I8 with a scale";

/** 1 MiB of float32: stays in the second-level cache between the read and the sink. */
const chunkElements = 1 << 18;

/** Memory for one reading at a time: as stored, and as float32. */
interface Workspace {
  readonly raw: ArrayBuffer;
  readonly values: Float32Array;
}

/** A file whose tensors have been found. */
export class TensorFile implements WeightsFile {
  readonly entries: ReadonlyMap<string, WeightEntry>;
  readonly order: readonly string[];
  readonly #source: ByteSource;
  readonly #tensors: ReadonlyMap<string, StoredTensor>;
  #spare: Workspace | undefined;
  #open = true;

  constructor(
    source: ByteSource,
    readonly format: WeightsFormat,
    tensors: ReadonlyMap<string, StoredTensor>,
    readonly metadata: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#source = source;
    this.#tensors = tensors;
    this.entries = new Map(
      [...tensors].map(([key, { name, dtype, shape, scale }]) => [
        key,
        scale ? { name, dtype, shape, quantized: true } : { name, dtype, shape },
      ]),
    );
    this.order = [...tensors].sort(([, a], [, b]) => byPlace(a, b)).map(([name]) => name);
  }

  get name(): string {
    return this.#source.name;
  }

  async read(name: string, sink: WeightSink): Promise<void> {
    if (!this.#open) throw new ArgumentError("read", "file", "closed", "open");
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new ArgumentError("read", "name", name, `an entry of ${this.name}`);
    if (!tensor.scale && !isFloat(tensor.dtype)) {
      throw new FileError(
        this.name,
        `${shown(name)} is ${tensor.dtype}, weights are ${weightKinds}`,
      );
    }
    if (tensor.count === 0) return;
    // Taken while in use, so that readings that overlap in time get one each.
    const space = this.#spare ?? this.#workspace();
    this.#spare = undefined;
    try {
      await (tensor.strides ? this.#gather : this.#stream).call(this, tensor, space, sink);
    } finally {
      this.#spare = space;
    }
  }

  close(): void {
    if (this.#open) this.#source.close();
    this.#open = false;
    this.#spare = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #workspace(): Workspace {
    let largest = 0;
    for (const { count } of this.#tensors.values()) largest = Math.max(largest, count);
    const elements = Math.min(largest, chunkElements);
    // Room for F64; pages that a narrower kind never touches cost nothing.
    return { raw: new ArrayBuffer(8 * elements), values: new Float32Array(elements) };
  }

  /** Elements that follow each other. */
  async #stream(tensor: StoredTensor, { raw, values }: Workspace, sink: WeightSink) {
    const { dtype, source = this.#source } = tensor, bytes = itemSize(dtype);
    const start = await placeOf(tensor);
    const scale = tensor.scale && await this.#factors(tensor.scale);
    for (let done = 0; done < tensor.count;) {
      const count = Math.min(values.length, tensor.count - done);
      await source.read(start + done * bytes, new Uint8Array(raw, 0, count * bytes));
      if (scale) {
        sink(dequantize(raw, count, done, tensor.count / scale.length, scale, values), done);
      } else if (isFloat(dtype)) sink(scaled(toFloat32(dtype, raw, count, values), tensor), done);
      done += count;
    }
  }

  /** The factors of a quantised tensor. */
  async #factors(tensor: StoredTensor): Promise<Float32Array | undefined> {
    const { dtype, count, span } = tensor;
    if (!isFloat(dtype)) return undefined;
    const { buffer } = await readBytes(this.#source, await placeOf(tensor), span);
    return toFloat32(dtype, buffer, count, new Float32Array(dtype === "F32" ? 0 : count));
  }

  /** Elements in any other order: all that they span is held while they are picked out of it. */
  async #gather(tensor: StoredTensor, { raw, values }: Workspace, sink: WeightSink) {
    const { dtype, shape, strides, source = this.#source } = tensor;
    if (!isFloat(dtype) || !strides) return;
    const bytes = itemSize(dtype);
    const held = await readBytes(source, await placeOf(tensor), tensor.span);
    const Elements = bytes === 2 ? Uint16Array : bytes === 4 ? Uint32Array : BigUint64Array;
    const from = new Elements(held.buffer), to = new Elements(raw);

    const index = shape.map(() => 0);
    for (let done = 0, at = 0; done < tensor.count;) {
      const count = Math.min(values.length, tensor.count - done);
      for (let i = 0; i < count; i++) {
        to[i] = from[at];
        // The next index, like an odometer; `at` follows it.
        for (let axis = shape.length - 1; axis >= 0; axis--) {
          at += strides[axis];
          if (++index[axis] < shape[axis]) break;
          at -= shape[axis] * strides[axis];
          index[axis] = 0;
        }
      }
      sink(scaled(toFloat32(dtype, raw, count, values), tensor), done);
      done += count;
    }
  }
}

/** Where in its source a tensor's first element is. */
async function placeOf({ start, later }: StoredTensor): Promise<number> {
  return start + (await later?.start() ?? 0);
}

/** Multiplies a piece by its tensor's factor, in place. */
function scaled(values: Float32Array, { factor = 1 }: StoredTensor): Float32Array {
  if (factor !== 1) { for (let i = 0; i < values.length; i++) values[i] *= factor; }
  return values;
}
