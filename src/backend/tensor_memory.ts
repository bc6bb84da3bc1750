/**
 * The common part of the backends' memories: creates tensors, and checks what is written and read.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import {
  type ArrayType,
  type Backend,
  elements,
  isShape,
  type Shape,
  Tensor,
  type TensorStorage,
  type Values,
} from "../tensor.ts";

/** Creates tensors for a backend. Subclasses store the bytes. */
export abstract class TensorMemory<S extends TensorStorage> {
  /** The backend that the tensors belong to. */
  protected readonly owner: Backend;
  /** Counts the tensors that were created, filled or written to. Writes of kernels do not count. */
  changes = 0;
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
  /** Returns a copy of the elements that a tensor has at the time of the call. */
  protected abstract load<V extends Values>(tensor: Tensor<V>): V | Promise<V>;

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

  /** Creates an uninitialised tensor of this type. */
  emptyOf<V extends Values>(type: ArrayType<V>, shape: Shape): Tensor<V> {
    this.assertAlive();
    checkShape("tensor", shape);
    this.changes++;
    const storage = this.allocate(elements(shape) * type.BYTES_PER_ELEMENT);
    return new Tensor(this.owner, shape, storage, type);
  }

  /** See {@linkcode Backend.write}. */
  write(tensor: Tensor, values: Float32Array, offset = 0): void {
    this.assertUsable("write", tensor);
    checkFloats("write", tensor);
    checkValues("write", Float32Array, values);
    if (!Number.isInteger(offset)) {
      throw new ArgumentError("write", "offset", offset, "a non-negative integer");
    }
    if (offset < 0 || offset + values.length > tensor.size) {
      const end = offset + values.length, takes = `inside the tensor's ${tensor.size} elements`;
      throw new ArgumentError("write", "the range", [offset, end], takes, `${offset} … ${end}`);
    }
    this.store(tensor, values, offset);
    this.markChanged(tensor);
  }

  /** See {@linkcode Backend.read}. */
  async read<V extends Values>(tensor: Tensor<V>): Promise<V> {
    this.assertUsable("read", tensor);
    return await this.load(tensor);
  }

  /** See {@linkcode Backend.free}. */
  free(tensor: Tensor<Values>): void {
    this.#assertOwn("free", tensor);
    const { storage, ownsStorage } = tensor;
    if (!ownsStorage || storage.freed) return;
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

  /** Counts a write to a tensor. */
  protected markChanged({ storage }: Tensor): void {
    storage.version++;
    this.changes++;
  }

  /** Throws unless the tensor belongs to this memory, and neither of them was disposed. */
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
    checkShape(op, shape);
    checkValues(op, type, values);
    if (values.length !== elements(shape)) {
      const takes = `${elements(shape)}, as the shape [${shape.join(", ")}] says`;
      throw new ArgumentError(op, "the number of values", values.length, takes);
    }
    const tensor = this.emptyOf(type, shape);
    try {
      this.store(tensor, values, 0);
    } catch (error) {
      tensor.dispose();
      throw error;
    }
    return tensor;
  }

  #assertOwn(op: string, tensor: Tensor<Values>): void {
    if (!(tensor instanceof Tensor)) throw new ArgumentError(op, "tensor", tensor, "a Tensor");
    if (tensor.backend === this.owner) return;
    const found = `on another backend, ${tensor.backend.name}`;
    throw new ArgumentError(op, "tensor", tensor, "on this backend", found);
  }
}

/** Checks that a tensor holds float32, and that a value to write to it is a number. */
export function checkFloats(op: string, tensor: Tensor<Values>, value: unknown = 0): void {
  if (tensor.type !== Float32Array) {
    const found = `a tensor of ${tensor.type.name}`;
    throw new ArgumentError(op, "tensor", tensor, "a tensor of float32", found);
  }
  if (typeof value !== "number") throw new ArgumentError(op, "value", value, "a number");
}

/**
 * Checks the indices of a max pooling, which are positions in planes of `size` elements.
 *
 * @param largest The largest of them, read as uint32. So a negative index is too large.
 */
export function checkIndices(largest: number, size: number): void {
  if (largest < size) return;
  const takes = `below ${size}, the size of a plane of the input`;
  throw new ArgumentError("maxPoolBackward", "an index", largest | 0, takes);
}

function checkShape(op: string, shape: unknown): void {
  if (!isShape(shape)) throw new ArgumentError(op, "shape", shape, "a list of positive integers");
}

/** Checks values to copy: an array of the type or, for float32, a list of numbers. */
function checkValues(op: string, { name }: ArrayType<Values>, values: unknown): void {
  if (kindOf(values) === name) return;
  const takes = name === "Float32Array" ? "a Float32Array or a list of numbers" : `an ${name}`;
  if (name !== "Float32Array" || !Array.isArray(values)) {
    throw new ArgumentError(op, "values", values, takes);
  }
  const wrong = values.findIndex((value) => typeof value !== "number");
  if (wrong >= 0) throw new ArgumentError(op, `values[${wrong}]`, values[wrong], "a number");
}
