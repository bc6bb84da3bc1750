/**
 * Decodes PNG. The runtime's `DecompressionStream` inflates the data; everything else is done here.
 * This is faster than a WebAssembly codec, and there is nothing to load, to keep in memory, or to be
 * corrupted by a malicious file.
 *
 * @module
 */

import { readChunks } from "../../io/download.ts";
import { damaged } from "../formats/bytes.ts";
import type { DecodeContext, Size } from "../formats/format.ts";
import { readPngChunks } from "../formats/png_chunks.ts";
import type { RgbImage } from "../pixels.ts";
import { release } from "../release.ts";
import { unfilter } from "./png_filter.ts";

/** The pixel format in the header. */
interface PixelFormat {
  /** Bits per sample. */
  readonly bits: number;
  /** Samples per pixel. */
  readonly samples: number;
  readonly palette: Uint8Array | undefined;
}

/** Pixels stored together: the whole image, or one of the seven passes of an interlaced image. */
interface Pass extends Size {
  readonly x: number;
  readonly y: number;
  readonly stepX: number;
  readonly stepY: number;
}

/** Adam7 interlacing: for each pass the first column and row, and the distances between them. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Decodes a PNG that passed `png.check()`. Drops alpha, and the low bytes of 16-bit samples. */
export async function decodePng(bytes: Uint8Array, context: DecodeContext): Promise<RgbImage> {
  const { name, size } = context;
  const colour = bytes[25], interlaced = bytes[28] === 1;
  const parts: Uint8Array[] = [];
  let palette: Uint8Array | undefined;
  for (const { type, start, end } of readPngChunks(bytes, name)) {
    const content = bytes.subarray(start, end);
    if (type === "IDAT") parts.push(content);
    if (type === "PLTE") palette = content;
  }
  const samples = [1, 0, 3, 1, 2, 0, 4][colour];
  const format = { bits: bytes[24], samples, palette: colour === 3 ? palette : undefined };
  const passes = interlaced ? interlacedPasses(size) : [wholePass(size)];
  const rowBytes = (pass: Pass) => Math.ceil(pass.width * samples * format.bits / 8);
  const total = passes.reduce((sum, pass) => sum + pass.height * (1 + rowBytes(pass)), 0);
  const raw = await inflate(parts, total, name);

  const data = new Uint8Array(size.width * size.height * 3);
  const step = Math.max(1, samples * format.bits / 8);
  let at = 0;
  for (const pass of passes) {
    const length = rowBytes(pass);
    const end = at + pass.height * (1 + length);
    if (!unfilter(raw.subarray(at, end), length, step)) {
      throw damaged(name, "PNG", "a row uses an unknown filter");
    }
    for (let row = 0; row < pass.height; row++, at += 1 + length) {
      const to = ((pass.y + row * pass.stepY) * size.width + pass.x) * 3;
      writeRow(raw.subarray(at + 1, at + 1 + length), pass.width, format, data, to, pass.stepX * 3);
    }
  }
  release(raw);
  return { ...size, data };
}

function wholePass(size: Size): Pass {
  return { ...size, x: 0, y: 0, stepX: 1, stepY: 1 };
}

function interlacedPasses({ width, height }: Size): Pass[] {
  return ADAM7.map(([x, y, stepX, stepY]) => ({
    x,
    y,
    stepX,
    stepY,
    width: Math.ceil((width - x) / stepX),
    height: Math.ceil((height - y) / stepY),
  })).filter((pass) => pass.width > 0 && pass.height > 0);
}

/** Inflates exactly `length` bytes of a zlib stream, and never more, however long the stream is. */
async function inflate(
  parts: readonly Uint8Array[],
  length: number,
  name: string,
): Promise<Uint8Array> {
  const out = new Uint8Array(length);
  let filled = 0;
  const { readable, writable } = new DecompressionStream("deflate");
  const chunks = readChunks(readable, { reuseBuffer: true });
  void writeParts(parts, writable.getWriter()).catch(() => {}); // reading throws the same error
  while (filled < length) {
    const chunk = await chunks.next().catch(() => {
      throw damaged(name, "PNG", "its image data cannot be decompressed");
    });
    if (!chunk) throw damaged(name, "PNG", "its image data ends too early");
    out.set(chunk.subarray(0, length - filled), filled);
    filled += chunk.length;
  }
  // Errors after the last row change no pixel.
  chunks.cancel().catch(() => {});
  return out;
}

/** Bytes written at a time. The stream buffers all that they inflate to. */
const WRITE_BYTES = 2 ** 16;

async function writeParts(
  parts: readonly Uint8Array[],
  writer: WritableStreamDefaultWriter<BufferSource>,
): Promise<void> {
  for (const part of parts) {
    for (let at = 0; at < part.length; at += WRITE_BYTES) {
      const piece = part.subarray(at, at + WRITE_BYTES);
      // Streams reject shared memory.
      await writer.write(isUnshared(piece) ? piece : piece.slice());
    }
  }
  await writer.close();
}

function isUnshared(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer;
}

/** Writes a row's pixels as RGB, with `stride` bytes from one pixel to the next. */
function writeRow(
  row: Uint8Array,
  width: number,
  { bits, samples, palette }: PixelFormat,
  out: Uint8Array,
  to: number,
  stride: number,
): void {
  if (bits < 8) {
    const mask = (1 << bits) - 1;
    for (let x = 0; x < width; x++, to += stride) {
      const bit = x * bits;
      const value = row[bit >> 3] >> (8 - bits - (bit & 7)) & mask;
      if (palette) writePaletteColour(palette, value, out, to);
      else out[to] = out[to + 1] = out[to + 2] = value * 255 / mask;
    }
    return;
  }
  if (samples === 3 && bits === 8 && stride === 3) return out.set(row, to); // already RGB
  const sample = bits / 8; // of a 16-bit sample, only the high byte is used, which comes first
  const pixel = samples * sample;
  const [g, b] = samples < 3 ? [0, 0] : [sample, 2 * sample]; // grey repeats its only sample
  for (let x = 0, from = 0; x < width; x++, from += pixel, to += stride) {
    if (palette) {
      writePaletteColour(palette, row[from], out, to);
      continue;
    }
    out[to] = row[from];
    out[to + 1] = row[from + g];
    out[to + 2] = row[from + b];
  }
}

/** Writes a colour of the palette. An index past its end gives black, as in libpng. */
function writePaletteColour(palette: Uint8Array, index: number, out: Uint8Array, to: number): void {
  out[to] = palette[index * 3];
  out[to + 1] = palette[index * 3 + 1];
  out[to + 2] = palette[index * 3 + 2];
}
