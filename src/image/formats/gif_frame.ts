/**
 * The first frame of a GIF: a screen descriptor, then blocks, one of which starts the frame.
 *
 * @module
 */

import { damaged, truncated, viewOf } from "./bytes.ts";
import type { Size } from "./format.ts";

const extensionStart = 0x21, frameStart = 0x2c, trailerByte = 0x3b, graphicControl = 0xf9;

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

/** Reads the descriptor of the first frame. Like Pillow, skips bytes that start no block. */
export function readFirstFrame(bytes: Uint8Array, file: string): GifFrame {
  const view = viewOf(bytes);
  const globalTable = colourTable(bytes[10]);
  let at = 13 + globalTable, transparent: number | undefined;
  while (bytes[at] !== frameStart) {
    if (at >= bytes.length) throw truncated(file, "GIF");
    if (bytes[at] === trailerByte) throw damaged(file, "GIF", "it has no image data");
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
