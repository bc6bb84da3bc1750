/**
 * Tensors in buffers of a GPU.
 *
 * @module
 */

import { PembrokeError } from "../../errors.ts";
import type { Backend, Shape, Tensor, TensorStorage, Values } from "../../tensor.ts";
import { checkFloats, TensorMemory } from "../tensor_memory.ts";
import type { PooledBuffer } from "./buffers.ts";
import { type Dispatch, Queue } from "./queue.ts";
import type { Operand, Operands, Uniforms } from "./shader.ts";
import type { LargeTileRows } from "./shaders/gemm.ts";
import { fill } from "./shaders/elementwise.ts";
import { alignedItems, type Part, slicesOf, split, splitAnywhere } from "./parts.ts";

/** The memory of a tensor: a buffer. */
interface GpuStorage extends TensorStorage {
  readonly block: PooledBuffer;
  /** An upper bound for the indices in it. */
  largestIndex: number;
}

/** What a device allows, and which kernels suit it. */
export interface Traits {
  /** Whether it computes on the CPU, where loads are expensive. */
  readonly software: boolean;
  /** Whether shaders support float16: `shader-f16`. */
  readonly half: boolean;
  /** Bytes of the largest possible buffer. */
  readonly buffer: number;
  /** Bytes of a buffer that one binding can hold. */
  readonly binding: number;
  /** Workgroups in a row of the grid. */
  readonly gridWidth: number;
}

/** Invocations of a workgroup in which each computes one value: `@workgroup_size(64)`. */
const workgroupSize = 64;

/** The memory of a WebGPU backend, and the dispatches over it. */
export class GpuMemory extends TensorMemory<GpuStorage> {
  readonly #device: GPUDevice;
  readonly #queue: Queue;
  readonly #traits: Traits;
  #inUse = 0;

  /**
   * @param owner The backend that the tensors belong to.
   * @param device The device, which the memory owns.
   * @param traits What the device allows.
   */
  constructor(owner: Backend, device: GPUDevice, traits: Traits) {
    super(owner);
    this.#device = device;
    this.#queue = new Queue(device);
    this.#traits = traits;
  }

  /** Rows of sums that an invocation of a large product computes. */
  get tileRows(): LargeTileRows {
    return this.#traits.software ? 16 : 8;
  }

  /** Invocations that share a row of weights: as many as access memory together. */
  get split(): number {
    return this.#traits.software ? 8 : 32;
  }

  /** Whether shaders support float16. */
  get hasHalf(): boolean {
    return this.#traits.half;
  }

  /** Bytes of a buffer that one binding can hold. */
  get largestBinding(): number {
    return this.#traits.binding;
  }

  get bytesInUse(): number {
    return this.#inUse;
  }

  /** Counts pipelines, bind groups, buffers and submissions so far. */
  get counts(): Readonly<Queue["counts"]> {
    return this.#queue.counts;
  }

  override uploadIndices(values: Int32Array, shape: Shape): Tensor<Int32Array> {
    const tensor = super.uploadIndices(values, shape);
    this.setLargestIndex(tensor, values.reduce((most, i) => Math.max(most, i >>> 0), 0));
    return tensor;
  }

  fill(tensor: Tensor, value: number): void {
    this.assertUsable("fill", tensor);
    checkFloats("fill", tensor, value);
    this.elementwise(fill, { y: this.out(tensor) }, tensor.size, {}, { f32: { value } });
  }

  override dispose(): void {
    super.dispose();
    this.#inUse = 0;
    this.#device.destroy();
  }

  /** Throws after {@linkcode GpuMemory.dispose}, and when the device was lost. */
  override assertAlive(): void {
    super.assertAlive();
    this.#queue.watch.check();
  }

  /** The operand for a tensor that is read, as an array of `type`. */
  at(tensor: Tensor<Values>, type = "f32"): Operand {
    this.assertAlive();
    return { block: storageOf(tensor).block, writes: false, type, size: bytesOf(tensor) };
  }

  /** The operand for a tensor that is written. */
  out(tensor: Tensor<Values>, type = "f32"): Operand {
    this.assertAlive();
    tensor.storage.version++;
    return { block: storageOf(tensor).block, writes: true, type, size: bytesOf(tensor) };
  }

  /**
   * Records a shader with at least `workgroups` workgroups, in rows of GRID_WIDTH, because devices
   * limit a row. The shader skips those beyond the last one.
   */
  run(
    shader: Dispatch["shader"],
    operands: Dispatch["operands"],
    constants: Dispatch["constants"],
    workgroups: number,
    uniforms?: Dispatch["uniforms"],
  ): void {
    const { binding, gridWidth } = this.#traits;
    const largest = Math.max(...Object.values(operands).map(({ size }) => size));
    if (largest > binding) this.#tooLarge(shader.name, largest);
    const groups = [Math.min(workgroups, gridWidth), Math.ceil(workgroups / gridWidth)] as const;
    const all = { ...constants, GRID_WIDTH: gridWidth };
    this.#queue.dispatch({ shader, operands, constants: all, groups, uniforms });
  }

  /**
   * Records a shader that computes each of `size` elements from those at the same index, in parts
   * that fit a binding.
   */
  elementwise(
    shader: Dispatch["shader"],
    operands: Operands,
    size: number,
    constants: Dispatch["constants"] = {},
    uniforms?: Dispatch["uniforms"],
  ): void {
    for (const part of this.parts(shader.name, size, 4)) {
      this.perElement(shader, slicesOf(operands, part, 4), part.count, constants, uniforms);
    }
  }

  /** Records a shader with an invocation for each of `size` elements. */
  perElement(
    shader: Dispatch["shader"],
    operands: Operands,
    size: number,
    constants: Dispatch["constants"] = {},
    uniforms?: Dispatch["uniforms"],
  ): void {
    this.run(shader, operands, constants, Math.ceil(size / workgroupSize), uniforms);
  }

  /** Records a shader with a workgroup for each of `rows`. */
  perRow(
    shader: Dispatch["shader"],
    operands: Operands,
    rows: number,
    constants: Dispatch["constants"],
    uniforms: Uniforms,
  ): void {
    const u32 = { rows, ...uniforms.u32 };
    this.run(shader, operands, constants, rows, { ...uniforms, u32 });
  }

  /**
   * Splits `count` items into parts that fit a binding.
   *
   * @param op The name for the error message.
   * @param bytes The size of an item in each operand.
   * @throws {PembrokeError} When not even the smallest part fits.
   */
  parts(op: string, count: number, ...bytes: number[]): Part[] {
    return split(count, bytes, this.#traits.binding) ??
      this.#tooLarge(op, alignedItems(bytes) * Math.max(...bytes));
  }

  /**
   * Splits items into parts that fit a binding, and need not be aligned.
   *
   * @param op The operation, for the error.
   * @param count The number of items.
   * @param largest The size of the largest item.
   * @throws {PembrokeError} When not even one item fits.
   */
  partsAnywhere(op: string, count: number, largest: number): Part[] {
    return splitAnywhere(count, largest, this.#traits.binding) ?? this.#tooLarge(op, largest);
  }

  /** Stores an upper bound for the indices in a tensor. */
  setLargestIndex(tensor: Tensor<Int32Array>, largest: number): void {
    storageOf(tensor).largestIndex = largest;
  }

  /** The upper bound for the indices in a tensor. */
  largestIndex(tensor: Tensor<Int32Array>): number {
    return storageOf(tensor).largestIndex;
  }

  protected allocate(bytes: number): GpuStorage {
    if (bytes > this.#traits.buffer) {
      const [needed, most] = [bytes, this.#traits.buffer].map(sizeText);
      throw new PembrokeError(
        `out of memory: ${needed} for one tensor, more than the ${most} that ${this.owner.name} takes`,
      );
    }
    const block = this.#queue.acquire(bytes);
    this.#inUse += bytes;
    return { block, bytes, freed: false, version: 0, largestIndex: 0 };
  }

  protected release({ block, bytes }: GpuStorage): void {
    this.#inUse -= bytes;
    this.#queue.release(block);
  }

  protected store(tensor: Tensor<Values>, values: ArrayLike<number>, offset: number): void {
    const { block } = storageOf(tensor);
    const array = tensor.type === Float32Array ? Float32Array : Int32Array;
    const typed = values instanceof array ? values : array.from(values);
    this.#queue.write(block, typed, offset * 4);
  }

  protected async load<V extends Values>(tensor: Tensor<V>): Promise<V> {
    const { type } = tensor, bytes = tensor.size * type.BYTES_PER_ELEMENT;
    try {
      return new type(await this.#queue.read(storageOf(tensor).block, bytes));
    } catch (error) {
      this.assertAlive(); // dispose() loses the device, too
      throw error;
    }
  }

  #tooLarge(op: string, bytes: number): never {
    const [needed, most] = [bytes, this.#traits.binding].map(sizeText);
    throw new PembrokeError(
      `${op}: needs ${needed} at a time, more than the ${most} that ${this.owner.name} can bind`,
    );
  }
}

/** Bytes of a tensor, rounded up to whole words. */
function bytesOf({ size, type }: Tensor<Values>): number {
  return Math.ceil(size * type.BYTES_PER_ELEMENT / 4) * 4;
}

function storageOf(tensor: Tensor<Values>): GpuStorage {
  return tensor.storage as GpuStorage;
}

function sizeText(bytes: number): string {
  return bytes < 2 ** 20 ? `${bytes} bytes` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
