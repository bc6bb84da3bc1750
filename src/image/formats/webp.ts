/**
 * WebP (RFC 9649): still images and animations in a RIFF container.
 *
 * @module
 */

import { readOrientation } from "../orient.ts";
import { hasText } from "./bytes.ts";
import { type Format, isDecoder, wasmMemory } from "./format.ts";
import { chunks, isAnimated, readCanvas, readFirstFrame } from "./webp_chunks.ts";

/** Groups of Huffman codes in a lossless image. libwebp writes fewer; the format allows 65,536. */
const maxGroups = 800;
/** Pixels of the smallest block that can have a group of its own. */
const groupPixels = 16;
/** Bytes of a group's tables. */
const groupBytes = 21_000;

/**
 * The memory that decoding a still image takes.
 *
 * @param isLossless Whether its colours or its alpha channel are. They are decoded to other pixels first.
 */
function stillMemory(pixels: number, fileBytes: number, isLossless: boolean): number {
  const memory = wasmMemory(pixels, fileBytes);
  if (!isLossless) return memory;
  return memory + 4 * pixels + groupBytes * Math.min(pixels / groupPixels, maxGroups);
}

/** The WebP format. */
export const webp: Format = {
  name: "WebP",

  matches: (bytes) => hasText(bytes, 0, "RIFF") && hasText(bytes, 8, "WEBP"),

  readSize: readCanvas,

  readOrientation(bytes, file) {
    for (const { type, start, end } of chunks(bytes, file)) {
      if (type === "EXIF") return readOrientation(bytes.subarray(start, end));
    }
    return 1;
  },

  memory(bytes, file, { width, height }) {
    if (isAnimated(bytes)) {
      const frame = readFirstFrame(bytes, file), canvas = width * height * 3;
      const isLossless = frame.image.type === "VP8L" || frame.alpha !== undefined;
      // the frame is copied to a file of its own
      return stillMemory(frame.width * frame.height, 2 * bytes.length, isLossless) + canvas;
    }
    let isLossless = false;
    for (const { type } of chunks(bytes, file)) isLossless ||= type === "VP8L" || type === "ALPH";
    return stillMemory(width * height, bytes.length, isLossless);
  },

  check(bytes, file) {
    for (const _ of chunks(bytes, file)); // throws if the file is truncated
  },

  async decode(bytes, context) {
    const { webp: codec } = context.codecs;
    if (isDecoder(codec)) {
      const { decodeWithCustom } = await import("../codecs/custom.ts");
      return decodeWithCustom(codec, bytes, "WebP", context.name);
    }
    const { decodeAnimatedWebp, decodeWebp } = await import("../codecs/webp.ts");
    return isAnimated(bytes)
      ? decodeAnimatedWebp(bytes, context, codec)
      : decodeWebp(bytes, context, codec);
  },
};
