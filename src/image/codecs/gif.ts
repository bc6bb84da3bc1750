/**
 * Decodes the first frame of a GIF. The result equals Pillow's, bit for bit.
 *
 * @module
 */

import { damaged, truncated } from "../formats/bytes.ts";
import type { DecodeContext, Size } from "../formats/format.ts";
import type { RgbImage } from "../pixels.ts";

/** The first frame: where it lies on the screen, and how it is stored. */
export interface GifFrame extends Size {
  readonly x: number;
  readonly y: number;
  readonly interlaced: boolean;
  /** RGB colours, or undefined if the frame has none and its values are grey levels. */
  readonly palette: Uint8Array | undefined;
  /** The index of the transparent colour, if there is one. */
  readonly transparent: number | undefined;
  /** Offset of the minimum LZW code size, after which the data blocks follow. */
  readonly dataStart: number;
}

/** Codes have up to 12 bits. */
const maxBits = 12, tableSize = 1 << maxBits;

/**
 * Interlaced frames store rows in four passes (GIF 89a, appendix E): the first row, and the distance
 * between rows.
 */
const interlacePasses = [[0, 8], [4, 8], [2, 4], [1, 2]] as const;

/** Decodes a GIF's first frame. Pixels around it have the transparent colour, or the first one. */
export function decodeGif(
  bytes: Uint8Array,
  frame: GifFrame,
  { name, size }: DecodeContext,
): RgbImage {
  const colours = coloursOf(frame);
  const indices = readIndices(bytes, frame.dataStart, frame.width * frame.height, name);
  const data = new Uint8Array(size.width * size.height * 3);
  if (frame.width !== size.width || frame.height !== size.height) {
    fill(data, colours.subarray((frame.transparent ?? 0) * 3));
  }
  let from = 0;
  for (const [first, step] of frame.interlaced ? interlacePasses : [[0, 1]]) {
    for (let row = first; row < frame.height; row += step) {
      let to = ((frame.y + row) * size.width + frame.x) * 3;
      for (let x = 0; x < frame.width; x++, from++, to += 3) {
        const colour = indices[from] * 3;
        data[to] = colours[colour];
        data[to + 1] = colours[colour + 1];
        data[to + 2] = colours[colour + 2];
      }
    }
  }
  return { ...size, data };
}

/** The colours of all 256 indices. Those past the end of the palette are black. */
function coloursOf({ palette }: GifFrame): Uint8Array {
  const colours = new Uint8Array(256 * 3);
  if (!palette) return colours.map((_, i) => i / 3); // grey levels
  colours.set(palette);
  return colours;
}

/** Gives all pixels the same colour. */
function fill(data: Uint8Array, [red, green, blue]: Uint8Array): void {
  for (let i = 0; i < data.length; i += 3) {
    data[i] = red;
    data[i + 1] = green;
    data[i + 2] = blue;
  }
}

/** Decompresses `length` colour indices: LZW with codes of growing length (GIF 89a, appendix F). */
function readIndices(bytes: Uint8Array, at: number, length: number, name: string): Uint8Array {
  const rootBits = bytes[at];
  if (rootBits >= maxBits) throw damaged(name, "GIF", `its codes start with ${rootBits} bits`);
  const codes = new CodeReader(bytes, at + 1, name), table = new CodeTable(rootBits);
  const indices = new Uint8Array(length);
  for (let filled = 0; filled < length;) {
    const code = codes.read(table.codeBits);
    if (code === table.clearCode) {
      table.clear();
      continue;
    }
    if (code === table.endCode) throw damaged(name, "GIF", "its image data ends too early");
    if (!table.has(code)) throw damaged(name, "GIF", "its image data cannot be decompressed");
    table.add(code);
    filled = table.write(code, indices, filled);
  }
  return indices;
}

/** The codes of LZW. Each stands for the indices of another code, its prefix, and one more index. */
class CodeTable {
  readonly clearCode: number;
  readonly endCode: number;
  /** Bits of the next code that is read. */
  codeBits = 0;
  readonly #rootBits: number;
  readonly #prefix = new Uint16Array(tableSize);
  /** The last and the first index of each code, and their number. */
  readonly #suffix = new Uint8Array(tableSize);
  readonly #first = new Uint8Array(tableSize);
  readonly #length = new Uint16Array(tableSize).fill(1);
  /** The number of the code to add next. */
  #next = 0;
  /** The code that was read last; −1 after the table was cleared. */
  #last = -1;

  /** @param rootBits Bits of an index. */
  constructor(rootBits: number) {
    this.#rootBits = rootBits;
    this.clearCode = 1 << rootBits;
    this.endCode = this.clearCode + 1;
    for (let code = 0; code < this.clearCode; code++) {
      this.#suffix[code] = this.#first[code] = code;
    }
    this.clear();
  }

  /** Forgets all codes but those of single indices. */
  clear(): void {
    this.#next = this.endCode + 1;
    this.codeBits = this.#rootBits + 1;
    this.#last = -1;
  }

  /** Whether a code has indices. The next one has: it may be read just before it is added. */
  has(code: number): boolean {
    return code <= (this.#last < 0 ? this.clearCode : this.#next);
  }

  /** Adds a code: the indices of the last code, and the first index of the one that was just read. */
  add(code: number): void {
    const next = this.#next, last = this.#last;
    if (last >= 0 && next < tableSize) {
      this.#prefix[next] = last;
      this.#first[next] = this.#first[last];
      this.#suffix[next] = this.#first[code === next ? last : code];
      this.#length[next] = this.#length[last] + 1;
      this.#next++;
      if (this.#next === 1 << this.codeBits && this.codeBits < maxBits) this.codeBits++;
    }
    this.#last = code;
  }

  /**
   * Writes the indices of a code, those that fit. They come out last first.
   *
   * @returns Where those of the next code begin.
   */
  write(code: number, indices: Uint8Array, from: number): number {
    const prefix = this.#prefix, suffix = this.#suffix, end = from + this.#length[code];
    let to = end - 1;
    for (; to >= indices.length; to--) code = prefix[code];
    for (; code >= this.clearCode; to--) {
      indices[to] = suffix[code];
      code = prefix[code];
    }
    indices[to] = code;
    return end;
  }
}

/** Reads codes of some bits each from the blocks of a frame: a byte with their length, and their bytes. */
class CodeReader {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  #at: number;
  /** Bits that were read, but belong to the next codes. */
  #buffer = 0;
  /** Number of these bits. */
  #bits = 0;
  /** Bytes left in the current block. */
  #block = 0;

  constructor(bytes: Uint8Array, at: number, name: string) {
    this.#bytes = bytes;
    this.#at = at;
    this.#name = name;
  }

  /** Reads a code. */
  read(codeBits: number): number {
    while (this.#bits < codeBits) this.#readByte();
    const code = this.#buffer & (1 << codeBits) - 1;
    this.#buffer >>>= codeBits;
    this.#bits -= codeBits;
    return code;
  }

  #readByte(): void {
    if (this.#block === 0) {
      this.#block = this.#bytes[this.#at++];
      if (this.#block === 0) throw damaged(this.#name, "GIF", "its image data ends too early");
    }
    if (this.#at >= this.#bytes.length) throw truncated(this.#name, "GIF");
    this.#buffer |= this.#bytes[this.#at++] << this.#bits;
    this.#bits += 8;
    this.#block--;
  }
}
