/**
 * BMP: a file header of 14 bytes, a bitmap header whose own length says which it is, the pixels.
 *
 * @module
 */

import { cutOff, damaged, hasText, viewOf } from "./bytes.ts";
import type { Format } from "./format.ts";

const CORE_HEADER = 12; // OS/2's, with sizes of 16 bits; every other has 32
const UNCOMPRESSED = 0, BIT_FIELDS = 3;

/** The format, for the register in `mod.ts`. */
export const bmp: Format = {
  name: "BMP",

  // Two letters are a weak sign, so the bitmap header's length has to make sense too.
  matches: (bytes) =>
    hasText(bytes, 0, "BM") && (bytes.length < 18 || viewOf(bytes).getUint32(14, true) <= 256),

  readSize(bytes, file) {
    if (bytes.length < 26) throw cutOff(file, "BMP");
    const view = viewOf(bytes);
    if (view.getUint32(14, true) === CORE_HEADER) {
      return { width: view.getUint16(18, true), height: view.getUint16(20, true) };
    }
    const width = view.getInt32(18, true);
    if (width < 0) throw damaged(file, "BMP", `its width is ${width}`);
    return { width, height: Math.abs(view.getInt32(22, true)) }; // negative: top row first
  },

  check(bytes, file) {
    const view = viewOf(bytes);
    const core = view.getUint32(14, true) === CORE_HEADER;
    if (!core && bytes.length < 34) throw cutOff(file, "BMP");
    const compression = core ? UNCOMPRESSED : view.getUint32(30, true);
    let end = view.getUint32(2, true); // the file's own count, for what was compressed
    if (compression === UNCOMPRESSED || compression === BIT_FIELDS) {
      const { width, height } = bmp.readSize(bytes, file);
      const bits = view.getUint16(core ? 24 : 28, true);
      const row = Math.ceil(width * bits / 32) * 4; // padded to four bytes
      end = view.getUint32(10, true) + row * height;
    }
    if (end > bytes.length) throw cutOff(file, "BMP");
    return 1; // BMP has no EXIF
  },

  async decode(bytes, context) {
    const { decodeByRuntime } = await import("../codecs/runtime.ts");
    return decodeByRuntime(bytes, "BMP", context);
  },
};
