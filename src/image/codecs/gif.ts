/**
 * Decodes the first frame of a GIF. The result equals Pillow's, bit for bit.
 *
 * @module
 */

import { damaged, truncated } from "../formats/bytes.ts";
import type { DecodeContext } from "../formats/format.ts";
import { readFirstFrame } from "../formats/gif_frame.ts";
import type { RgbImage } from "../pixels.ts";

/** Codes have up to 12 bits. */
const maxBits = 12, tableSize = 1 << maxBits;

/** Interlaced frames store rows in four passes: the first row, and the distance between rows. */
const interlacePasses = [[0, 8], [4, 8], [2, 4], [1, 2]] as const;

/** Decodes a GIF's first frame. Pixels around it have the transparent colour, or the first one. */
export function decodeGif(bytes: Uint8Array, { name, size }: DecodeContext): RgbImage {
  const frame = readFirstFrame(bytes, name);
  const colours = new Uint8Array(256 * 3); // an index past the palette gives black
  if (frame.palette) colours.set(frame.palette);
  else for (let i = 0; i < colours.length; i++) colours[i] = i / 3;
  const indices = readIndices(bytes, frame.dataStart, frame.width * frame.height, name);

  const data = new Uint8Array(size.width * size.height * 3);
  if (frame.width !== size.width || frame.height !== size.height) {
    const background = (frame.transparent ?? 0) * 3;
    for (let i = 0; i < data.length; i += 3) {
      data[i] = colours[background];
      data[i + 1] = colours[background + 1];
      data[i + 2] = colours[background + 2];
    }
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

/** Decompresses `length` colour indices (LZW with codes of growing length; GIF 89a, appendix F). */
function readIndices(bytes: Uint8Array, at: number, length: number, name: string): Uint8Array {
  const rootBits = bytes[at++];
  if (rootBits >= maxBits) {
    throw damaged(name, "GIF", `its codes start with ${rootBits} bits`);
  }
  const clear = 1 << rootBits, end = clear + 1;
  // Each code stands for the indices of another code, its prefix, and one more index.
  const prefix = new Uint16Array(tableSize), suffix = new Uint8Array(tableSize);
  const first = new Uint8Array(tableSize), lengths = new Uint16Array(tableSize).fill(1);
  for (let code = 0; code < clear; code++) suffix[code] = first[code] = code;

  const indices = new Uint8Array(length);
  const codes = new CodeReader(bytes, at, name);
  let next = end + 1, codeBits = rootBits + 1, last = -1; // no last code after a clear code
  let filled = 0;
  while (filled < length) {
    const code = codes.read(codeBits);
    if (code === clear) {
      next = end + 1;
      codeBits = rootBits + 1;
      last = -1;
      continue;
    }
    if (code === end) throw damaged(name, "GIF", "its image data ends too early");
    if (code > (last < 0 ? clear : next)) {
      throw damaged(name, "GIF", "its image data cannot be decompressed");
    }
    if (last >= 0 && next < tableSize) {
      prefix[next] = last;
      first[next] = first[last];
      // The new code may be the one just read.
      suffix[next] = code === next ? first[last] : first[code];
      lengths[next] = lengths[last] + 1;
      next++;
      if (next === 1 << codeBits && codeBits < maxBits) codeBits++;
    }
    // The indices of a code come out last first.
    let to = filled + lengths[code] - 1, link = code;
    filled = to + 1;
    for (; to > length - 1; to--) link = prefix[link];
    for (; link >= clear; to--) {
      indices[to] = suffix[link];
      link = prefix[link];
    }
    indices[to] = link;
    last = code;
  }
  return indices;
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
