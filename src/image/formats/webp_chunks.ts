/**
 * The chunks of a WebP file (RFC 9649): each is a four-letter type, a length and content. The first
 * frame of an animation is a chunk that contains others.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { damaged, hasText, maxParts, text, truncated, viewOf } from "./bytes.ts";
import type { Size } from "./format.ts";

/** One chunk: its type, and where its content lies in the file. */
export interface Chunk {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** Yields the chunks. Throws unless they fit into the container, and the container into the file. */
export function* chunks(bytes: Uint8Array, file: string): Generator<Chunk> {
  const end = 8 + viewOf(bytes).getUint32(4, true);
  if (end > bytes.length) throw truncated(file, "WebP");
  yield* chunksIn(bytes, file, 12, end);
}

/** Yields the chunks between two offsets. */
function* chunksIn(
  bytes: Uint8Array,
  file: string,
  from: number,
  end: number,
): Generator<Chunk> {
  const view = viewOf(bytes);
  for (let at = from, count = 0; at + 8 <= end; count++) {
    if (count === maxParts) throw damaged(file, "WebP", `it has more than ${maxParts} chunks`);
    const start = at + 8, length = view.getUint32(at + 4, true);
    if (start + length > end) {
      throw damaged(file, "WebP", `the chunk at byte ${at} is longer than the file`);
    }
    yield { type: text(bytes, at, 4), start, end: start + length };
    at = start + length + length % 2; // padded to even
  }
}

const animated = 0x02, hasAlpha = 0x10; // flags of the extended header (VP8X), at byte 20

/** Whether the file is an animation. */
export function isAnimated(bytes: Uint8Array): boolean {
  return hasText(bytes, 12, "VP8X") && (bytes[20] & animated) !== 0;
}

/** The first frame of an animation. */
export interface WebpFrame extends Size {
  /** Position on the canvas. */
  readonly x: number;
  readonly y: number;
  readonly alpha: Chunk | undefined;
  readonly image: Chunk;
}

/**
 * Finds the first frame of an animation, and checks that it lies on the canvas. Its image must have its
 * size: the codec would allocate another.
 */
export function readFirstFrame(bytes: Uint8Array, file: string): WebpFrame {
  const { start, end } = firstChunk(bytes, file, "ANMF");
  if (end - start < 16) throw damaged(file, "WebP", "its first frame is too short");
  // Half the position, then width − 1, height − 1 and duration in 24 bits each, and flags.
  const x = 2 * uint24(bytes, start), y = 2 * uint24(bytes, start + 3);
  const width = uint24(bytes, start + 6) + 1, height = uint24(bytes, start + 9) + 1;
  const canvas = readCanvas(bytes, file);
  if (x + width > canvas.width || y + height > canvas.height) {
    throw damaged(file, "WebP", "its first frame is larger than its canvas");
  }
  let alpha: Chunk | undefined;
  for (const chunk of chunksIn(bytes, file, start + 16, end)) {
    if (chunk.type === "ALPH") alpha = chunk;
    const size = imageSize(bytes, chunk);
    if (!size) continue;
    if (size.width !== width || size.height !== height) {
      throw new FileError(
        file,
        `the first frame of the WebP has ${size.width}×${size.height} pixels, but its header says ` +
          `${width}×${height}`,
      );
    }
    return { x, y, width, height, alpha, image: chunk };
  }
  throw damaged(file, "WebP", "its first frame has no image data");
}

function firstChunk(bytes: Uint8Array, file: string, type: string): Chunk {
  for (const chunk of chunks(bytes, file)) {
    if (chunk.type === type) return chunk;
  }
  throw damaged(file, "WebP", "it has no image data");
}

/** The frame as a file of its own, a still image. */
export function frameFile(bytes: Uint8Array, frame: WebpFrame): Uint8Array {
  const { alpha, image, width, height } = frame;
  const parts: [type: string, content: Uint8Array][] = [];
  if (alpha) {
    const header = new Uint8Array(10), view = viewOf(header);
    header[0] = hasAlpha;
    view.setUint32(4, width - 1, true);
    view.setUint16(7, height - 1, true);
    header[9] = height - 1 >> 16;
    parts.push(["VP8X", header], ["ALPH", bytes.subarray(alpha.start, alpha.end)]);
  }
  parts.push([image.type, bytes.subarray(image.start, image.end)]);
  const length = parts.reduce((sum, [, { length }]) => sum + 8 + length + length % 2, 4);
  const file = new Uint8Array(8 + length), view = viewOf(file);
  const write = (at: number, letters: string, size: number) => {
    for (let i = 0; i < 4; i++) file[at + i] = letters.charCodeAt(i);
    view.setUint32(at + 4, size, true);
  };
  write(0, "RIFF", length);
  write(8, "WEBP", 0);
  let at = 12;
  for (const [type, content] of parts) {
    write(at, type, content.length);
    file.set(content, at + 8);
    at += 8 + content.length + content.length % 2;
  }
  return file;
}

function uint24(bytes: Uint8Array, at: number): number {
  return bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16;
}

/** Reads the size of the image, or of the canvas of an animation. */
export function readCanvas(bytes: Uint8Array, file: string): Size {
  const type = text(bytes, 12, 4), headerBytes = type === "VP8L" ? 25 : 30;
  if (bytes.length < headerBytes) throw truncated(file, "WebP");
  if (type === "VP8X") { // flags, three zero bytes, then width − 1 and height − 1 in 24 bits each
    return { width: uint24(bytes, 24) + 1, height: uint24(bytes, 27) + 1 };
  }
  const size = imageSize(bytes, { type, start: 20 });
  if (!size) throw damaged(file, "WebP", "its header is invalid");
  return size;
}

/** The size in the image data of a chunk; undefined if it has none. */
function imageSize(bytes: Uint8Array, { type, start }: Omit<Chunk, "end">): Size | undefined {
  if (type === "VP8L" && bytes[start] === 0x2f) { // width − 1 and height − 1 in 14 bits each
    const bits = uint24(bytes, start + 1) | bytes[start + 4] << 24;
    return { width: (bits & 0x3fff) + 1, height: (bits >>> 14 & 0x3fff) + 1 };
  }
  if (type !== "VP8 " || uint24(bytes, start + 3) !== 0x2a019d) return undefined;
  return { // the top two bits are a scaling hint
    width: (bytes[start + 6] | bytes[start + 7] << 8) & 0x3fff,
    height: (bytes[start + 8] | bytes[start + 9] << 8) & 0x3fff,
  };
}
