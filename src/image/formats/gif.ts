/**
 * GIF 87a and 89a: a screen descriptor, then blocks. Only the first frame is used, and what follows
 * it is not read.
 *
 * @module
 */

import type { GifFrame } from "../codecs/gif.ts";
import { damaged, hasText, truncated, viewOf } from "./bytes.ts";
import type { Format } from "./format.ts";

/** The bytes that start blocks (GIF 89a, appendix A). */
const extensionStart = 0x21, frameStart = 0x2c, trailer = 0x3b;
/** The label of the extension that has the transparent colour (section 23). */
const graphicControl = 0xf9;

/** The GIF format. */
export const gif: Format = {
  name: "GIF",

  matches: (bytes) => hasText(bytes, 0, "GIF87a") || hasText(bytes, 0, "GIF89a"),

  readSize(bytes, file) {
    if (bytes.length < 13) throw truncated(file, "GIF");
    const view = viewOf(bytes), frame = readFirstFrame(bytes, file);
    if (frame.width === 0 || frame.height === 0) {
      throw damaged(file, "GIF", "its first frame has no pixels");
    }
    return { // as in viewers and Pillow, a first frame beyond the screen enlarges it
      width: Math.max(view.getUint16(6, true), frame.x + frame.width),
      height: Math.max(view.getUint16(8, true), frame.y + frame.height),
    };
  },

  readOrientation: () => 1, // GIF has no EXIF

  // An index and a colour for each pixel.
  memory: (_bytes, _file, { width, height }) => width * height * 4,

  check() {}, // decoding notices whatever is missing

  async decode(bytes, context) {
    const { decodeGif } = await import("../codecs/gif.ts");
    return decodeGif(bytes, readFirstFrame(bytes, context.name), context);
  },
};

/**
 * Reads the descriptor of the first frame (GIF 89a, section 20). Like Pillow, skips bytes that start no
 * block.
 */
function readFirstFrame(bytes: Uint8Array, file: string): GifFrame {
  const view = viewOf(bytes);
  const globalTable = colourTable(bytes[10]);
  let at = 13 + globalTable, transparent: number | undefined;
  while (bytes[at] !== frameStart) {
    if (at >= bytes.length) throw truncated(file, "GIF");
    if (bytes[at] === trailer) throw damaged(file, "GIF", "it has no image data");
    if (bytes[at] !== extensionStart) {
      at++;
      continue;
    }
    // Label, length, flags, delay in two bytes, transparent colour.
    if (bytes[at + 1] === graphicControl && bytes[at + 2] >= 4 && bytes[at + 3] & 1) {
      transparent = bytes[at + 6];
    }
    at = skipBlocks(bytes, at + 2);
  }
  if (at + 11 > bytes.length) throw truncated(file, "GIF");
  const flags = bytes[at + 9], localTable = colourTable(flags);
  const [start, length] = localTable > 0 ? [at + 10, localTable] : [13, globalTable];
  return {
    x: view.getUint16(at + 1, true),
    y: view.getUint16(at + 3, true),
    width: view.getUint16(at + 5, true),
    height: view.getUint16(at + 7, true),
    interlaced: (flags & 0x40) !== 0,
    palette: length > 0 ? bytes.subarray(start, start + length) : undefined,
    transparent,
    dataStart: at + 10 + localTable,
  };
}

/** Skips blocks of up to 255 bytes, each preceded by its length; a block of length 0 ends them. */
function skipBlocks(bytes: Uint8Array, at: number): number {
  while (bytes[at] > 0) at += 1 + bytes[at];
  return at + 1;
}

/** Bytes of the colour table that these flags declare. */
function colourTable(flags: number): number {
  return flags & 0x80 ? 3 << (flags & 7) + 1 : 0;
}
