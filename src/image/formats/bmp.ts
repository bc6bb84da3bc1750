/**
 * BMP: a file header of 14 bytes, a bitmap header whose length identifies its version, and pixels.
 * Those without compression are decoded here, to Pillow's pixels. The runtime decodes the others.
 *
 * @module
 */

import type { RgbImage } from "../pixels.ts";
import { damaged, hasText, truncated, viewOf } from "./bytes.ts";
import { runtimeMemory } from "./codec_memory.ts";
import type { DecodeContext, Format } from "./format.ts";

const CORE_HEADER = 12; // OS/2's header stores sizes in 16 bits, every other in 32
const OS2_HEADER = 64; // its compression 3 has another meaning
const UNCOMPRESSED = 0, BIT_FIELDS = 3;

/** Where the parts of a BMP without compression are. */
interface Layout {
  /** Bits of a pixel. */
  readonly bits: number;
  /** Whether the file says which bits are red, green and blue. */
  readonly hasMasks: boolean;
  /** The offset of the palette, which pixels of up to 8 bits have. */
  readonly palette: number;
  /** The offset of the first row. */
  readonly start: number;
  /** Bytes of a row, padded to four. */
  readonly rowBytes: number;
}

/** The layout of a BMP; undefined if it is compressed. The header must be complete. */
function layoutOf(bytes: Uint8Array, width: number): Layout | undefined {
  const view = viewOf(bytes), headerBytes = view.getUint32(14, true);
  const core = headerBytes === CORE_HEADER;
  const compression = core ? UNCOMPRESSED : view.getUint32(30, true);
  const hasMasks = compression === BIT_FIELDS && headerBytes !== OS2_HEADER;
  if (compression !== UNCOMPRESSED && !hasMasks) return undefined;
  const bits = view.getUint16(core ? 24 : 28, true);
  const rowBytes = Math.ceil(width * bits / 32) * 4;
  return { bits, hasMasks, palette: 14 + headerBytes, start: view.getUint32(10, true), rowBytes };
}

/** Whether the header is there up to the compression. */
function hasHeader(bytes: Uint8Array): boolean {
  return bytes.length >= 34 || viewOf(bytes).getUint32(14, true) === CORE_HEADER;
}

/** The BMP format. */
export const bmp: Format = {
  name: "BMP",

  // Many files start with these two letters, so the bitmap header's length must be plausible too.
  matches: (bytes) =>
    hasText(bytes, 0, "BM") && (bytes.length < 18 || viewOf(bytes).getUint32(14, true) <= 256),

  readSize(bytes, file) {
    if (bytes.length < 26) throw truncated(file, "BMP");
    const view = viewOf(bytes);
    if (view.getUint32(14, true) === CORE_HEADER) {
      return { width: view.getUint16(18, true), height: view.getUint16(20, true) };
    }
    const width = view.getInt32(18, true);
    if (width < 0) throw damaged(file, "BMP", `its width is ${width}`);
    return { width, height: Math.abs(view.getInt32(22, true)) }; // negative means top row first
  },

  readOrientation: () => 1, // BMP has no EXIF

  memory(bytes, _file, { width, height }) {
    const pixels = width * height, layout = hasHeader(bytes) && layoutOf(bytes, width);
    return layout ? 3 * pixels : runtimeMemory(pixels, bytes.length);
  },

  check(bytes, file) {
    if (!hasHeader(bytes)) throw truncated(file, "BMP");
    const { width, height } = bmp.readSize(bytes, file), layout = layoutOf(bytes, width);
    // for compressed pixels the file size in the header
    const end = layout ? layout.start + layout.rowBytes * height : viewOf(bytes).getUint32(2, true);
    if (end > bytes.length) throw truncated(file, "BMP");
  },

  async decode(bytes, context) {
    const layout = layoutOf(bytes, context.size.width);
    if (layout) return decode(bytes, layout, context);
    const { decodeWithRuntime } = await import("../codecs/runtime.ts");
    return decodeWithRuntime(bytes, "compressed BMP", context);
  },
};

/** Decodes a BMP without compression. Drops alpha. */
function decode(
  bytes: Uint8Array,
  { bits, hasMasks, palette, start, rowBytes }: Layout,
  { name, size: { width, height } }: DecodeContext,
): RgbImage {
  const data = new Uint8Array(width * height * 3), view = viewOf(bytes);
  const core = view.getUint32(14, true) === CORE_HEADER;
  const readRow = [1, 2, 4, 8].includes(bits)
    ? indexedRows(bytes, data, { width, bits, palette, entryBytes: core ? 3 : 4 })
    : bits === 24
    ? byteRows(bytes, data, width)
    : bits === 16 || bits === 32
    ? maskedRows(view, data, { width, bits, masks: masksOf(view, bits, hasMasks, name) })
    : undefined;
  if (!readRow) throw damaged(name, "BMP", `it has ${bits} bits per pixel`);
  const topDown = !core && view.getInt32(22, true) < 0;
  for (let y = 0; y < height; y++) {
    readRow(start + rowBytes * y, 3 * width * (topDown ? y : height - 1 - y));
  }
  return { width, height, data };
}

/** Writes the RGB pixels of a row, which starts at a byte of the file, from a byte of the image on. */
type ReadRow = (from: number, to: number) => void;

/** Rows of indices into a palette of blue, green, red, and with newer headers a byte more. */
function indexedRows(
  bytes: Uint8Array,
  data: Uint8Array,
  { width, bits, palette, entryBytes }: Pick<Layout, "bits" | "palette"> & {
    readonly width: number;
    readonly entryBytes: number;
  },
): ReadRow {
  const last = (1 << bits) - 1;
  return (from, to) => {
    for (let x = 0, bit = 0; x < width; x++, bit += bits, to += 3) {
      const index = bytes[from + (bit >> 3)] >> (8 - bits - (bit & 7)) & last;
      const entry = palette + index * entryBytes; // black behind the end of the file
      data[to] = bytes[entry + 2];
      data[to + 1] = bytes[entry + 1];
      data[to + 2] = bytes[entry];
    }
  };
}

/** Rows of blue, green and red bytes. */
function byteRows(bytes: Uint8Array, data: Uint8Array, width: number): ReadRow {
  return (from, to) => {
    for (const end = from + 3 * width; from < end; from += 3, to += 3) {
      data[to] = bytes[from + 2];
      data[to + 1] = bytes[from + 1];
      data[to + 2] = bytes[from];
    }
  };
}

/** The bits of red, green and blue in a pixel. */
type Masks = readonly [red: number, green: number, blue: number];

/** Rows of integers with some bits for each colour. */
function maskedRows(
  view: DataView,
  data: Uint8Array,
  { width, bits, masks }: {
    readonly width: number;
    readonly bits: number;
    readonly masks: Masks;
  },
): ReadRow {
  const step = bits / 8;
  const channels = masks.map((mask) => {
    const shift = 31 - Math.clz32(mask & -mask);
    return { mask, shift, largest: mask >>> shift };
  });
  return (from, to) => {
    for (const end = from + step * width; from < end; from += step) {
      const pixel = step === 2 ? view.getUint16(from, true) : view.getUint32(from, true);
      for (const { mask, shift, largest } of channels) {
        data[to++] = ((pixel & mask) >>> shift) * 255 / largest;
      }
    }
  };
}

/** The masks after the 40 bytes of the oldest header that has them, or those of all other files. */
function masksOf(view: DataView, bits: number, hasMasks: boolean, name: string): Masks {
  if (!hasMasks) return bits === 16 ? [0x7c00, 0x3e0, 0x1f] : [0xff0000, 0xff00, 0xff];
  if (view.byteLength < 66) throw truncated(name, "BMP");
  const masks: Masks = [
    view.getUint32(54, true),
    view.getUint32(58, true),
    view.getUint32(62, true),
  ];
  if (masks.every((mask) => mask !== 0)) return masks;
  throw damaged(name, "BMP", "a colour has no bits");
}
