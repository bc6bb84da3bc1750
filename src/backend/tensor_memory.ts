/**
 * The common part of the backends' memories: creates tensors, and checks what is written and read.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import {
  type Backend,
  elements,
  isShape,
  type Shape,
  Tensor,
  type TensorStorage,
  type Values,
} from "../tensor.ts";

/** A class of typed arrays. */
export interface ArrayType<V> {
  new (values: ArrayBufferLike, byteOffset?: number, length?: number): V;
  readonly BYTES_PER_ELEMENT: number;
}

/** Creates tensors for a backend. Subclasses store the bytes. */
export abstract class TensorMemory<S extends TensorStorage> {
  /** The backend that the tensors belong to. */
  protected readonly owner: Backend;
  #disposed = false;

  /** @param owner The backend that the tensors belong to. */
  constructor(owner: Backend) {
    this.owner = owner;
  }

  /** The size of all live tensors. */
  abstract readonly bytesInUse: number;
  /** Sets every element of a tensor. */
  abstract fill(tensor: Tensor, value: number): void;
  /** Allocates memory. */
  protected abstract allocate(bytes: number): S;
  /** Frees memory. */
  protected abstract release(storage: S): void;
  /** Writes values to a tensor, starting at the element `offset`. */
  protected abstract store(tensor: Tensor<Values>, values: ArrayLike<number>, offset: number): void;
  /** Returns a copy of a tensor's elements. */
  protected abstract load<V extends Values>(tensor: Tensor<V>): Promise<V>;

  /** Whether {@linkcode TensorMemory.dispose} was called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** See {@linkcode Backend.upload}. */
  upload(values: Float32Array | readonly number[], shape: Shape): Tensor {
    return this.#uploadAs(Float32Array, "upload", values, shape);
  }

  /** See {@linkcode Backend.uploadIndices}. */
  uploadIndices(values: Int32Array, shape: Shape): Tensor<Int32Array> {
    return this.#uploadAs(Int32Array, "uploadIndices", values, shape);
  }

  /** See {@linkcode Backend.empty}. */
  empty(shape: Shape): Tensor {
    return this.emptyOf(Float32Array, shape);
  }

  /** A tensor of this type whose values are undefined. */
  emptyOf<V extends Values>(type: ArrayType<V>, shape: Shape): Tensor<V> {
    this.assertAlive();
    if (!isShape(shape)) throw new ArgumentError("tensor", "shape", shape, "positive integers");
    const storage = this.allocate(elements(shape) * type.BYTES_PER_ELEMENT);
    return new Tensor(this.owner, shape, storage, type);
  }

  /** See {@linkcode Backend.write}. */
  write(tensor: Tensor, values: Float32Array, offset = 0): void {
    this.assertUsable("write", tensor);
    if (!Number.isInteger(offset) || offset < 0 || offset + values.length > tensor.size) {
      const range = `${offset} … ${offset + values.length}`;
      const takes = `inside the tensor's ${tensor.size} elements`;
      throw new ArgumentError("write", "the range", range, takes);
    }
    this.store(tensor, values, offset);
    tensor.storage.version++;
  }

  /** See {@linkcode Backend.read}. */
  read<V extends Values>(tensor: Tensor<V>): Promise<V> {
    this.assertUsable("read", tensor);
    return this.load(tensor);
  }

  /** See {@linkcode Backend.free}. */
  free(tensor: Tensor<Values>): void {
    this.#assertOwn("free", tensor);
    const { storage } = tensor;
    if (storage.freed) return;
    storage.freed = true;
    if (!this.#disposed) this.release(storage as S);
  }

  /** Frees everything. Tensors can no longer be used. */
  dispose(): void {
    this.#disposed = true;
  }

  /** Throws after {@linkcode TensorMemory.dispose}. */
  assertAlive(): void {
    if (!this.#disposed) return;
    throw new PembrokeError(`${this.owner.name}: the backend was disposed before`);
  }

  /** Throws unless the tensor is a live one of this memory. */
  protected assertUsable(op: string, tensor: Tensor<Values>): void {
    this.#assertOwn(op, tensor);
    tensor.assertAlive(op);
    this.assertAlive();
  }

  #uploadAs<V extends Values>(
    type: ArrayType<V>,
    op: string,
    values: ArrayLike<number>,
    shape: Shape,
  ): Tensor<V> {
    if (values.length !== elements(shape)) {
      const takes = `${elements(shape)}, as the shape [${shape.join(", ")}] says`;
      throw new ArgumentError(op, "the number of values", values.length, takes);
    }
    const tensor = this.emptyOf(type, shape);
    this.store(tensor, values, 0);
    return tensor;
  }

  #assertOwn(op: string, tensor: Tensor<Values>): void {
    if (tensor.backend === this.owner) return;
    throw new ArgumentError(op, "tensor", `on ${tensor.backend.name}`, "on this backend");
  }
}
