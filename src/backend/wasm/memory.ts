/**
 * Tensors in a WebAssembly memory.
 *
 * @module
 */

import type { Backend } from "../mod.ts";
import { ArgumentError, PembrokeError } from "../../errors.ts";
import { elements, isShape, type Shape, type Storage, Tensor, type Values } from "../../tensor.ts";
import { type ArrayType, checkLength } from "../arrays.ts";
import { Allocator } from "./allocator.ts";

/** A block of the memory. */
interface WasmStorage extends Storage {
  readonly address: number;
}

/** The part of the Wasm backend that holds tensors. */
export abstract class WasmMemory {
  /** What computes. */
  abstract readonly name: string;
  readonly #memory: WebAssembly.Memory;
  readonly #allocator: Allocator;
  /** Working memory of the kernels, grown to the largest need; no call leaves anything in it. */
  #scratch = { address: 0, bytes: 0 };
  #disposed = false;

  /**
   * @param memory The memory, all of which is used.
   * @param base The first address that is free.
   */
  constructor(memory: WebAssembly.Memory, base: number) {
    this.#memory = memory;
    this.#allocator = new Allocator(memory, base);
  }

  get bytesInUse(): number {
    return this.#disposed ? 0 : this.#allocator.inUse - this.#scratch.bytes;
  }

  upload(values: Float32Array | readonly number[], shape: Shape): Tensor {
    checkLength("upload", values.length, shape);
    const tensor = this.empty(shape);
    this.#view("upload", tensor).set(values);
    return tensor;
  }

  empty(shape: Shape): Tensor {
    return this.#tensor(shape, Float32Array);
  }

  uploadIndices(values: Int32Array, shape: Shape): Tensor<Int32Array> {
    checkLength("uploadIndices", values.length, shape);
    const tensor = this.emptyIndices(shape);
    this.#view("uploadIndices", tensor).set(values);
    return tensor;
  }

  fill(tensor: Tensor, value: number): void {
    this.#view("fill", tensor).fill(value);
    tensor.storage.version++;
  }

  emptyIndices(shape: Shape): Tensor<Int32Array> {
    return this.#tensor(shape, Int32Array);
  }

  emptyInt8(shape: Shape): Tensor<Int8Array> {
    return this.#tensor(shape, Int8Array);
  }

  write(tensor: Tensor, values: Float32Array, offset = 0): void {
    const view = this.#view("write", tensor);
    if (!Number.isInteger(offset) || offset < 0 || offset + values.length > view.length) {
      const takes = `inside the tensor's ${view.length} elements`;
      throw new ArgumentError(
        "write",
        "the range",
        `${offset} … ${offset + values.length}`,
        takes,
      );
    }
    view.set(values, offset);
    tensor.storage.version++;
  }

  read<V extends Values>(tensor: Tensor<V>): Promise<V> {
    return Promise.resolve(this.#view("read", tensor).slice() as V);
  }

  free(tensor: Tensor<Values>): void {
    const storage = tensor.storage as WasmStorage;
    this.#assertOwn("free", tensor);
    if (storage.freed) return;
    storage.freed = true;
    if (!this.#disposed) this.#allocator.free(storage.address, storage.bytes);
  }

  dispose(): void {
    // The memory goes with the last reference to it; tensors that are left refuse to be used.
    this.#disposed = true;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #tensor<V extends Values>(shape: Shape, type: ArrayType<V>): Tensor<V> {
    this.#assertAlive();
    if (!isShape(shape)) {
      throw new ArgumentError("tensor", "shape", shape, "positive integers");
    }
    const bytes = elements(shape) * type.BYTES_PER_ELEMENT;
    const address = this.#allocator.alloc(bytes);
    const storage: WasmStorage = { address, bytes, freed: false, version: 0 };
    return new Tensor(this as unknown as Backend, shape, storage, type);
  }

  /** A tensor's address; 0, which no tensor has, for none. */
  protected at(tensor: Tensor<Values> | null): number {
    this.#assertAlive();
    return tensor ? (tensor.storage as WasmStorage).address : 0;
  }

  /** The address of a tensor that is about to be written. */
  protected out(tensor: Tensor<Values> | null): number {
    if (tensor) tensor.storage.version++;
    return this.at(tensor);
  }

  /** A tensor's elements in place. The view dies when the memory grows: never keep one. */
  #view<V extends Values>(op: string, tensor: Tensor<V>): V {
    this.#assertOwn(op, tensor);
    tensor.assertAlive(op);
    const type = tensor.type as unknown as new (b: ArrayBufferLike, at: number, n: number) => V;
    return new type(this.#memory.buffer, this.at(tensor), tensor.size);
  }

  #assertAlive(): void {
    if (this.#disposed) throw new PembrokeError(`${this.name}: the backend was disposed before`);
  }

  #assertOwn(op: string, tensor: Tensor<Values>): void {
    if (tensor.backend as unknown === this) return;
    throw new ArgumentError(op, "tensor", `on ${tensor.backend.name}`, "on this backend");
  }

  /** The address of at least so many bytes of working memory. */
  protected scratchOf(bytes: number): number {
    if (this.#scratch.bytes < bytes) {
      const { address: old, bytes: oldBytes } = this.#scratch;
      this.#scratch = { address: 0, bytes: 0 };
      if (oldBytes) this.#allocator.free(old, oldBytes);
      const before = this.#allocator.inUse;
      const address = this.#allocator.alloc(bytes);
      this.#scratch = { address, bytes: this.#allocator.inUse - before };
    }
    return this.#scratch.address;
  }
}

/** A memory for several threads; undefined where the engine has none. */
export function sharedMemory(): WebAssembly.Memory | undefined {
  if (typeof SharedArrayBuffer === "undefined") return undefined;
  for (const maximum of [65536, 32768, 16384]) {
    try {
      return new WebAssembly.Memory({ initial: 16, maximum, shared: true });
    } catch {
      // so many addresses are not to be had
    }
  }
  return undefined;
}
