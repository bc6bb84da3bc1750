/**
 * JPEG (ITU T.81): a sequence of segments. Each starts with a marker 0xFF.., and most have a length.
 *
 * @module
 */

import { FileError, TooLargeError } from "../../errors.ts";
import { readOrientation } from "../orient.ts";
import { damaged, hasText, maxParts, truncated } from "./bytes.ts";
import { type Format, isDecoder, runtimeMemory, type Size, wasmMemory } from "./format.ts";

/** Codes of markers (table B.1). */
const startOfScan = 0xda, endOfImage = 0xd9, app1 = 0xe1;

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
  for (let count = 0;; count++) {
    if (count === maxParts) throw damaged(file, "JPEG", `it has more than ${maxParts} segments`);
    at = nextMarker(bytes, at);
    if (at < 0) {
      throw new FileError(
        file,
        "the JPEG is truncated: its end marker (EOI) is missing, and maybe data before it",
      );
    }
    const marker = bytes[at++];
    if (marker === endOfImage) return;
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
  return marker === app1 && end - start > 6 && hasText(bytes, start, "Exif\0");
}

/** One colour channel of the image. */
interface Component {
  readonly id: number;
  /** Coefficients, including those that pad the image to whole blocks. */
  readonly samples: number;
}

/** What a frame header says (B.2.2). */
interface Frame extends Size {
  readonly marker: number;
  /** Bits per sample. */
  readonly bits: number;
  readonly components: readonly Component[];
}

/** Finds the frame header, which comes before the first scan. */
function findFrame(bytes: Uint8Array, file: string): Frame {
  for (const segment of segments(bytes, file)) {
    if (isFrame(segment.marker)) {
      if (segment.end - segment.start < 6) {
        throw damaged(file, "JPEG", "its frame header is too short");
      }
      return readFrame(bytes, segment);
    }
    if (segment.marker === startOfScan) break;
  }
  throw damaged(file, "JPEG", "it has no frame header");
}

/** Reads a frame header. It has the height, the width and the number of components from byte 1 on. */
function readFrame(bytes: Uint8Array, { marker, start, end }: Segment): Frame {
  const height = bytes[start + 1] << 8 | bytes[start + 2];
  const width = bytes[start + 3] << 8 | bytes[start + 4];
  // An identifier, sampling factors in 4 bits each, a table number. Factors are 1 to 4.
  const factors: { id: number; x: number; y: number }[] = [], count = bytes[start + 5];
  for (let at = start + 6; at + 3 <= end && factors.length < count; at += 3) {
    const x = bytes[at + 1] >> 4, y = bytes[at + 1] & 15;
    factors.push({ id: bytes[at], x: Math.min(x || 1, 4), y: Math.min(y || 1, 4) });
  }
  const maxX = Math.max(...factors.map(({ x }) => x));
  const maxY = Math.max(...factors.map(({ y }) => y));
  const across = Math.ceil(width / (8 * maxX)), down = Math.ceil(height / (8 * maxY));
  const components = factors.map(({ id, x, y }) => ({ id, samples: across * x * down * y * 64 }));
  return { marker, width, height, bits: bytes[start], components };
}

/** How often the scans visit a coefficient, at least: more is no image that anyone would store. */
const minVisits = 1e9;
/** Regular progressive images visit each coefficient 5 to 10 times. */
const maxVisitsEach = 24;
/** Channels of an image and of a scan: the codec rejects more before it stores any. */
const maxComponents = 4;
/** Starting a scan takes as long as visiting some thousand coefficients. */
const scanVisits = 2 ** 14;

/** Counts how often scans visit coefficients, and throws when they take too long. */
class ScanCounter {
  #scans = 0;
  #visits = 0;

  constructor(readonly file: string, readonly components: readonly Component[]) {}

  /** Counts the scan with this header. */
  add(bytes: Uint8Array, { start, end }: Segment): void {
    const { components, file } = this;
    this.#scans++;
    this.#visits += scanVisits;
    const count = Math.min(bytes[start], maxComponents);
    for (let i = 0, at = start + 1; i < count && at < end; i++, at += 2) {
      this.#visits += components.find(({ id }) => id === bytes[at])?.samples ?? 0;
    }
    const total = totalSamples(components);
    if (this.#visits > Math.max(minVisits, maxVisitsEach * total)) {
      throw new TooLargeError(
        file,
        `the JPEG has too many scans for its size (${this.#scans} or more), and would take too ` +
          "long to decode",
      );
    }
  }
}

function totalSamples(components: readonly Component[]): number {
  return components.reduce((sum, { samples }) => sum + samples, 0);
}

/** The number of channels in the first scan. */
function firstScanChannels(bytes: Uint8Array, file: string): number {
  for (const { marker, start } of segments(bytes, file)) {
    if (marker === startOfScan) return bytes[start];
  }
  return 0;
}

/** Whether a frame is progressive: SOF2, or one of its rare variants. */
function isProgressive(marker: number): boolean {
  return (marker & 3) === 2;
}

/** The JPEG format. */
export const jpeg: Format = {
  name: "JPEG",

  matches: (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff,

  readSize(bytes, file) {
    const { bits, width, height } = findFrame(bytes, file);
    if (bits !== 8) {
      throw new FileError(file, `is a JPEG with ${bits} bits per sample; only 8 are supported`);
    }
    return { width, height };
  },

  readOrientation(bytes, file) {
    for (const segment of segments(bytes, file)) {
      if (isExif(bytes, segment)) {
        return readOrientation(bytes.subarray(segment.start, segment.end));
      }
      if (segment.marker === startOfScan) break; // as in Pillow
    }
    return 1;
  },

  memory(bytes, file, { width, height }) {
    const { marker, components } = findFrame(bytes, file);
    const memory = components.length === 4 ? runtimeMemory : wasmMemory;
    // Decoders store no coefficients if a single scan has them all.
    const isStored = isProgressive(marker) || firstScanChannels(bytes, file) < components.length;
    const coefficients = isStored ? totalSamples(components.slice(0, maxComponents)) : 0;
    return memory(width * height, bytes.length) + 2 * coefficients;
  },

  check(bytes, file) {
    let frames = 0, scans: ScanCounter | undefined;
    for (const segment of segments(bytes, file)) {
      if (isFrame(segment.marker)) frames++;
      if (segment.marker === startOfScan) {
        scans ??= new ScanCounter(file, findFrame(bytes, file).components);
        scans.add(bytes, segment);
      }
    }
    if (frames > 1) throw damaged(file, "JPEG", `it has ${frames} frame headers`);
    if (!scans) throw damaged(file, "JPEG", "it has no image data");
  },

  async decode(bytes, context) {
    const { jpeg: codec } = context.codecs;
    if (isDecoder(codec)) {
      const { decodeWithCustom } = await import("../codecs/custom.ts");
      return decodeWithCustom(codec, bytes, "JPEG", context.name);
    }
    const { components } = findFrame(bytes, context.name);
    if (components.length === 4) { // CMYK or YCCK, which mozjpeg does not convert to RGB
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
  const copy = new Uint8Array(bytes); // slice() of a Buffer is no copy
  for (const segment of segments(bytes, file)) {
    if (isExif(bytes, segment)) copy.fill(0, segment.start, segment.start + 4);
  }
  return copy;
}
