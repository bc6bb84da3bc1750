/**
 * The weights of one compressed layer, as if they were stored in float32.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { elements } from "../../tensor.ts";
import { type ByteSource, readBytes } from "../io/source.ts";
import { type CompressedLayer, layerParts } from "./networks.ts";

/** The parts of a layer, in memory while its weights are read. */
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
  /** How many stored weights have been decoded. */
  #decoded = 0;
  /** The index of the next stored one among all weights. */
  #index = 0;
  /** How many weights have been read. */
  #done = 0;

  /**
   * @param file The compressed file, which the caller closes.
   * @param layer The layer.
   * @param storedCount The number of its stored weights.
   * @param start The offset of the layer in the file.
   */
  constructor(
    readonly file: ByteSource,
    readonly layer: CompressedLayer,
    readonly storedCount: number,
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
    if (this.#parts !== parts || first < this.#done) {
      this.#parts = parts;
      this.#decoded = 0;
      this.#index = halfAt(parts.gaps, 0);
    }
    const out = new Float32Array(into.buffer, into.byteOffset, into.length / 4);
    this.#decode(parts, first, out);
    this.#done = first + out.length;
    if (this.#done === this.#count) this.#parts = undefined; // up to 38 MB
  }

  close(): void {
    this.#parts = undefined;
  }

  async #load(): Promise<Parts> {
    const { codebook, bias, codes, gaps } = layerParts(this.layer, this.storedCount);
    const { buffer } = await readBytes(this.file, this.start, codebook);
    const codesAt = this.start + codebook + bias;
    return {
      codebook: new Float32Array(buffer),
      codes: await readBytes(this.file, codesAt, codes),
      gaps: await readBytes(this.file, codesAt + codes, gaps),
    };
  }

  /** Decodes the weights from index `first` on, as many as `out` takes. */
  #decode({ codebook, codes, gaps }: Parts, first: number, out: Float32Array): void {
    const { storedCount, layer: { name, bits } } = this, end = first + out.length;
    out.fill(codebook[0]);
    let decoded = this.#decoded, index = this.#index;
    while (decoded < storedCount && index < end) {
      const code = bits === 8 ? codes[decoded] : halfAt(codes, decoded);
      if (index >= first) out[index - first] = codebook[code];
      if (++decoded < storedCount) index += 1 + halfAt(gaps, decoded);
    }
    this.#decoded = decoded;
    this.#index = index;
    if (end < this.#count || decoded === storedCount) return;
    throw new FileError(
      this.name,
      `${name}.weight has ${this.#count} elements, but its gaps lead to element ${index}: damaged`,
    );
  }
}

/** The half byte at index `i` of a list. The lower half of a byte comes first. */
function halfAt(bytes: Uint8Array, i: number): number {
  return bytes[i >> 1] >> 4 * (i & 1) & 15;
}
