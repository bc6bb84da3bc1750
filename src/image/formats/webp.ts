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

/** The memory that decoding a still image takes. */
function stillMemory(pixels: number, fileBytes: number, lossless: boolean, alpha: boolean): number {
  const memory = wasmMemory(pixels, fileBytes);
  if (!lossless && !alpha) return memory;
  // A lossless image is decoded to other pixels first; so is the alpha channel of a lossy one.
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
      const frame = readFirstFrame(bytes, file), fileBytes = 2 * bytes.length;
      const lossless = frame.image.type === "VP8L", alpha = frame.alpha !== undefined;
      return stillMemory(frame.width * frame.height, fileBytes, lossless, alpha) +
        width * height * 3;
    }
    let lossless = false, alpha = false;
    for (const { type } of chunks(bytes, file)) {
      lossless ||= type === "VP8L";
      alpha ||= type === "ALPH";
    }
    return stillMemory(width * height, bytes.length, lossless, alpha);
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
