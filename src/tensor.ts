/**
 * Tensors, and the backends whose memory they lie in.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "./errors.ts";

/** Sizes of a tensor's axes, outermost first; activations are N, C, (H,) W. */
export type Shape = readonly number[];

/**
 * What a tensor's elements are read as: float32, int32 for the indices of maxima, int8 for quantised
 * weights, uint16 for the bits of float16.
 */
export type Values = Float32Array | Int32Array | Int8Array | Uint16Array;

/**
 * Memory of a backend, shared by all tensors that view it.
 *
 * @internal
 */
export interface TensorStorage {
  /** Size in bytes. */
  readonly bytes: number;
  /** True once it was given back; using it then throws. */
  freed: boolean;
  /** Counts the writes, so that what was prepared from the values knows when it is stale. */
  version: number;
}

/**
 * A dense row-major tensor in a backend's memory, made by {@linkcode Backend.upload} or
 * {@linkcode Backend.empty} or returned by an operation. Its memory is not garbage collected:
 * `dispose()` it, or declare it with `using`.
 *
 * @example
 * ```ts
 * import { createBackend } from "./backend/mod.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 2, 3, 4]), [2, 2]);
 * console.log(x.shape, await x.read());
 * ```
 */
export class Tensor<V extends Values = Float32Array> implements Disposable {
  /** Its shape; a copy, which nobody can change. */
  readonly shape: Shape;
  /** Number of elements. */
  readonly size: number;
  /**
   * Backends call this; see {@linkcode Backend.upload} instead.
   *
   * @param backend The backend whose memory it is.
   * @param shape Its shape; every size is at least 1.
   * @param storage Where its elements lie, from the first byte on.
   * @param type The array its elements are read into.
   * @param owner Whether disposing it frees the storage; a view does not.
   */
  constructor(
    readonly backend: Backend,
    shape: Shape,
    readonly storage: TensorStorage,
    readonly type: new (values: ArrayBuffer) => V,
    private readonly owner = true,
  ) {
    this.shape = Object.freeze([...shape]);
    this.size = elements(shape);
  }

  /** Counts the writes to its memory, through this tensor or any other. */
  get version(): number {
    return this.storage.version;
  }

  /** Copies the elements out, in row-major order. */
  read(): Promise<V> {
    this.assertAlive("read");
    return this.backend.read(this);
  }

  /** The same memory under another shape, of as many elements or fewer (the first ones). */
  view(shape: Shape): Tensor<V> {
    this.assertAlive("view");
    if (!isShape(shape) || elements(shape) > this.size) {
      throw new ArgumentError("view", "shape", shape, `of at most ${this.size} elements`);
    }
    return new Tensor(this.backend, shape, this.storage, this.type, false);
  }

  /**
   * The same memory under another shape of as many elements, owned as this tensor owned it: it takes
   * this tensor's place, which is not to be used any more.
   */
  adopt(shape: Shape): Tensor<V> {
    if (sameShape(shape, this.shape)) return this;
    this.assertAlive("adopt");
    return new Tensor(this.backend, shape, this.storage, this.type, this.owner);
  }

  /** Gives the memory back, if this tensor owns it and has not done so before. */
  dispose(): void {
    if (this.owner && !this.storage.freed) this.backend.free(this);
  }

  /** What `using` calls at the end of the block: {@linkcode Tensor.dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Throws unless the memory is still there. */
  assertAlive(op: string): void {
    if (this.storage.freed) {
      throw new PembrokeError(`${op}: the tensor [${this.shape.join(", ")}] was disposed before`);
    }
  }
}

/**
 * A device with its memory, made by `createBackend()`. Two backends never share anything;
 * `dispose()` frees all of it.
 *
 * Operations return as soon as their work is queued. Only {@linkcode Tensor.read} waits.
 */
export interface Backend extends Disposable {
  /** What computes, for people: "wasm (relaxed simd)", "webgpu (NVIDIA H100)". */
  readonly name: string;
  /** What computes, for programs. */
  readonly device: "wasm" | "webgpu";
  /** Number of threads it computes with, including the caller's. */
  readonly threads: number;
  /** Bytes that live tensors take. */
  readonly bytesInUse: number;

  /** Makes a tensor with these values, in row-major order. */
  upload(values: Float32Array | readonly number[], shape: Shape): Tensor;
  /** Makes a tensor of indices with these values. */
  uploadIndices(values: Int32Array, shape: Shape): Tensor<Int32Array>;
  /** Makes a tensor whose values are undefined until something is written to it. */
  empty(shape: Shape): Tensor;
  /** Makes a tensor of indices whose values are undefined. */
  emptyIndices(shape: Shape): Tensor<Int32Array>;
  /** Makes a tensor of 8-bit integers whose values are undefined. */
  emptyInt8(shape: Shape): Tensor<Int8Array>;
  /** Sets every element to `value`. */
  fill(tensor: Tensor, value: number): void;
  /** Overwrites the elements from `offset` on. */
  write(tensor: Tensor, values: Float32Array, offset?: number): void;
  /** Copies a tensor's elements out, in row-major order. */
  read<V extends Values>(tensor: Tensor<V>): Promise<V>;
  /** Frees a tensor's memory. */
  free(tensor: Tensor<Values>): void;
  /** Frees everything. The backend and its tensors are unusable from then on. */
  dispose(): void;
}

/** Whether every size is a positive integer. */
export function isShape(shape: Shape): boolean {
  return shape.every((size) => Number.isInteger(size) && size >= 1);
}

/** The number of elements of a shape. */
export function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Whether two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}
