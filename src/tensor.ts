/**
 * Tensors, and the interface of the backends that hold them.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "./errors.ts";

/** Sizes of a tensor's axes, outermost first. Activations are [N, C, H, W] or [N, C, L]. */
export type Shape = readonly number[];

/**
 * The array type that a tensor is read into: float32 by default, int32 for the indices of maxima,
 * int8 for quantised weights, uint16 for the bits of float16.
 */
export type Values = Float32Array | Int32Array | Int8Array | Uint16Array;

/**
 * A class of typed arrays.
 *
 * @internal
 */
export interface ArrayType<V> {
  new (values: ArrayBufferLike, byteOffset?: number, length?: number): V;
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
}

/**
 * The method that `console.log()` calls in Deno, Node and Bun.
 *
 * @internal
 */
export const inspect: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/**
 * A block of a backend's memory, shared by a tensor and its views.
 *
 * @internal
 */
export interface TensorStorage {
  /** Size in bytes. */
  readonly bytes: number;
  /** True after the memory was freed; using it then throws. */
  freed: boolean;
  /** Grows with every write, so that caches of the values notice changes. */
  version: number;
}

/**
 * A dense, row-major tensor in a backend's memory. {@linkcode Backend.upload} and
 * {@linkcode Backend.empty} create one, and operations return one. The memory is not garbage
 * collected: call `dispose()`, or declare the tensor with `using`.
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
  /** The sizes of its axes: a frozen copy. */
  readonly shape: Shape;
  /** Number of elements. */
  readonly size: number;

  /**
   * For backends. Use {@linkcode Backend.upload} to create a tensor.
   *
   * @param backend The backend that holds the elements.
   * @param shape The sizes of its axes, each at least 1.
   * @param storage The memory of the elements, which start at its first byte.
   * @param type The array type that elements are read into.
   * @param ownsStorage Whether `dispose()` frees the storage. False for views.
   */
  constructor(
    readonly backend: Backend,
    shape: Shape,
    readonly storage: TensorStorage,
    readonly type: ArrayType<V>,
    /** @internal */
    readonly ownsStorage = true,
  ) {
    this.shape = Object.freeze([...shape]);
    this.size = elements(shape);
  }

  /** The number of writes to its memory, through this tensor or a view of the same memory. */
  get version(): number {
    return this.storage.version;
  }

  /**
   * Copies the elements to an array, in row-major order. They are those of the time of the call: the
   * tensor may be written to, or disposed of, before the copy arrives.
   */
  read(): Promise<V> {
    return this.backend.read(this);
  }

  /**
   * Returns a tensor of another shape that shares this tensor's memory.
   *
   * @throws {ArgumentError} When the shape has another number of elements.
   */
  view(shape: Shape): Tensor<V> {
    this.assertAlive("view");
    if (!isShape(shape) || elements(shape) !== this.size) {
      const count = this.size === 1 ? "one element" : `${this.size} elements`;
      throw new ArgumentError("view", "shape", shape, `a shape of ${count}`);
    }
    return new Tensor(this.backend, shape, this.storage, this.type, false);
  }

  /** Frees the memory, unless this tensor is a view of another one. Further calls do nothing. */
  dispose(): void {
    this.backend.free(this);
  }

  /** Calls {@linkcode Tensor.dispose}. `using` calls it at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What `console.log()` prints: the shape and the backend. */
  [inspect](): string {
    const place = this.storage.freed ? ", disposed" : ` on ${this.backend.name}`;
    return `Tensor [${this.shape.join(", ")}]${place}`;
  }

  /**
   * Checks that the memory was not freed.
   *
   * @param op The name of the function in the error message.
   * @throws {PembrokeError} When the tensor was disposed.
   */
  assertAlive(op: string): void {
    if (this.storage.freed) {
      throw new PembrokeError(`${op}: the tensor [${this.shape.join(", ")}] was already disposed`);
    }
  }
}

/**
 * A device and its memory, created by `createBackend()`. Backends share nothing with each other.
 * `dispose()` frees all memory.
 *
 * Operations return as soon as their work is queued. Only {@linkcode Tensor.read} waits for
 * results.
 */
export interface Backend extends Disposable {
  /** The device in words: "wasm (relaxed simd)", "webgpu (NVIDIA H100)". */
  readonly name: string;
  /** The kind of device. */
  readonly device: "wasm" | "webgpu";
  /** Number of threads that compute, including the caller's. */
  readonly threads: number;
  /** Bytes that tensors occupy at the moment. */
  readonly bytesInUse: number;

  /** Creates a tensor with these values, in row-major order. */
  upload(values: Float32Array | readonly number[], shape: Shape): Tensor;
  /** Creates a tensor of indices with these values. */
  uploadIndices(values: Int32Array, shape: Shape): Tensor<Int32Array>;
  /** Creates an uninitialised tensor. */
  empty(shape: Shape): Tensor;
  /** Creates an uninitialised tensor of indices. */
  emptyIndices(shape: Shape): Tensor<Int32Array>;
  /** Creates an uninitialised tensor of 8-bit integers. */
  emptyInt8(shape: Shape): Tensor<Int8Array>;
  /** Sets every element to `value`. */
  fill(tensor: Tensor, value: number): void;
  /** Overwrites the elements from `offset` on. */
  write(tensor: Tensor, values: Float32Array, offset?: number): void;
  /** Copies a tensor's elements to an array, in row-major order. */
  read<V extends Values>(tensor: Tensor<V>): Promise<V>;
  /** Frees a tensor's memory, as {@linkcode Tensor.dispose} does. */
  free(tensor: Tensor<Values>): void;
  /** Frees all memory. The backend and its tensors cannot be used afterwards. */
  dispose(): void;
}

/**
 * Makes an object of tensors, or a list of them, disposable: `using` then disposes of every tensor in
 * it. Returns the same object.
 *
 * @internal
 */
export function disposable<T extends object>(tensors: T): T & Disposable {
  const value = () => {
    for (const tensor of Object.values(tensors)) if (tensor instanceof Tensor) tensor.dispose();
  };
  return Object.defineProperty(tensors, Symbol.dispose, { value }) as T & Disposable;
}

/**
 * Returns a tensor of another shape with the same number of elements, which takes over the memory. The
 * caller must forget the old tensor: both would free the memory.
 */
export function withShape(tensor: Tensor, shape: Shape): Tensor {
  if (sameShape(shape, tensor.shape)) return tensor;
  const { backend, storage, type } = tensor.view(shape);
  return new Tensor(backend, shape, storage, type, tensor.ownsStorage);
}

/** Returns whether a value is a list of positive integers. */
export function isShape(shape: unknown): shape is Shape {
  return Array.isArray(shape) &&
    shape.findIndex((size) => !Number.isInteger(size) || size < 1) < 0; // every() skips holes
}

/** Returns the number of elements of a shape. */
export function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Returns whether two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a === b || a.length === b.length && a.every((size, i) => size === b[i]);
}
