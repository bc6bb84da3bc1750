/**
 * Decodes PNG. The runtime's `DecompressionStream` inflates the data; everything else is done here.
 * This is faster than a WebAssembly codec, and there is nothing to load, to keep in memory, or to be
 * corrupted by a malicious file.
 *
 * Rows become RGB pixels as they arrive, so decoding takes little more memory than the result.
 *
 * @module
 */

import { damaged, truncated } from "../formats/bytes.ts";
import type { DecodeContext } from "../formats/format.ts";
import { readPngChunks } from "../formats/png_chunks.ts";
import { inputBytes, passesOf, samplesOf } from "../formats/png_layout.ts";
import { type Orientation, readOrientation } from "../orient.ts";
import type { RgbImage } from "../pixels.ts";
import { Inflater } from "./inflate.ts";
import { unfilter } from "./png_filter.ts";

/** How the samples of a row become pixels. */
interface PixelFormat {
  /** Bits per sample. */
  readonly bits: number;
  /** Samples per pixel. */
  readonly samples: number;
  readonly palette: Uint8Array | undefined;
}

/** Decodes a PNG that passed `png.check()`. Drops alpha, and the low bytes of 16-bit samples. */
export async function decodePng(bytes: Uint8Array, context: DecodeContext): Promise<RgbImage> {
  const { name, size, signal } = context;
  const header = { colour: bytes[25], bits: bytes[24], interlaced: bytes[28] === 1 };
  const { palette, dataBytes, complete } = readParts(bytes, name);
  const samples = samplesOf(header.colour), { bits } = header;
  const format = { bits, samples, palette: header.colour === 3 ? palette : undefined };
  const step = Math.max(1, samples * bits / 8);
  const data = new Uint8Array(size.width * size.height * 3);
  const inflater = new Inflater(dataParts(bytes, name), inputBytes);
  try {
    for (const pass of passesOf(size, header)) {
      const { rowBytes, bandRows } = pass, stride = 1 + rowBytes;
      const band = new Uint8Array((1 + bandRows) * stride); // the row above the first is all zeros
      for (let y = 0; y < pass.height;) {
        const count = Math.min(bandRows, pass.height - y);
        const rows = band.subarray(0, (1 + count) * stride);
        await inflateRows(inflater, rows.subarray(stride), { name, complete });
        signal?.throwIfAborted();
        if (!unfilter(rows, stride, step)) {
          throw damaged(name, "PNG", "a row uses an unknown filter");
        }
        for (let row = 1; row <= count; row++, y++) {
          const to = ((pass.y + y * pass.stepY) * size.width + pass.x) * 3;
          writeRow(rows, row * stride + 1, pass.width, format, data, to, pass.stepX * 3);
        }
        if (y < pass.height) band.copyWithin(0, count * stride);
      }
    }
    // A few bytes too many are common, and change no pixel. Nothing needs as many again.
    if (dataBytes > 2 * inflater.bytesIn + inputBytes) {
      throw damaged(name, "PNG", "its image data goes on long after its last row");
    }
  } finally {
    inflater.cancel();
  }
  return { ...size, data };
}

/** Inflates whole rows. `complete` says whether the file has its last chunk. */
async function inflateRows(
  inflater: Inflater,
  rows: Uint8Array,
  { name, complete }: { readonly name: string; readonly complete: boolean },
): Promise<void> {
  const isFilled = await inflater.fill(rows).catch(() => {
    if (!complete && inflater.ended) return false;
    throw damaged(name, "PNG", "its image data cannot be decompressed");
  });
  if (isFilled) return;
  throw complete ? damaged(name, "PNG", "its image data ends too early") : truncated(name, "PNG");
}

/** Bytes of EXIF data as text to read: more than the largest of a JPEG takes. */
const textBytes = 2 ** 18;

/**
 * Reads the orientation of EXIF data as text: an empty line, one with a name, one with the length, and
 * hexadecimal digits. Malformed data counts as upright, as in `readOrientation()`.
 */
export async function readTextOrientation(
  content: Uint8Array,
  isCompressed: boolean,
): Promise<Orientation> {
  // a copy: a TextDecoder rejects shared memory
  let text = new Uint8Array(content.subarray(0, textBytes));
  if (isCompressed) {
    text = new Uint8Array(textBytes);
    const inflater = new Inflater([content], inputBytes);
    await inflater.fill(text).catch(() => {}); // zeros follow what can be inflated
    inflater.cancel();
  }
  const lines = new TextDecoder("latin1").decode(text).split("\n");
  const pairs = lines.slice(3).join("").match(/[\da-f]{2}/gi) ?? [];
  return readOrientation(Uint8Array.from(pairs, (pair) => parseInt(pair, 16)));
}

/** The palette, the length of the compressed data, and whether the file has its last chunk. */
function readParts(bytes: Uint8Array, name: string) {
  let palette: Uint8Array | undefined, dataBytes = 0, complete = false;
  for (const { type, start, end } of readPngChunks(bytes, name)) {
    if (type === "PLTE") palette = bytes.subarray(start, end);
    if (type === "IDAT") dataBytes += end - start;
    if (type === "IEND") complete = true;
  }
  return { palette, dataBytes, complete };
}

function* dataParts(bytes: Uint8Array, name: string): Generator<Uint8Array> {
  for (const { type, start, end } of readPngChunks(bytes, name)) {
    if (type === "IDAT") yield bytes.subarray(start, end);
  }
}

/** Rows of more bytes are copied as a whole where they can be. Others have too many calls. */
const fewBytes = 64;

/** Writes the pixels of a row that starts at `from` as RGB, with `stride` bytes from one to the next. */
function writeRow(
  rows: Uint8Array,
  from: number,
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
      const value = rows[from + (bit >> 3)] >> (8 - bits - (bit & 7)) & mask;
      if (palette) writePaletteColour(palette, value, out, to);
      else out[to] = out[to + 1] = out[to + 2] = value * 255 / mask;
    }
    return;
  }
  if (samples === 3 && bits === 8 && stride === 3 && 3 * width > fewBytes) { // already RGB
    return out.set(rows.subarray(from, from + 3 * width), to);
  }
  const sample = bits / 8; // of a 16-bit sample, only the high byte is used, which comes first
  const pixel = samples * sample;
  const [g, b] = samples < 3 ? [0, 0] : [sample, 2 * sample]; // grey repeats its only sample
  for (let x = 0; x < width; x++, from += pixel, to += stride) {
    if (palette) {
      writePaletteColour(palette, rows[from], out, to);
      continue;
    }
    out[to] = rows[from];
    out[to + 1] = rows[from + g];
    out[to + 2] = rows[from + b];
  }
}

/** Writes a colour of the palette. An index past its end gives black, as in libpng. */
function writePaletteColour(palette: Uint8Array, index: number, out: Uint8Array, to: number): void {
  out[to] = palette[index * 3];
  out[to + 1] = palette[index * 3 + 1];
  out[to + 2] = palette[index * 3 + 2];
}
