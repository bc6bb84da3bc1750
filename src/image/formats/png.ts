/**
 * PNG (W3C PNG 3): a signature, then chunks.
 *
 * @module
 */

import { crc32 } from "../../io/crc32.ts";
import { readOrientation } from "../orient.ts";
import { damaged, hasText, truncated, viewOf } from "./bytes.ts";
import type { Format } from "./format.ts";
import { type Chunk, pngSignature, readPngChunks } from "./png_chunks.ts";
import { pngMemory, readPngFormat } from "./png_layout.ts";

/** Bits per sample that each colour type allows. */
const depths: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16], // grey
  2: [8, 16], // RGB
  3: [1, 2, 4, 8], // palette
  4: [8, 16], // grey and alpha
  6: [8, 16], // RGB and alpha
};

/** The keyword of EXIF data that ImageMagick writes as text, and the zero after it. */
const rawProfile = "Raw profile type exif\0";

/** The PNG format. */
export const png: Format = {
  name: "PNG",

  matches: (bytes) => hasText(bytes, 0, "\x89PNG"),

  readSize(bytes, file) {
    if (bytes.length < pngSignature.length) throw truncated(file, "PNG");
    if (!hasText(bytes, 0, pngSignature)) {
      throw damaged(file, "PNG", "its line endings were changed (transferred as text?)");
    }
    if (bytes.length < 33) throw truncated(file, "PNG");
    const view = viewOf(bytes);
    if (!hasText(bytes, 12, "IHDR") || view.getUint32(8) !== 13) {
      throw damaged(file, "PNG", "it does not start with an IHDR chunk");
    }
    const { bits, colour } = readPngFormat(bytes);
    if (!depths[colour]?.includes(bits)) {
      throw damaged(file, "PNG", `colour type ${colour} with ${bits} bits per sample is invalid`);
    }
    if (bytes[26] !== 0 || bytes[27] !== 0 || bytes[28] > 1) {
      throw damaged(file, "PNG", "its compression, filter or interlace method is invalid");
    }
    return { width: view.getUint32(16), height: view.getUint32(20) };
  },

  readOrientation(bytes, file) {
    let raw: Chunk | undefined;
    for (const chunk of readPngChunks(bytes, file)) {
      const { type, start, end } = chunk;
      if (type === "eXIf") return readOrientation(bytes.subarray(start, end));
      const isText = type === "tEXt" || type === "zTXt";
      if (isText && hasText(bytes.subarray(0, end), start, rawProfile)) raw = chunk;
    }
    if (!raw) return 1;
    const { start, end } = raw, isCompressed = raw.type === "zTXt";
    // a compressed text starts with the number of its method
    const content = bytes.subarray(start + rawProfile.length + Number(isCompressed), end);
    return async () => {
      const { readTextOrientation } = await import("../codecs/png.ts");
      return await readTextOrientation(content, isCompressed);
    };
  },

  memory: (bytes, _file, size) => pngMemory(size, readPngFormat(bytes), bytes.length),

  check(bytes, file, warn) {
    const view = viewOf(bytes);
    let last = "", data = false, palette = false, intact = true;
    for (const { type, start, end, cutOff } of readPngChunks(bytes, file)) {
      // Damage in optional chunks does not affect the pixels.
      const needed = type[0] <= "Z";
      if (needed && !cutOff && crc32(bytes.subarray(start - 4, end)) !== view.getUint32(end)) {
        const reason = `the ${type} chunk at byte ${start - 8} fails its checksum`;
        // As in Pillow. A wrong size or palette would change every pixel.
        if (type !== "IDAT" && type !== "IEND") throw damaged(file, "PNG", reason);
        if (intact) warn(`the PNG is damaged: ${reason}`);
        intact = false;
      }
      if (type === "IDAT") {
        if (data && last !== "IDAT") {
          throw damaged(file, "PNG", "other chunks interrupt its image data (IDAT)");
        }
        data = true;
      }
      if (type === "PLTE") palette = true;
      last = type;
    }
    if (!data) throw damaged(file, "PNG", "it has no image data");
    if (!palette && readPngFormat(bytes).colour === 3) {
      throw damaged(file, "PNG", "its palette is missing");
    }
    if (last !== "IEND") warn("the PNG is damaged: it ends without an IEND chunk");
  },

  async decode(bytes, context) {
    const { decodePng } = await import("../codecs/png.ts");
    return decodePng(bytes, context);
  },
};
