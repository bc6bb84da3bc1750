/**
 * How a PNG's header lays out its rows, and the memory that decoding them takes.
 *
 * @module
 */

import type { Size } from "./format.ts";

/** The fields of the header that decide how pixels are stored. */
export interface PngFormat {
  /** The colour type: 0 is grey, 2 is RGB, 3 has a palette; 4 and 6 are 0 and 2 with alpha. */
  readonly colour: number;
  /** Bits per sample. */
  readonly bits: number;
  readonly interlaced: boolean;
}

/** Reads these fields. The header must be complete. */
export function readPngFormat(bytes: Uint8Array): PngFormat {
  return { bits: bytes[24], colour: bytes[25], interlaced: bytes[28] === 1 };
}

/** Pixels stored together: the whole image, or one of the seven passes of an interlaced image. */
export interface Pass extends Size {
  readonly x: number;
  readonly y: number;
  readonly stepX: number;
  readonly stepY: number;
  /** Bytes in a row, without its filter. */
  readonly rowBytes: number;
  /** Rows that are decoded together: some 128 KiB. */
  readonly bandRows: number;
}

/** Adam7 interlacing: for each pass the first column and row, and the distances between them. */
const adam7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

const bandBytes = 2 ** 17;

/** Compressed bytes to inflate at a time. They may become 1000 times as many. */
export const inputBytes = 2 ** 12;

/** How much longer than its input the output of zlib can be. */
const maxRatio = 1032;

/** Samples per pixel of a colour type. */
export function samplesOf(colour: number): number {
  return [1, 0, 3, 1, 2, 0, 4][colour];
}

/** The passes of an image: one, or up to seven if it is interlaced. */
export function passesOf({ width, height }: Size, format: PngFormat): Pass[] {
  const steps = format.interlaced ? adam7 : [[0, 0, 1, 1]];
  return steps.map(([x, y, stepX, stepY]) => {
    const pass = {
      width: Math.ceil((width - x) / stepX),
      height: Math.ceil((height - y) / stepY),
    };
    const rowBytes = Math.ceil(pass.width * samplesOf(format.colour) * format.bits / 8);
    const bandRows = Math.min(pass.height, Math.ceil(bandBytes / (1 + rowBytes)));
    return { ...pass, x, y, stepX, stepY, rowBytes, bandRows };
  }).filter((pass) => pass.width > 0 && pass.height > 0);
}

/** The memory in bytes that decoding a file of this length takes at most. */
export function pngMemory(size: Size, format: PngFormat, fileBytes: number): number {
  // Two pieces of inflated data: one waits while one is copied.
  const inflated = maxRatio * Math.min(2 * inputBytes, fileBytes);
  // A band, and the row above it.
  const bands = passesOf(size, format).map(({ rowBytes, bandRows }) =>
    (1 + rowBytes) * (1 + bandRows)
  );
  return size.width * size.height * 3 + Math.max(...bands) + inflated;
}
