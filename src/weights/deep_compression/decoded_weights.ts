/**
 * The weights of one compressed layer, as if they were stored in float32.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { elements } from "../../tensor.ts";
import { type ByteSource, readBytes } from "../io/source.ts";
import { type CompressedLayer, layerParts } from "./networks.ts";

/** The parts of a layer while its weights are read. */
interface Parts {
  readonly codebook: Float32Array;
  readonly codes: Uint8Array;
  readonly gaps: Uint8Array;
}

/**
 * A source of float32 weights that starts at the offset of its layer, so that tensors sort by their
 * place in the file. It should be read in order: going back starts over.
 */
export class DecodedWeights implements ByteSource {
  readonly size: number;
  readonly #count: number;
  #parts: Parts | undefined;
  /** The next stored weight, and its index among all weights. */
  #stored = 0;
  #index = 0;
  /** The index of the first weight that has not been read. */
  #next = 0;

  /**
   * @param file The compressed file, which the caller closes.
   * @param layer The layer.
   * @param stored The number of its stored weights.
   * @param start The offset of the layer in the file.
   */
  constructor(
    readonly file: ByteSource,
    readonly layer: CompressedLayer,
    readonly stored: number,
    readonly start: number,
  ) {
    this.#count = elements(layer.shape);
    this.size = start + 4 * this.#count;
  }

  get name(): string {
    return this.file.name;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const first = (offset - this.start) / 4;
    const parts = this.#parts ?? await this.#load();
    if (this.#parts !== parts || first < this.#next) {
      this.#parts = parts;
      this.#stored = 0;
      this.#index = halfAt(parts.gaps, 0);
    }
    const out = new Float32Array(into.buffer, into.byteOffset, into.length / 4);
    this.#decode(parts, first, out);
    this.#next = first + out.length;
    if (this.#next === this.#count) this.#parts = undefined; // up to 38 MB
  }

  close(): void {
    this.#parts = undefined;
  }

  async #load(): Promise<Parts> {
    const { codebook, bias, codes, gaps } = layerParts(this.layer, this.stored);
    const { buffer } = await readBytes(this.file, this.start, codebook);
    const codesAt = this.start + codebook + bias;
    return {
      codebook: new Float32Array(buffer),
      codes: await readBytes(this.file, codesAt, codes),
      gaps: await readBytes(this.file, codesAt + codes, gaps),
    };
  }

  /** Decodes the weights from index `first` on. */
  #decode({ codebook, codes, gaps }: Parts, first: number, out: Float32Array): void {
    const { bits } = this.layer;
    const count = this.stored, end = first + out.length;
    out.fill(codebook[0]);
    let stored = this.#stored, index = this.#index;
    while (stored < count && index < end) {
      const code = bits === 8 ? codes[stored] : halfAt(codes, stored);
      if (index >= first) out[index - first] = codebook[code];
      if (++stored < count) index += 1 + halfAt(gaps, stored);
    }
    this.#stored = stored;
    this.#index = index;
    if (end < this.#count || stored === count) return;
    const { name } = this.layer;
    throw new FileError(
      this.name,
      `${name}.weight has ${this.#count} elements, but its gaps lead to element ${index}: damaged`,
    );
  }
}

/** The half bytes of a list, the lower half of a byte first. */
function halfAt(bytes: Uint8Array, i: number): number {
  return bytes[i >> 1] >> 4 * (i & 1) & 15;
}
