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
import {
  inputBytes,
  type Pass,
  passesOf,
  type PngFormat,
  readPngFormat,
  samplesOf,
} from "../formats/png_layout.ts";
import { type Orientation, readOrientation } from "../orient.ts";
import type { RgbImage } from "../pixels.ts";
import { Inflater } from "./inflate.ts";
import { unfilter } from "./png_filter.ts";

/** Decodes a PNG that passed `png.check()`. Drops alpha, and the low bytes of 16-bit samples. */
export async function decodePng(bytes: Uint8Array, context: DecodeContext): Promise<RgbImage> {
  const { name, size } = context, format = readPngFormat(bytes);
  const { palette, dataBytes, complete } = readParts(bytes, name);
  const data = new Uint8Array(size.width * size.height * 3);
  const writeRow = rowWriter(data, format, palette);
  const inflater = new Inflater(dataParts(bytes, name), inputBytes);
  try {
    for (const pass of passesOf(size, format)) {
      const stride = 1 + pass.rowBytes;
      for await (const { y, rows } of readBands(pass, format, inflater, { ...context, complete })) {
        for (let row = 1; row * stride < rows.length; row++) {
          const to = ((pass.y + (y + row - 1) * pass.stepY) * size.width + pass.x) * 3;
          writeRow(rows, row * stride + 1, pass.width, to, pass.stepX * 3);
        }
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

/** Some rows of a pass. */
interface Band {
  /** The number of the first row in the pass. */
  readonly y: number;
  /** The row before it, then the rows. Each has the number of its filter before its bytes. */
  readonly rows: Uint8Array<ArrayBuffer>;
}

/** What reading rows takes from the file, besides its data. */
interface RowContext extends Pick<DecodeContext, "name" | "signal"> {
  /** Whether the file has its last chunk. */
  readonly complete: boolean;
}

/** Inflates the rows of a pass, and undoes their filters. A band is valid until the next is read. */
async function* readBands(
  { rowBytes, bandRows, height }: Pass,
  { colour, bits }: PngFormat,
  inflater: Inflater,
  context: RowContext,
): AsyncGenerator<Band> {
  const stride = 1 + rowBytes, step = Math.max(1, samplesOf(colour) * bits / 8);
  const band = new Uint8Array((1 + bandRows) * stride); // the row above the first is all zeros
  for (let y = 0; y < height; y += bandRows) {
    const count = Math.min(bandRows, height - y);
    const rows = band.subarray(0, (1 + count) * stride);
    await inflateRows(inflater, rows.subarray(stride), context);
    context.signal?.throwIfAborted();
    if (!unfilter(rows, stride, step)) {
      throw damaged(context.name, "PNG", "a row uses an unknown filter");
    }
    yield { y, rows };
    band.copyWithin(0, count * stride, (count + 1) * stride);
  }
}

/** Inflates whole rows. */
async function inflateRows(
  inflater: Inflater,
  rows: Uint8Array,
  { name, complete }: RowContext,
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

/**
 * Writes the pixels of a row as RGB.
 *
 * @param rows Holds the row: `width` pixels, from the byte `from` on.
 * @param to The byte of the image where the first pixel goes; the others follow every `stride` bytes.
 */
type WriteRow = (
  rows: Uint8Array,
  from: number,
  width: number,
  to: number,
  stride: number,
) => void;

/** Returns what writes rows of a format to an image. */
function rowWriter(
  data: Uint8Array,
  { colour, bits }: PngFormat,
  palette: Uint8Array | undefined,
): WriteRow {
  if (colour === 3) return indexedRows(data, bits, palette!);
  return bits < 8 ? packedGreyRows(data, bits) : byteRows(data, samplesOf(colour), bits / 8);
}

/** Rows of indices into the palette. An index past its end gives black, as in libpng. */
function indexedRows(data: Uint8Array, bits: number, palette: Uint8Array): WriteRow {
  const last = (1 << bits) - 1;
  return (rows, from, width, to, stride) => {
    for (let x = 0, bit = 0; x < width; x++, bit += bits, to += stride) {
      const entry = (rows[from + (bit >> 3)] >> (8 - bits - (bit & 7)) & last) * 3;
      data[to] = palette[entry];
      data[to + 1] = palette[entry + 1];
      data[to + 2] = palette[entry + 2];
    }
  };
}

/** Rows of grey levels of less than a byte. */
function packedGreyRows(data: Uint8Array, bits: number): WriteRow {
  const white = (1 << bits) - 1;
  return (rows, from, width, to, stride) => {
    for (let x = 0, bit = 0; x < width; x++, bit += bits, to += stride) {
      const level = rows[from + (bit >> 3)] >> (8 - bits - (bit & 7)) & white;
      data[to] = data[to + 1] = data[to + 2] = level * 255 / white;
    }
  };
}

/** Rows of more bytes are copied as a whole where they can be. Others have too many calls. */
const fewBytes = 64;

/** Rows of samples of one or two bytes, of which only the first is used: it is the high one. */
function byteRows(data: Uint8Array, samples: number, sampleBytes: number): WriteRow {
  const pixelBytes = samples * sampleBytes;
  const [g, b] = samples < 3 ? [0, 0] : [sampleBytes, 2 * sampleBytes]; // grey repeats its only sample
  return (rows, from, width, to, stride) => {
    if (pixelBytes === 3 && stride === 3 && 3 * width > fewBytes) { // already RGB
      return data.set(rows.subarray(from, from + 3 * width), to);
    }
    for (let x = 0; x < width; x++, from += pixelBytes, to += stride) {
      data[to] = rows[from];
      data[to + 1] = rows[from + g];
      data[to + 2] = rows[from + b];
    }
  };
}
