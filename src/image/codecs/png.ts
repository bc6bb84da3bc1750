/**
 * PNG: inflating is the runtime's (`DecompressionStream`), the rest is here. That is faster than a
 * codec in WebAssembly, and there is none to load, to keep in memory or to break by a hostile file.
 *
 * @module
 */

import { readChunks } from "../../io/download.ts";
import { damaged } from "../formats/bytes.ts";
import type { DecodeContext, Size } from "../formats/format.ts";
import { chunks } from "../formats/png.ts";
import type { RgbImage } from "../pixels.ts";
import { release } from "../release.ts";
import { unfilter } from "./png_filter.ts";

/** What the header says, but for the size. */
interface Layout {
  readonly bits: number;
  /** Samples in a pixel. */
  readonly samples: number;
  readonly palette: Uint8Array | undefined;
}

/** A picture to fill: the whole one, or a seventh part of an interlaced one. */
interface Pass extends Size {
  readonly x: number;
  readonly y: number;
  readonly stepX: number;
  readonly stepY: number;
}

/** Adam7: first column and row of each pass, and the steps to the next. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Decodes a PNG that `png.check()` has passed. Alpha and 16-bit samples' low bytes are dropped. */
export async function decodePng(bytes: Uint8Array, context: DecodeContext): Promise<RgbImage> {
  const { name, size } = context;
  const colour = bytes[25], interlaced = bytes[28] === 1;
  const parts: Uint8Array[] = [];
  let palette: Uint8Array | undefined;
  for (const { type, start, end } of chunks(bytes, name)) {
    const content = bytes.subarray(start, end);
    if (type === "IDAT") parts.push(content);
    if (type === "PLTE") palette = content;
  }
  const samples = [1, 0, 3, 1, 2, 0, 4][colour];
  const layout = { bits: bytes[24], samples, palette: colour === 3 ? palette : undefined };
  const passes = interlaced ? interlacedPasses(size) : [wholePass(size)];
  const rowBytes = (pass: Pass) => Math.ceil(pass.width * samples * layout.bits / 8);
  const total = passes.reduce((sum, pass) => sum + pass.height * (1 + rowBytes(pass)), 0);
  const raw = await inflate(parts, total, name);

  const data = new Uint8Array(size.width * size.height * 3);
  const step = Math.max(1, samples * layout.bits / 8);
  let at = 0;
  for (const pass of passes) {
    const length = rowBytes(pass);
    const end = at + pass.height * (1 + length);
    if (!unfilter(raw.subarray(at, end), length, step)) {
      throw damaged(name, "PNG", "a row has a filter that does not exist");
    }
    for (let row = 0; row < pass.height; row++, at += 1 + length) {
      const to = ((pass.y + row * pass.stepY) * size.width + pass.x) * 3;
      writeRow(raw.subarray(at + 1, at + 1 + length), pass.width, layout, data, to, pass.stepX * 3);
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

/** Exactly `length` bytes out of a zlib stream: never more, whatever the stream holds. */
async function inflate(
  parts: readonly Uint8Array[],
  length: number,
  name: string,
): Promise<Uint8Array> {
  const out = new Uint8Array(length);
  let filled = 0;
  const { readable, writable } = new DecompressionStream("deflate");
  const chunks = readChunks(readable, { reuseBuffer: true });
  void feed(parts, writable.getWriter()).catch(() => {}); // whoever reads is told
  while (filled < length) {
    const chunk = await chunks.next().catch(() => {
      throw damaged(name, "PNG", "its data cannot be inflated");
    });
    if (!chunk) throw damaged(name, "PNG", "its data ends before its last row");
    out.set(chunk.subarray(0, length - filled), filled);
    filled += chunk.length;
  }
  // What the stream says of bytes after the last row changes no pixel.
  chunks.cancel().catch(() => {});
  return out;
}

/** What is written at a time: what it inflates to is held until it is read. */
const FED = 2 ** 16;

async function feed(
  parts: readonly Uint8Array[],
  writer: WritableStreamDefaultWriter<BufferSource>,
): Promise<void> {
  for (const part of parts) {
    for (let at = 0; at < part.length; at += FED) {
      const piece = part.subarray(at, at + FED);
      // a stream takes no bytes of a shared buffer
      await writer.write(piece.buffer instanceof ArrayBuffer ? piece as Owned : piece.slice());
    }
  }
  await writer.close();
}

/** Bytes of a buffer that is not shared. */
type Owned = Uint8Array<ArrayBuffer>;

/** Writes a row's pixels as RGB, `stride` bytes from each to the next. */
function writeRow(
  row: Uint8Array,
  width: number,
  { bits, samples, palette }: Layout,
  out: Uint8Array,
  to: number,
  stride: number,
): void {
  if (bits < 8) {
    const mask = (1 << bits) - 1;
    for (let x = 0; x < width; x++, to += stride) {
      const bit = x * bits;
      const value = row[bit >> 3] >> (8 - bits - (bit & 7)) & mask;
      if (palette) writeEntry(palette, value, out, to);
      else out[to] = out[to + 1] = out[to + 2] = value * 255 / mask;
    }
    return;
  }
  if (samples === 3 && bits === 8 && stride === 3) return out.set(row, to); // already RGB
  const sample = bits / 8; // of 16 bits the high byte, which comes first, is taken
  const pixel = samples * sample;
  const [g, b] = samples < 3 ? [0, 0] : [sample, 2 * sample]; // grey is its own green and blue
  for (let x = 0, from = 0; x < width; x++, from += pixel, to += stride) {
    if (palette) {
      writeEntry(palette, row[from], out, to);
      continue;
    }
    out[to] = row[from];
    out[to + 1] = row[from + g];
    out[to + 2] = row[from + b];
  }
}

/** A palette's colour; an index beyond its end is black, as in libpng. */
function writeEntry(palette: Uint8Array, index: number, out: Uint8Array, to: number): void {
  out[to] = palette[index * 3];
  out[to + 1] = palette[index * 3 + 1];
  out[to + 2] = palette[index * 3 + 2];
}
