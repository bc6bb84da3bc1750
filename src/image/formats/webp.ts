/**
 * WebP (RFC 9649): a RIFF container of chunks, each a four-letter type, a length and content.
 *
 * @module
 */

import { type Orientation, readOrientation } from "../orient.ts";
import { damaged, hasText, text, truncated, viewOf } from "./bytes.ts";
import { type Format, isDecoder, type Size } from "./format.ts";

interface Chunk {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** Yields the chunks. Throws unless they fit into the container, and the container into the file. */
function* chunks(bytes: Uint8Array, file: string): Generator<Chunk> {
  const view = viewOf(bytes);
  const end = 8 + view.getUint32(4, true);
  if (end > bytes.length) throw truncated(file, "WebP");
  for (let at = 12; at + 8 <= end;) {
    const start = at + 8, length = view.getUint32(at + 4, true);
    if (start + length > end) {
      throw damaged(file, "WebP", `the chunk at byte ${at} is longer than the file`);
    }
    yield { type: text(bytes, at, 4), start, end: start + length };
    at = start + length + length % 2; // padded to even
  }
}

// Flags of the extended header (VP8X), at byte 20.
const ANIMATED = 0x02, HAS_EXIF = 0x08;

function isAnimated(bytes: Uint8Array): boolean {
  return hasText(bytes, 12, "VP8X") && (bytes[20] & ANIMATED) !== 0;
}

/** The WebP format. */
export const webp: Format = {
  name: "WebP",

  matches: (bytes) => hasText(bytes, 0, "RIFF") && hasText(bytes, 8, "WEBP"),

  readSize(bytes, file): Size {
    if (bytes.length < 30) throw truncated(file, "WebP");
    const view = viewOf(bytes);
    const type = text(bytes, 12, 4);
    if (type === "VP8X") { // flags, three zero bytes, then width − 1 and height − 1 in 24 bits each
      return {
        width: (view.getUint32(24, true) & 0xffffff) + 1,
        height: (view.getUint32(26, true) >>> 8) + 1,
      };
    }
    if (type === "VP8L" && bytes[20] === 0x2f) { // width − 1 and height − 1 in 14 bits each
      const bits = view.getUint32(21, true);
      return { width: (bits & 0x3fff) + 1, height: (bits >>> 14 & 0x3fff) + 1 };
    }
    if (type === "VP8 " && bytes[23] === 0x9d && bytes[24] === 0x01 && bytes[25] === 0x2a) {
      return { // the top two bits are a scaling hint
        width: view.getUint16(26, true) & 0x3fff,
        height: view.getUint16(28, true) & 0x3fff,
      };
    }
    throw damaged(file, "WebP", "its header is invalid");
  },

  check(bytes, file) {
    let orientation: Orientation | undefined;
    for (const { type, start, end } of chunks(bytes, file)) {
      if (type === "EXIF") orientation ??= readOrientation(bytes.subarray(start, end));
    }
    return orientation ?? 1;
  },

  async decode(bytes, context) {
    const { webp: codec } = context.codecs;
    if (isDecoder(codec)) {
      const { decodeWithCustom } = await import("../codecs/custom.ts");
      return decodeWithCustom(codec, bytes, "WebP", context.name);
    }
    if (isAnimated(bytes)) { // libwebp's simple decoder reads still images only
      const { decodeWithRuntime } = await import("../codecs/runtime.ts");
      return decodeWithRuntime(withoutExif(bytes, context.name), "animated WebP", context);
    }
    const { decodeWebp } = await import("../codecs/webp.ts");
    return decodeWebp(bytes, context, codec);
  },
};

/** A copy with its EXIF data disabled, for the reason in `jpeg.ts`. The file must have a VP8X header. */
function withoutExif(bytes: Uint8Array, file: string): Uint8Array {
  const copy = bytes.slice();
  copy[20] &= ~HAS_EXIF;
  for (const { type, start } of chunks(bytes, file)) {
    if (type === "EXIF") copy.set([0x58, 0x58, 0x58, 0x58], start - 8); // "XXXX"
  }
  return copy;
}
