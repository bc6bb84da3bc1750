/**
 * The chunks of a PNG file (W3C PNG 3): after the signature, each chunk is a length, a four-letter
 * type, its content and a checksum.
 *
 * @module
 */

import { damaged, text, truncated, viewOf } from "./bytes.ts";

/** The first eight bytes of every PNG. */
export const SIGNATURE = "\x89PNG\r\n\x1a\n";

/** One chunk: its type, and where its content lies in the file. */
export interface Chunk {
  /** Four letters. A capital first letter marks a chunk that decoders cannot skip. */
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** Yields the chunks up to and including IEND. The content range excludes the checksum. */
export function* readPngChunks(bytes: Uint8Array, file: string): Generator<Chunk> {
  const view = viewOf(bytes);
  let at = SIGNATURE.length;
  while (true) {
    if (at + 12 > bytes.length) throw truncated(file, "PNG");
    const type = text(bytes, at + 4, 4), start = at + 8, end = start + view.getUint32(at);
    if (!/^[A-Za-z]{4}$/.test(type)) {
      throw damaged(file, "PNG", `there is no chunk at byte ${at}`);
    }
    if (end + 4 > bytes.length) throw truncated(file, "PNG");
    yield { type, start, end };
    if (type === "IEND") return;
    at = end + 4;
  }
}
