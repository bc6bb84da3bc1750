/**
 * The chunks of a PNG file (W3C PNG 3): after the signature, each chunk is a length, a four-letter
 * type, its content and a checksum.
 *
 * @module
 */

import { damaged, maxParts, text, truncated, viewOf } from "./bytes.ts";

/** The first eight bytes of every PNG. */
export const pngSignature = "\x89PNG\r\n\x1a\n";

/** One chunk: its type, and where its content lies in the file. */
export interface Chunk {
  /** Four letters. A capital first letter marks a chunk that decoders cannot skip. */
  readonly type: string;
  readonly start: number;
  readonly end: number;
  /** Whether the file ends before the chunk's checksum does. Only IDAT chunks may be cut off. */
  readonly cutOff: boolean;
}

/**
 * Yields the chunks up to and including IEND. The content range excludes the checksum.
 *
 * Image data may end with the file, because a decoder may have all rows by then. Damage after the
 * image data ends the chunks without an error, since it changes no pixel.
 */
export function* readPngChunks(bytes: Uint8Array, file: string): Generator<Chunk> {
  const view = viewOf(bytes);
  let at = pngSignature.length, hasData = false;
  for (let count = 0;; count++) {
    if (count === maxParts) throw damaged(file, "PNG", `it has more than ${maxParts} chunks`);
    if (at + 8 > bytes.length) {
      if (hasData) return;
      throw truncated(file, "PNG");
    }
    const type = text(bytes, at + 4, 4), start = at + 8, end = start + view.getUint32(at);
    if (!/^[A-Za-z]{4}$/.test(type)) {
      if (hasData) return;
      throw damaged(file, "PNG", `there is no chunk at byte ${at}`);
    }
    const cutOff = end + 4 > bytes.length;
    if (type === "IDAT") hasData = true;
    else if (cutOff) {
      if (hasData) return;
      throw truncated(file, "PNG");
    }
    yield { type, start, end: Math.min(end, bytes.length), cutOff };
    if (cutOff || type === "IEND") return;
    at = end + 4;
  }
}
