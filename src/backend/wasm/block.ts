/**
 * The block of memory through which kernels take numbers (assembly/geometry.ts).
 *
 * @module
 */

import { blockBytes } from "./generated/geometry.ts";

/** How the fields of a block are stored, in their order in memory, four bytes each. */
export type Layout<T> = { readonly [Field in keyof T]-?: "i32" | "f32" };

/** A block of a memory, which each call fills anew: kernels run one after the other. */
export class Block {
  /** Bytes that it takes. */
  static readonly bytes = blockBytes;
  /** Its address, which kernels are passed. */
  readonly address: number;
  readonly #memory: WebAssembly.Memory;
  #integers: Int32Array<ArrayBufferLike> = new Int32Array();
  #floats: Float32Array<ArrayBufferLike> = new Float32Array();

  /** @param address Where {@linkcode Block.bytes} bytes of the memory are free. */
  constructor(memory: WebAssembly.Memory, address: number) {
    this.#memory = memory;
    this.address = address;
  }

  /** Writes the fields of a layout. */
  write<T>(layout: Layout<T>, values: T): void {
    const { buffer } = this.#memory;
    if (this.#integers.buffer !== buffer) { // the first time, and when the memory has grown
      this.#integers = new Int32Array(buffer, this.address, Block.bytes / 4);
      this.#floats = new Float32Array(buffer, this.address, Block.bytes / 4);
    }
    let i = 0;
    for (const field in layout) {
      const array = layout[field] === "f32" ? this.#floats : this.#integers;
      array[i++] = Number(values[field]);
    }
  }
}
