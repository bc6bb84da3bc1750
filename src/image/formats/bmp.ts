/**
 * BMP: a file header of 14 bytes, a bitmap header whose length identifies its version, and pixels.
 *
 * @module
 */

import { damaged, hasText, truncated, viewOf } from "./bytes.ts";
import { runtimeMemory } from "./codec_memory.ts";
import type { Format } from "./format.ts";

const CORE_HEADER = 12; // OS/2's header stores sizes in 16 bits, every other in 32
const UNCOMPRESSED = 0, BIT_FIELDS = 3;

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

  memory: (bytes, _file, { width, height }) => runtimeMemory(width * height, bytes.length),

  check(bytes, file) {
    const view = viewOf(bytes);
    const core = view.getUint32(14, true) === CORE_HEADER;
    if (!core && bytes.length < 34) throw truncated(file, "BMP");
    const compression = core ? UNCOMPRESSED : view.getUint32(30, true);
    let end = view.getUint32(2, true); // the file size in the header, for compressed pixels
    if (compression === UNCOMPRESSED || compression === BIT_FIELDS) {
      const { width, height } = bmp.readSize(bytes, file);
      const bits = view.getUint16(core ? 24 : 28, true);
      const row = Math.ceil(width * bits / 32) * 4; // padded to four bytes
      end = view.getUint32(10, true) + row * height;
    }
    if (end > bytes.length) throw truncated(file, "BMP");
  },

  async decode(bytes, context) {
    const { decodeWithRuntime } = await import("../codecs/runtime.ts");
    return decodeWithRuntime(bytes, "BMP", context);
  },
};
