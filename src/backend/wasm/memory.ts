/**
 * Tensors in a WebAssembly memory.
 *
 * @module
 */

import {
  type Backend,
  elements,
  type Shape,
  Tensor,
  type TensorStorage,
  type Values,
} from "../../tensor.ts";
import { checkFloats, TensorMemory } from "../tensor_memory.ts";
import { Allocator } from "./allocator.ts";
import { type BlockWriter, GeometryBlock } from "./geometry_block.ts";
import { blockBytes } from "./generated/geometry.ts";

/** The memory of a tensor: a block at an address. */
interface WasmStorage extends TensorStorage {
  readonly address: number;
}

/** A part of the memory of a tensor. */
class PartStorage implements WasmStorage {
  readonly #whole: WasmStorage;
  readonly address: number;
  readonly bytes: number;

  constructor(whole: WasmStorage, offset: number, bytes: number) {
    this.#whole = whole;
    this.address = whole.address + offset;
    this.bytes = bytes;
  }

  get freed(): boolean {
    return this.#whole.freed;
  }

  get version(): number {
    return this.#whole.version;
  }

  set version(version: number) {
    this.#whole.version = version;
  }
}

/** The memory of a Wasm backend. */
export class WasmMemory extends TensorMemory<WasmStorage> {
  readonly #memory: WebAssembly.Memory;
  readonly #allocator: Allocator;
  readonly #block: GeometryBlock;
  /** Scratch memory, as large as the largest need so far. Each kernel overwrites it. */
  #scratch = { address: 0, bytes: 0 };

  /**
   * @param owner The backend that the tensors belong to.
   * @param memory The memory, which this class owns.
   * @param base The first address that is free.
   * @param allocator Allocates the memory behind the first `blockBytes` bytes.
   */
  constructor(
    owner: Backend,
    memory: WebAssembly.Memory,
    base: number,
    allocator: Allocator = new Allocator(memory, base + blockBytes),
  ) {
    super(owner);
    this.#memory = memory;
    this.#block = new GeometryBlock(memory, base, blockBytes);
    this.#allocator = allocator;
  }

  get bytesInUse(): number {
    return this.disposed ? 0 : this.#allocator.inUse - this.#scratch.bytes;
  }

  fill(tensor: Tensor, value: number): void {
    this.assertUsable("fill", tensor);
    checkFloats("fill", tensor, value);
    this.#view(tensor).fill(value);
    this.markChanged(tensor);
  }

  /** The address of a tensor that a kernel reads; 0, which no tensor has, for none. */
  at(tensor: Tensor<Values> | null): number {
    this.assertAlive();
    return tensor ? (tensor.storage as WasmStorage).address : 0;
  }

  /** The address of a tensor that a kernel writes; 0 for none. */
  out(tensor: Tensor<Values> | null): number {
    if (tensor) tensor.storage.version++;
    return this.at(tensor);
  }

  /** Returns a view of a tensor's elements from `offset` on. */
  part<V extends Values>(tensor: Tensor<V>, offset: number, shape: Shape): Tensor<V> {
    this.assertUsable("part", tensor);
    const { type } = tensor, each = type.BYTES_PER_ELEMENT, bytes = elements(shape) * each;
    const storage = new PartStorage(tensor.storage as WasmStorage, offset * each, bytes);
    return new Tensor(this.owner, shape, storage, type, false);
  }

  /** Writes the sizes and settings of the next kernel to memory, and returns their address. */
  block<T>(write: BlockWriter<T>, values: T): number {
    this.#block.write(write, values);
    return this.#block.address;
  }

  /** Returns the address of at least this many bytes of scratch memory. */
  scratch(bytes: number): number {
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

  /** Copies integers to scratch memory, and returns their address. */
  stage(integers: Int8Array): number {
    const address = this.scratch(integers.length);
    new Int8Array(this.#memory.buffer, address, integers.length).set(integers);
    return address;
  }

  protected allocate(bytes: number): WasmStorage {
    return { address: this.#allocator.alloc(bytes), bytes, freed: false, version: 0 };
  }

  protected release({ address, bytes }: WasmStorage): void {
    this.#allocator.free(address, bytes);
  }

  protected store(tensor: Tensor<Values>, values: ArrayLike<number>, offset: number): void {
    this.#view(tensor).set(values, offset);
  }

  protected load<V extends Values>(tensor: Tensor<V>): V {
    return this.#view(tensor).slice() as V;
  }

  /** A view of a tensor's elements. It becomes invalid when the memory grows, so never keep one. */
  #view<V extends Values>(tensor: Tensor<V>): V {
    const { address } = tensor.storage as WasmStorage;
    return new tensor.type(this.#memory.buffer, address, tensor.size);
  }
}

/** Creates a shared memory; undefined if the engine does not support it. */
export function sharedMemory(): WebAssembly.Memory | undefined {
  if (typeof SharedArrayBuffer === "undefined") return undefined;
  for (const maximum of [65536, 32768, 16384]) {
    try {
      return new WebAssembly.Memory({ initial: 16, maximum, shared: true });
    } catch {
      // try again with a smaller maximum
    }
  }
  return undefined;
}
