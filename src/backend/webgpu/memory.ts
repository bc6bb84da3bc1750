/**
 * Tensors in buffers of a GPU.
 *
 * @module
 */

import type { Backend } from "../mod.ts";
import { ArgumentError, PembrokeError } from "../../errors.ts";
import { elements, isShape, type Shape, type Storage, Tensor, type Values } from "../../tensor.ts";
import { type ArrayType, checkLength } from "../arrays.ts";
import type { Block } from "./buffers.ts";
import { type Dispatch, Queue } from "./queue.ts";
import type { Given, Operand } from "./shader.ts";
import type { TileRows } from "./shaders/gemm.ts";
import { fill } from "./shaders/elementwise.ts";
import { type Part, partsOf } from "./parts.ts";

/** A tensor's buffer. */
interface GpuStorage extends Storage {
  readonly block: Block;
  /** No index in it is larger; undefined where there are no indices. */
  largestIndex: number;
}

/** What a device allows, and what suits it. */
export interface Traits {
  /** Whether it computes on the processor, where loads cost more than registers. */
  readonly software: boolean;
  /** Whether shaders know float16: `shader-f16`. */
  readonly half: boolean;
  /** Bytes of the largest buffer. */
  readonly buffer: number;
  /** Bytes of a buffer that one dispatch can see. */
  readonly binding: number;
}

/** Invocations of a workgroup that computes a value each. */
const LANES = 64;
/** Workgroups along one axis, at most; of more there are several rows. */
const ACROSS = 65535;

/** The part of the WebGPU backend that holds tensors. */
export abstract class GpuMemory {
  /** What computes. */
  abstract readonly name: string;
  readonly #device: GPUDevice;
  readonly #queue: Queue;
  readonly #traits: Traits;
  #inUse = 0;
  #disposed = false;

  /**
   * @param device The device, all of which is used.
   * @param traits What may be asked of it.
   */
  constructor(device: GPUDevice, traits: Traits) {
    this.#device = device;
    this.#queue = new Queue(device);
    this.#traits = traits;
  }

  /** Rows of sums that an invocation of a large product keeps. */
  protected get tileRows(): TileRows {
    return this.#traits.software ? 16 : 8;
  }

  /** Invocations that share a row of weights: as many as read memory together. */
  protected get split(): number {
    return this.#traits.software ? 8 : 32;
  }

  /** Whether shaders know float16. */
  protected get hasHalf(): boolean {
    return this.#traits.half;
  }

  get bytesInUse(): number {
    return this.#inUse;
  }

  /** Pipelines and bind groups made so far, and submissions. */
  get made(): Readonly<Queue["made"]> {
    return this.#queue.made;
  }

  upload(values: Float32Array | readonly number[], shape: Shape): Tensor {
    checkLength("upload", values.length, shape);
    return this.#filled(this.empty(shape), Float32Array.from(values));
  }

  uploadIndices(values: Int32Array, shape: Shape): Tensor<Int32Array> {
    checkLength("uploadIndices", values.length, shape);
    const tensor = this.#filled(this.emptyIndices(shape), values);
    this.noteIndices(tensor, values.reduce((most, i) => Math.max(most, i >>> 0), 0));
    return tensor;
  }

  empty(shape: Shape): Tensor {
    return this.#tensor(shape, Float32Array);
  }

  emptyIndices(shape: Shape): Tensor<Int32Array> {
    return this.#tensor(shape, Int32Array);
  }

  emptyInt8(shape: Shape): Tensor<Int8Array> {
    return this.#tensor(shape, Int8Array);
  }

  emptyHalf(shape: Shape): Tensor<Uint16Array> {
    return this.#tensor(shape, Uint16Array);
  }

  fill(tensor: Tensor, value: number): void {
    this.#check("fill", tensor);
    this.elementwise(fill, { y: this.out(tensor) }, tensor.size, {}, {
      numbers: { value },
    });
  }

  write(tensor: Tensor, values: Float32Array, offset = 0): void {
    const { block } = this.#check("write", tensor);
    if (!Number.isInteger(offset) || offset < 0 || offset + values.length > tensor.size) {
      const range = `${offset} … ${offset + values.length}`;
      const takes = `inside the tensor's ${tensor.size} elements`;
      throw new ArgumentError("write", "the range", range, takes);
    }
    const own = tensor.type as Tensor<Values>["type"];
    this.#queue.write(block, own === Float32Array ? values : Int32Array.from(values), offset * 4);
    tensor.storage.version++;
  }

  read<V extends Values>(tensor: Tensor<V>): Promise<V> {
    const { block } = this.#check("read", tensor);
    const type = tensor.type as unknown as ArrayType<V>;
    return this.#queue.read(block, tensor.size * type.BYTES_PER_ELEMENT).then((b) => new type(b));
  }

  free(tensor: Tensor<Values>): void {
    this.#assertOwn("free", tensor);
    const storage = tensor.storage as GpuStorage;
    if (storage.freed) return;
    storage.freed = true;
    if (this.#disposed) return;
    this.#inUse -= storage.bytes;
    this.#queue.free(storage.block);
  }

  dispose(): void {
    this.#disposed = true;
    this.#inUse = 0;
    this.#device.destroy();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** A tensor that is read, as an array of `type`. */
  protected at(tensor: Tensor<Values>, type = "f32"): Operand {
    this.#assertAlive();
    return { block: storageOf(tensor).block, writes: false, type, size: bytesOf(tensor) };
  }

  /** A tensor that is written. */
  protected out(tensor: Tensor<Values>, type = "f32"): Operand {
    this.#assertAlive();
    tensor.storage.version++;
    return { block: storageOf(tensor).block, writes: true, type, size: bytesOf(tensor) };
  }

  /** Records a dispatch. */
  protected run(
    shader: Dispatch["shader"],
    operands: Dispatch["operands"],
    constants: Dispatch["constants"],
    groups: Dispatch["groups"],
    given?: Dispatch["given"],
  ): void {
    const largest = Math.max(...Object.values(operands).map(({ size }) => size));
    if (largest > this.#traits.binding) this.#tooLarge(shader.name, largest);
    this.#queue.dispatch({ shader, operands, constants, groups, given });
  }

  /**
   * Records a shader that computes each of `size` elements from those at the same place, in parts
   * that can be bound.
   */
  protected elementwise(
    shader: Dispatch["shader"],
    operands: Readonly<Record<string, Operand>>,
    size: number,
    constants: Dispatch["constants"] = {},
    given?: Dispatch["given"],
  ): void {
    for (const part of this.parts(shader.name, size, 4)) {
      const parts = Object.entries(operands).map(([name, o]) => [name, partOf(o, part, 4)]);
      this.perElement(shader, Object.fromEntries(parts), part.count, constants, given);
    }
  }

  /** Records a shader with an invocation for each of `size` elements. */
  protected perElement(
    shader: Dispatch["shader"],
    operands: Readonly<Record<string, Operand>>,
    size: number,
    constants: Dispatch["constants"] = {},
    given?: Dispatch["given"],
  ): void {
    this.run(shader, operands, { ...constants, ACROSS }, spread(Math.ceil(size / LANES)), given);
  }

  /** Records a shader with a workgroup for each of `rows`. */
  protected perRow(
    shader: Dispatch["shader"],
    operands: Readonly<Record<string, Operand>>,
    rows: number,
    constants: Dispatch["constants"],
    given: Given,
  ): void {
    const sizes = { rows, ...given.sizes };
    this.run(shader, operands, { ...constants, ACROSS }, spread(rows), { ...given, sizes });
  }

  /**
   * `count` things of at most `bytes` bytes each in any operand, in parts that can be bound, which
   * begin where a binding can begin.
   */
  protected parts(op: string, count: number, ...bytes: number[]): Part[] {
    return partsOf(count, bytes, this.#traits.binding) ??
      this.#tooLarge(op, Math.max(...bytes));
  }

  /** Remembers that no index in a tensor is larger. */
  protected noteIndices(tensor: Tensor<Int32Array>, largest: number): void {
    storageOf(tensor).largestIndex = largest;
  }

  /** What no index in a tensor is larger than. */
  protected largestIndex(tensor: Tensor<Int32Array>): number {
    return storageOf(tensor).largestIndex;
  }

  #tooLarge(op: string, bytes: number): never {
    const [needed, most] = [bytes, this.#traits.binding].map(sizeText);
    throw new PembrokeError(
      `${op}: needs ${needed} at a time, more than the ${most} that ${this.name} can bind`,
    );
  }

  #filled<V extends Float32Array | Int32Array>(tensor: Tensor<V>, values: V): Tensor<V> {
    this.#queue.write(storageOf(tensor).block, values, 0);
    return tensor;
  }

  #tensor<V extends Values>(shape: Shape, type: ArrayType<V>): Tensor<V> {
    this.#assertAlive();
    if (!isShape(shape)) {
      throw new ArgumentError("tensor", "shape", shape, "positive integers");
    }
    const bytes = elements(shape) * type.BYTES_PER_ELEMENT;
    if (bytes > this.#traits.buffer) {
      const [needed, most] = [bytes, this.#traits.buffer].map(sizeText);
      throw new PembrokeError(
        `out of memory: ${needed} for one tensor, more than the ${most} that ${this.name} takes`,
      );
    }
    const block = this.#queue.take(bytes);
    this.#inUse += bytes;
    const storage: GpuStorage = { block, bytes, freed: false, version: 0, largestIndex: 0 };
    return new Tensor(this as unknown as Backend, shape, storage, type);
  }

  #check(op: string, tensor: Tensor<Values>): GpuStorage {
    this.#assertOwn(op, tensor);
    tensor.assertAlive(op);
    this.#assertAlive();
    return storageOf(tensor);
  }

  #assertAlive(): void {
    if (this.#disposed) throw new PembrokeError(`${this.name}: the backend was disposed before`);
    this.#queue.watch.check();
  }

  #assertOwn(op: string, tensor: Tensor<Values>): void {
    if (tensor.backend as unknown === this) return;
    throw new ArgumentError(op, "tensor", `on ${tensor.backend.name}`, "on this backend");
  }
}

/** A part of an operand of things of `bytes` bytes each. */
export function partOf(operand: Operand, { start, count }: Part, bytes: number): Operand {
  const size = Math.ceil(count * bytes / 4) * 4;
  return { ...operand, offset: start * bytes, size };
}

/** Workgroups in rows of ACROSS. */
function spread(groups: number): [across: number, down: number] {
  return [Math.min(groups, ACROSS), Math.ceil(groups / ACROSS)];
}

/** Bytes of a tensor, in whole words. */
function bytesOf({ size, type }: Tensor<Values>): number {
  const { BYTES_PER_ELEMENT } = type as unknown as ArrayType<Values>;
  return Math.ceil(size * BYTES_PER_ELEMENT / 4) * 4;
}

function storageOf(tensor: Tensor<Values>): GpuStorage {
  return tensor.storage as GpuStorage;
}

function sizeText(bytes: number): string {
  return bytes < 2 ** 20 ? `${bytes} bytes` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
