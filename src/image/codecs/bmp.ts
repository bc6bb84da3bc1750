/**
 * Decodes BMP without compression. The result equals Pillow's, bit for bit.
 *
 * @module
 */

import { damaged, truncated, viewOf } from "../formats/bytes.ts";
import type { DecodeContext } from "../formats/format.ts";
import type { RgbImage } from "../pixels.ts";

/** Where the parts of a BMP without compression are. */
export interface BmpLayout {
  /** Bits of a pixel. */
  readonly bits: number;
  /** Whether the file says which bits are red, green and blue. */
  readonly hasMasks: boolean;
  /** The palette, which pixels of up to 8 bits have. */
  readonly palette: Uint8Array;
  /** Bytes of a colour in the palette: blue, green, red, and with newer headers a byte more. */
  readonly entryBytes: 3 | 4;
  /** Whether the first row in the file is the top row. */
  readonly topDown: boolean;
  /** The offset of the first row. */
  readonly start: number;
  /** Bytes of a row, padded to four. */
  readonly rowBytes: number;
}

/** Decodes a BMP without compression. Drops alpha. */
export function decodeBmp(
  bytes: Uint8Array,
  layout: BmpLayout,
  { name, size: { width, height } }: DecodeContext,
): RgbImage {
  const { bits, hasMasks, start, rowBytes, topDown } = layout;
  const data = new Uint8Array(width * height * 3), view = viewOf(bytes);
  const readRow = [1, 2, 4, 8].includes(bits)
    ? indexedRows(bytes, data, width, layout)
    : bits === 24
    ? byteRows(bytes, data, width)
    : bits === 16 || bits === 32
    ? maskedRows(view, data, { width, bits, masks: masksOf(view, bits, hasMasks, name) })
    : undefined;
  if (!readRow) throw damaged(name, "BMP", `it has ${bits} bits per pixel`);
  for (let y = 0; y < height; y++) {
    readRow(start + rowBytes * y, 3 * width * (topDown ? y : height - 1 - y));
  }
  return { width, height, data };
}

/** Writes the RGB pixels of a row, which starts at a byte of the file, from a byte of the image on. */
type ReadRow = (from: number, to: number) => void;

/** Rows of indices into the palette. */
function indexedRows(
  bytes: Uint8Array,
  data: Uint8Array,
  width: number,
  { bits, palette, entryBytes }: BmpLayout,
): ReadRow {
  const last = (1 << bits) - 1;
  return (from, to) => {
    for (let x = 0, bit = 0; x < width; x++, bit += bits, to += 3) {
      const index = bytes[from + (bit >> 3)] >> (8 - bits - (bit & 7)) & last;
      const entry = index * entryBytes; // black behind the end of the palette
      data[to] = palette[entry + 2];
      data[to + 1] = palette[entry + 1];
      data[to + 2] = palette[entry];
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
