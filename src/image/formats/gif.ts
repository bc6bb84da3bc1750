/**
 * GIF 87a and 89a: a screen descriptor, then blocks up to a trailer. Only the first frame is used.
 *
 * @module
 */

import { damaged, hasText, truncated, viewOf } from "./bytes.ts";
import type { Format } from "./format.ts";

const EXTENSION = 0x21, FRAME = 0x2c, TRAILER = 0x3b;

/** Yields the offset of each frame's descriptor. Throws if the file ends before the trailer. */
function* frames(bytes: Uint8Array, file: string): Generator<number> {
  let at = 13 + colourTable(bytes[10]);
  while (true) {
    switch (bytes[at]) {
      case TRAILER:
        return;
      case EXTENSION:
        at = skipBlocks(bytes, at + 2);
        break;
      case FRAME:
        yield at;
        // The descriptor, a local colour table, the minimum LZW code size, the data.
        at = skipBlocks(bytes, at + 10 + colourTable(bytes[at + 9]) + 1);
        break;
      case undefined:
        throw truncated(file, "GIF");
      default:
        throw damaged(file, "GIF", `there is no block at byte ${at}`);
    }
  }
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

/** The GIF format. */
export const gif: Format = {
  name: "GIF",

  matches: (bytes) => hasText(bytes, 0, "GIF87a") || hasText(bytes, 0, "GIF89a"),

  readSize(bytes, file) {
    if (bytes.length < 13) throw truncated(file, "GIF");
    const view = viewOf(bytes);
    const size = { width: view.getUint16(6, true), height: view.getUint16(8, true) };
    const [first] = frames(bytes, file);
    if (first === undefined) throw damaged(file, "GIF", "it has no image data");
    if (first + 10 > bytes.length) throw truncated(file, "GIF");
    if (
      view.getUint16(first + 1, true) + view.getUint16(first + 5, true) > size.width ||
      view.getUint16(first + 3, true) + view.getUint16(first + 7, true) > size.height
    ) {
      throw damaged(file, "GIF", "its first frame is larger than its screen");
    }
    return size;
  },

  check(bytes, file) {
    for (const _ of frames(bytes, file)); // throws unless the trailer is there
    return 1; // GIF has no EXIF
  },

  async decode(bytes, context) {
    const { decodeWithRuntime } = await import("../codecs/runtime.ts");
    return decodeWithRuntime(bytes, "GIF", context);
  },
};
