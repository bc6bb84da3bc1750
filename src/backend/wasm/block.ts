/**
 * The block of memory through which kernels take numbers (assembly/geometry.ts).
 *
 * @module
 */

/** How the fields of a block are stored, in their order in memory, four bytes each. */
export type Layout<T> = { readonly [Field in keyof T]-?: "i32" | "f32" };

/** A block of memory. Each call overwrites it, because kernels run one after the other. */
export class Block {
  /** Its address, which kernels are passed. */
  readonly address: number;
  readonly #memory: WebAssembly.Memory;
  readonly #fields: number;
  #integers: Int32Array<ArrayBufferLike> = new Int32Array();
  #floats: Float32Array<ArrayBufferLike> = new Float32Array();

  /**
   * @param address Where the block begins in the memory.
   * @param bytes The size of the largest layout.
   */
  constructor(memory: WebAssembly.Memory, address: number, bytes: number) {
    this.#memory = memory;
    this.address = address;
    this.#fields = bytes / 4;
  }

  /** Writes the fields of a layout. */
  write<T>(layout: Layout<T>, values: T): void {
    const { buffer } = this.#memory;
    if (this.#integers.buffer !== buffer) { // at first, and when the memory has grown
      this.#integers = new Int32Array(buffer, this.address, this.#fields);
      this.#floats = new Float32Array(buffer, this.address, this.#fields);
    }
    let i = 0;
    for (const field in layout) {
      const array = layout[field] === "f32" ? this.#floats : this.#integers;
      array[i++] = Number(values[field]);
    }
  }
}
