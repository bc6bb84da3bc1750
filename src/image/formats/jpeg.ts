/**
 * JPEG (ITU T.81): a chain of segments, each a marker 0xFF.. and, for most, a length.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { type Orientation, readOrientation } from "../orient.ts";
import { cutOff, damaged, hasText } from "./bytes.ts";
import { type Format, isDecoder } from "./format.ts";

const START_OF_SCAN = 0xda, END_OF_IMAGE = 0xd9, APP1 = 0xe1;

interface Segment {
  readonly marker: number;
  /** Where its content begins, after marker and length. */
  readonly start: number;
  readonly end: number;
}

/**
 * The segments up to the end of the image; what follows that is not looked at (phones and cameras
 * append previews and notes there).
 */
function* segments(bytes: Uint8Array, file: string): Generator<Segment> {
  let at = 2; // after the start-of-image marker
  while (true) {
    at = nextMarker(bytes, at);
    if (at < 0) throw cutOff(file, "JPEG");
    const marker = bytes[at++];
    if (marker === END_OF_IMAGE) return;
    if (standsAlone(marker)) continue;
    // A segment is skipped by its length, so a thumbnail's own end marker inside ends nothing.
    const end = at + (bytes[at] << 8 | bytes[at + 1]);
    if (at + 2 > bytes.length || end > bytes.length) throw cutOff(file, "JPEG");
    if (end < at + 2) throw damaged(file, "JPEG", `the segment at byte ${at - 2} has no length`);
    yield { marker, start: at + 2, end };
    at = end; // after a scan's header its data follows: nextMarker() passes over that
  }
}

/**
 * Where the next marker's code stands, or −1. In a scan's data 0xFF is followed by a zero that says
 * "no marker", by more 0xFF that fill, or by a restart marker.
 */
function nextMarker(bytes: Uint8Array, at: number): number {
  while ((at = bytes.indexOf(0xff, at)) >= 0) {
    while (bytes[at] === 0xff) at++;
    if (at >= bytes.length) return -1;
    if (bytes[at] !== 0 && !isRestart(bytes[at])) return at;
  }
  return -1;
}

function isRestart(marker: number): boolean {
  return marker >= 0xd0 && marker <= 0xd7;
}

/** Markers without length: a start of image that repeats, and TEM. */
function standsAlone(marker: number): boolean {
  return marker === 0xd8 || marker === 0x01;
}

/** SOF0 to SOF15, but for the tables and reserved markers numbered among them. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function isExif(bytes: Uint8Array, { marker, start, end }: Segment): boolean {
  return marker === APP1 && end - start > 6 && hasText(bytes, start, "Exif\0");
}

/** The frame header, which gives size, bits per sample and number of colours. */
function findFrame(bytes: Uint8Array, file: string): Segment {
  for (const segment of segments(bytes, file)) {
    if (isFrame(segment.marker)) {
      if (segment.end - segment.start < 6) throw damaged(file, "JPEG", "its frame header is short");
      return segment;
    }
    if (segment.marker === START_OF_SCAN) break;
  }
  throw damaged(file, "JPEG", "it has no frame header, so no size");
}

/** The format, for the register in `mod.ts`. */
export const jpeg: Format = {
  name: "JPEG",

  matches: (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff,

  readSize(bytes, file) {
    const { start } = findFrame(bytes, file);
    const bits = bytes[start];
    if (bits !== 8) {
      throw new FileError(file, `is a JPEG of ${bits} bits per sample, only 8 are read`);
    }
    return {
      height: bytes[start + 1] << 8 | bytes[start + 2],
      width: bytes[start + 3] << 8 | bytes[start + 4],
    };
  },

  check(bytes, file) {
    let orientation: Orientation | undefined;
    let frames = 0, scans = 0;
    for (const segment of segments(bytes, file)) {
      if (isFrame(segment.marker)) frames++;
      if (segment.marker === START_OF_SCAN) scans++;
      if (isExif(bytes, segment)) {
        orientation ??= readOrientation(bytes.subarray(segment.start, segment.end));
      }
    }
    if (frames > 1) throw damaged(file, "JPEG", `it has ${frames} frame headers`);
    if (scans === 0) throw damaged(file, "JPEG", "it holds no picture data");
    return orientation ?? 1;
  },

  async decode(bytes, context) {
    const { jpeg: codec } = context.codecs;
    if (isDecoder(codec)) {
      const { decodeByCaller } = await import("../codecs/caller.ts");
      return decodeByCaller(codec, bytes, "JPEG", context.name);
    }
    const frame = findFrame(bytes, context.name);
    const colours = bytes[frame.start + 5];
    if (colours === 4) { // CMYK or YCCK, which mozjpeg does not turn into RGB
      const { decodeByRuntime } = await import("../codecs/runtime.ts");
      return decodeByRuntime(withoutExif(bytes, context.name), "CMYK JPEG", context);
    }
    const { decodeJpeg } = await import("../codecs/jpeg.ts");
    return decodeJpeg(bytes, context, codec);
  },
};

/**
 * A copy in which no one finds EXIF data. A runtime's decoder applies the orientation of a JPEG by
 * itself and cannot be told not to everywhere; ours would then turn the picture a second time.
 */
function withoutExif(bytes: Uint8Array, file: string): Uint8Array {
  const copy = bytes.slice();
  for (const segment of segments(bytes, file)) {
    if (isExif(bytes, segment)) copy.fill(0, segment.start, segment.start + 4);
  }
  return copy;
}
