/**
 * The weights of one compressed layer, as if they were stored in float32.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { elements } from "../../tensor.ts";
import { type ByteSource, readBytes } from "../io/source.ts";
import { type CompressedLayer, layerParts } from "./networks.ts";

/** Bytes of codes or of gaps that are read at a time. */
const pieceBytes = 1 << 18;

/** Some of the codes or gaps of a layer. */
interface Piece {
  readonly bytes: Uint8Array;
  /** The index of the first one, and of the one after the last. */
  readonly first: number;
  readonly end: number;
}

/** The parts of a layer. */
interface Parts {
  readonly codebook: Float32Array;
  /** Returns the piece with the code or the gap of a stored weight. */
  readonly codes: (stored: number) => Promise<Piece>;
  readonly gaps: (stored: number) => Promise<Piece>;
}

/** How far the weights of a layer have been decoded. */
interface Position {
  /** The number of stored weights before it. */
  readonly stored: number;
  /** The index after the last of them, among all weights. */
  readonly next: number;
  /** How many weights have been read. */
  readonly done: number;
}

const beginning: Position = { stored: 0, next: 0, done: 0 };

/**
 * A source of float32 weights that starts at the offset of its layer, so that tensors sort by their
 * place in the file. It should be read in order: going back starts over.
 */
export class DecodedWeights implements ByteSource {
  readonly size: number;
  readonly #count: number;
  #parts: Parts | undefined;
  #position = beginning;
  /** The last read that was requested. The next one waits for it, because they share memory. */
  #lastRead: Promise<unknown> = Promise.resolve();

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

  read(offset: number, into: Uint8Array): Promise<void> {
    const read = this.#lastRead.then(() => this.#read(offset, into));
    this.#lastRead = read.catch(() => {});
    return read;
  }

  async #read(offset: number, into: Uint8Array): Promise<void> {
    const first = (offset - this.start) / 4;
    const out = new Float32Array(into.buffer, into.byteOffset, into.length / 4);
    try {
      this.#parts ??= await this.#open();
      this.#position = await this.#decode(this.#parts, first, out);
    } catch (error) {
      this.close();
      throw error;
    }
    if (this.#position.done === this.#count) this.close();
  }

  close(): void {
    this.#parts = undefined; // up to 19 MB
    this.#position = beginning;
  }

  async #open(): Promise<Parts> {
    const { file, layer, storedCount, start } = this;
    const { codebook, bias, codes, gaps } = layerParts(layer, storedCount);
    const { buffer } = await readBytes(file, start, codebook);
    const codesAt = start + codebook + bias;
    const readCodes = piecesOf(file, codesAt, codes, layer.bits);
    return {
      codebook: new Float32Array(buffer),
      // in a stream, the first gap comes after the last code
      codes: file.forward ? await allOf(readCodes, storedCount) : readCodes,
      gaps: piecesOf(file, codesAt + codes, gaps, 4),
    };
  }

  /** Decodes the weights from index `first` on, as many as `out` takes. */
  async #decode({ codebook, ...parts }: Parts, first: number, out: Float32Array) {
    const { storedCount, layer: { name, bits } } = this, end = first + out.length;
    let { stored, next } = first < this.#position.done ? beginning : this.#position;
    out.fill(codebook[0]);
    while (stored < storedCount) {
      const { bytes: codes, ...piece } = await parts.codes(stored), gaps = await parts.gaps(stored);
      const last = Math.min(storedCount, piece.end, gaps.end);
      let i = stored - piece.first, j = stored - gaps.first, index = 0;
      for (; stored < last; stored++, i++, j++) {
        index = next + halfAt(gaps.bytes, j);
        if (index >= end) break;
        next = index + 1;
        if (index >= first) out[index - first] = codebook[bits === 8 ? codes[i] : halfAt(codes, i)];
      }
      if (index < end) continue;
      if (end < this.#count) break;
      throw new FileError(
        this.name,
        `${name}.weight has ${this.#count} elements, but its gaps lead to element ${index}: damaged`,
      );
    }
    return { stored, next, done: end };
  }
}

/** Reads codes or gaps piece by piece. Each piece takes the place of the last one in memory. */
function piecesOf(file: ByteSource, at: number, length: number, bits: 4 | 8): Parts["codes"] {
  const perPiece = 8 * pieceBytes / bits, buffer = new Uint8Array(Math.min(pieceBytes, length));
  let piece: Piece | undefined;
  return async (stored) => {
    const index = Math.floor(stored / perPiece), first = index * perPiece;
    if (piece?.first === first) return piece;
    piece = undefined;
    const start = index * pieceBytes, bytes = buffer.subarray(0, length - start);
    await file.read(at + start, bytes);
    return piece = { bytes, first, end: first + perPiece };
  };
}

/** Reads all pieces into memory. */
async function allOf(read: Parts["codes"], storedCount: number): Promise<Parts["codes"]> {
  const pieces: Piece[] = [];
  for (let stored = 0; stored < storedCount; stored = pieces.at(-1)!.end) {
    const piece = await read(stored);
    pieces.push({ ...piece, bytes: piece.bytes.slice() });
  }
  const [{ end: perPiece }] = pieces;
  return (stored) => Promise.resolve(pieces[Math.floor(stored / perPiece)]);
}

/** The half byte at index `i` of a list. The lower half of a byte comes first. */
function halfAt(bytes: Uint8Array, i: number): number {
  return bytes[i >> 1] >> 4 * (i & 1) & 15;
}
