/**
 * JPEG (ITU T.81): a sequence of segments. Each starts with a marker 0xFF.., and most have a length.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { type Orientation, readOrientation } from "../orient.ts";
import { damaged, hasText, truncated } from "./bytes.ts";
import { type Format, isDecoder } from "./format.ts";

const START_OF_SCAN = 0xda, END_OF_IMAGE = 0xd9, APP1 = 0xe1;

interface Segment {
  readonly marker: number;
  /** Offset of the content, after marker and length. */
  readonly start: number;
  readonly end: number;
}

/**
 * Yields the segments up to the end of the image. Anything after that is ignored: phones and cameras
 * append previews and metadata there.
 */
function* segments(bytes: Uint8Array, file: string): Generator<Segment> {
  let at = 2; // after the start-of-image marker
  while (true) {
    at = nextMarker(bytes, at);
    if (at < 0) throw truncated(file, "JPEG");
    const marker = bytes[at++];
    if (marker === END_OF_IMAGE) return;
    if (standsAlone(marker)) continue;
    // Segments are skipped by length, so the end marker of an embedded thumbnail is not seen.
    const end = at + (bytes[at] << 8 | bytes[at + 1]);
    if (at + 2 > bytes.length || end > bytes.length) throw truncated(file, "JPEG");
    if (end < at + 2) {
      throw damaged(file, "JPEG", `the segment at byte ${at - 2} has an invalid length`);
    }
    yield { marker, start: at + 2, end };
    at = end; // nextMarker() skips the data that follows a scan header
  }
}

/**
 * The offset of the next marker's code, or −1. In scan data, 0xFF may also be followed by a zero
 * (an escaped data byte), by more 0xFF (padding) or by a restart marker.
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

/** Markers without a length: a repeated start of image, and TEM. */
function standsAlone(marker: number): boolean {
  return marker === 0xd8 || marker === 0x01;
}

/** SOF0 to SOF15, except the codes in that range for tables (DHT, DAC) and JPG. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function isExif(bytes: Uint8Array, { marker, start, end }: Segment): boolean {
  return marker === APP1 && end - start > 6 && hasText(bytes, start, "Exif\0");
}

/** Finds the frame header: size, bits per sample and number of components. */
function findFrame(bytes: Uint8Array, file: string): Segment {
  for (const segment of segments(bytes, file)) {
    if (isFrame(segment.marker)) {
      if (segment.end - segment.start < 6) {
        throw damaged(file, "JPEG", "its frame header is too short");
      }
      return segment;
    }
    if (segment.marker === START_OF_SCAN) break;
  }
  throw damaged(file, "JPEG", "it has no frame header");
}

/** The JPEG format. */
export const jpeg: Format = {
  name: "JPEG",

  matches: (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff,

  readSize(bytes, file) {
    const { start } = findFrame(bytes, file);
    const bits = bytes[start];
    if (bits !== 8) {
      throw new FileError(file, `is a JPEG with ${bits} bits per sample; only 8 are supported`);
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
    if (scans === 0) throw damaged(file, "JPEG", "it has no image data");
    return orientation ?? 1;
  },

  async decode(bytes, context) {
    const { jpeg: codec } = context.codecs;
    if (isDecoder(codec)) {
      const { decodeWithCustom } = await import("../codecs/custom.ts");
      return decodeWithCustom(codec, bytes, "JPEG", context.name);
    }
    const frame = findFrame(bytes, context.name);
    const components = bytes[frame.start + 5];
    if (components === 4) { // CMYK or YCCK, which mozjpeg does not convert to RGB
      const { decodeWithRuntime } = await import("../codecs/runtime.ts");
      return decodeWithRuntime(withoutExif(bytes, context.name), "CMYK JPEG", context);
    }
    const { decodeJpeg } = await import("../codecs/jpeg.ts");
    return decodeJpeg(bytes, context, codec);
  },
};

/**
 * A copy with its EXIF data disabled. Runtimes apply a JPEG's orientation by themselves, and not all
 * can be told not to; we would then rotate the image a second time.
 */
function withoutExif(bytes: Uint8Array, file: string): Uint8Array {
  const copy = bytes.slice();
  for (const segment of segments(bytes, file)) {
    if (isExif(bytes, segment)) copy.fill(0, segment.start, segment.start + 4);
  }
  return copy;
}
