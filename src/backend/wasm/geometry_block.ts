/**
 * The block of memory through which kernels take their sizes and settings (assembly/geometry.ts).
 *
 * @module
 */

/**
 * Writes the fields of a geometry, four bytes each, in their order in memory. A function for each
 * kind of geometry is several times as fast as a loop over a list of fields.
 */
export type BlockWriter<T> = (
  integers: Int32Array<ArrayBufferLike>,
  floats: Float32Array<ArrayBufferLike>,
  values: T,
) => void;

/**
 * The geometry of the next kernel, in memory. Kernels run one after the other, so one block is
 * enough.
 */
export class GeometryBlock {
  /** The address that kernels are passed. */
  readonly address: number;
  readonly #memory: WebAssembly.Memory;
  readonly #fields: number;
  #integers: Int32Array<ArrayBufferLike> = new Int32Array();
  #floats: Float32Array<ArrayBufferLike> = new Float32Array();

  /**
   * @param address Where the block begins in the memory.
   * @param bytes The size of the largest geometry.
   */
  constructor(memory: WebAssembly.Memory, address: number, bytes: number) {
    this.#memory = memory;
    this.address = address;
    this.#fields = bytes / 4;
  }

  /** Writes the fields of a geometry. */
  write<T>(write: BlockWriter<T>, values: T): void {
    if (this.#integers.length === 0) { // at first, and after the memory has grown, which detaches views
      const { buffer } = this.#memory;
      this.#integers = new Int32Array(buffer, this.address, this.#fields);
      this.#floats = new Float32Array(buffer, this.address, this.#fields);
    }
    write(this.#integers, this.#floats, values);
  }
}
