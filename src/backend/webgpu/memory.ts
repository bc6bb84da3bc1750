/**
 * Tensors in buffers of a GPU.
 *
 * @module
 */

import { PembrokeError } from "../../errors.ts";
import type { Backend, Shape, Tensor, TensorStorage, Values } from "../../tensor.ts";
import { type ArrayType, TensorMemory } from "../tensor_memory.ts";
import type { Block } from "./buffers.ts";
import { type Dispatch, Queue } from "./queue.ts";
import type { Given, Operand } from "./shader.ts";
import type { TileRows } from "./shaders/gemm.ts";
import { fill } from "./shaders/elementwise.ts";
import { type Part, partsOf } from "./parts.ts";

/** A tensor's buffer. */
interface GpuStorage extends TensorStorage {
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

/** The memory of a WebGPU backend, and the dispatches over it. */
export class GpuMemory extends TensorMemory<GpuStorage> {
  readonly #device: GPUDevice;
  readonly #queue: Queue;
  readonly #traits: Traits;
  #inUse = 0;

  /**
   * @param owner The backend that the tensors belong to.
   * @param device The device, all of which is used.
   * @param traits What the device allows.
   */
  constructor(owner: Backend, device: GPUDevice, traits: Traits) {
    super(owner);
    this.#device = device;
    this.#queue = new Queue(device);
    this.#traits = traits;
  }

  /** Rows of sums that an invocation of a large product keeps. */
  get tileRows(): TileRows {
    return this.#traits.software ? 16 : 8;
  }

  /** Invocations that share a row of weights: as many as read memory together. */
  get split(): number {
    return this.#traits.software ? 8 : 32;
  }

  /** Whether shaders know float16. */
  get hasHalf(): boolean {
    return this.#traits.half;
  }

  get bytesInUse(): number {
    return this.#inUse;
  }

  /** Counts pipelines, bind groups, buffers and submissions made so far. */
  get made(): Readonly<Queue["made"]> {
    return this.#queue.made;
  }

  override uploadIndices(values: Int32Array, shape: Shape): Tensor<Int32Array> {
    const tensor = super.uploadIndices(values, shape);
    this.noteIndices(tensor, values.reduce((most, i) => Math.max(most, i >>> 0), 0));
    return tensor;
  }

  fill(tensor: Tensor, value: number): void {
    this.assertUsable("fill", tensor);
    this.elementwise(fill, { y: this.out(tensor) }, tensor.size, {}, { numbers: { value } });
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

  /** A tensor that is read, as an array of `type`. */
  at(tensor: Tensor<Values>, type = "f32"): Operand {
    this.assertAlive();
    return { block: storageOf(tensor).block, writes: false, type, size: bytesOf(tensor) };
  }

  /** A tensor that is written. */
  out(tensor: Tensor<Values>, type = "f32"): Operand {
    this.assertAlive();
    tensor.storage.version++;
    return { block: storageOf(tensor).block, writes: true, type, size: bytesOf(tensor) };
  }

  /** Records a dispatch. */
  run(
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
  elementwise(
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
  perElement(
    shader: Dispatch["shader"],
    operands: Readonly<Record<string, Operand>>,
    size: number,
    constants: Dispatch["constants"] = {},
    given?: Dispatch["given"],
  ): void {
    this.run(shader, operands, { ...constants, ACROSS }, spread(Math.ceil(size / LANES)), given);
  }

  /** Records a shader with a workgroup for each of `rows`. */
  perRow(
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
  parts(op: string, count: number, ...bytes: number[]): Part[] {
    return partsOf(count, bytes, this.#traits.binding) ??
      this.#tooLarge(op, Math.max(...bytes));
  }

  /** Remembers that no index in a tensor is larger. */
  noteIndices(tensor: Tensor<Int32Array>, largest: number): void {
    storageOf(tensor).largestIndex = largest;
  }

  /** What no index in a tensor is larger than. */
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
    const block = this.#queue.take(bytes);
    this.#inUse += bytes;
    return { block, bytes, freed: false, version: 0, largestIndex: 0 };
  }

  protected release({ block, bytes }: GpuStorage): void {
    this.#inUse -= bytes;
    this.#queue.free(block);
  }

  protected store(tensor: Tensor<Values>, values: ArrayLike<number>, offset: number): void {
    const { block } = storageOf(tensor);
    const array = tensor.type === Float32Array ? Float32Array : Int32Array;
    const typed = values instanceof array ? values : array.from(values);
    this.#queue.write(block, typed, offset * 4);
  }

  protected load<V extends Values>(tensor: Tensor<V>): Promise<V> {
    const type = tensor.type as ArrayType<V>;
    const bytes = tensor.size * type.BYTES_PER_ELEMENT;
    return this.#queue.read(storageOf(tensor).block, bytes).then((buffer) => new type(buffer));
  }

  #tooLarge(op: string, bytes: number): never {
    const [needed, most] = [bytes, this.#traits.binding].map(sizeText);
    throw new PembrokeError(
      `${op}: needs ${needed} at a time, more than the ${most} that ${this.owner.name} can bind`,
    );
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
