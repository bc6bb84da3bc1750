/**
 * BMP: a file header of 14 bytes, a bitmap header whose length identifies its version, and pixels.
 * The runtime decodes those with compression.
 *
 * @module
 */

import type { BmpLayout } from "../codecs/bmp.ts";
import { damaged, hasText, truncated, viewOf } from "./bytes.ts";
import { type Format, runtimeMemory } from "./format.ts";

const coreHeader = 12; // OS/2's header stores sizes in 16 bits, every other in 32
const os2Header = 64; // its compression 3 has another meaning
const uncompressed = 0, bitFields = 3;

/** The layout of a BMP; undefined if it is compressed. The header must be complete. */
function layoutOf(bytes: Uint8Array, width: number): BmpLayout | undefined {
  const view = viewOf(bytes), headerBytes = view.getUint32(14, true);
  const core = headerBytes === coreHeader;
  const compression = core ? uncompressed : view.getUint32(30, true);
  const hasMasks = compression === bitFields && headerBytes !== os2Header;
  if (compression !== uncompressed && !hasMasks) return undefined;
  const bits = view.getUint16(core ? 24 : 28, true);
  const rowBytes = Math.ceil(width * bits / 32) * 4;
  const colours = headerBytes < 36 || bytes.length < 50 ? 0 : view.getUint32(46, true);
  const palette = 14 + headerBytes, entryBytes = core ? 3 : 4;
  return {
    bits,
    hasMasks,
    palette: bytes.subarray(palette, palette + (colours || 2 ** bits) * entryBytes),
    entryBytes,
    topDown: !core && view.getInt32(22, true) < 0,
    start: view.getUint32(10, true),
    rowBytes,
  };
}

/** The end of the last row. What pads it to four bytes may be missing: viewers do not need it. */
function endOf({ start, rowBytes, bits }: BmpLayout, width: number, height: number): number {
  return start + rowBytes * (height - 1) + Math.ceil(width * bits / 8);
}

/** Whether the header is there up to the compression. */
function hasHeader(bytes: Uint8Array): boolean {
  return bytes.length >= 34 || viewOf(bytes).getUint32(14, true) === coreHeader;
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
    if (view.getUint32(14, true) === coreHeader) {
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
    const end = layout ? endOf(layout, width, height) : viewOf(bytes).getUint32(2, true);
    if (end > bytes.length) throw truncated(file, "BMP");
  },

  async decode(bytes, context) {
    const layout = layoutOf(bytes, context.size.width);
    if (layout) {
      const { decodeBmp } = await import("../codecs/bmp.ts");
      return decodeBmp(bytes, layout, context);
    }
    const { decodeWithRuntime } = await import("../codecs/runtime.ts");
    return decodeWithRuntime(bytes, "compressed BMP", context);
  },
};
