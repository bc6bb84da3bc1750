/**
 * The list of supported formats, and format detection.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { bmp } from "./bmp.ts";
import { hasText, text } from "./bytes.ts";
import type { Format } from "./format.ts";
import { gif } from "./gif.ts";
import { jpeg } from "./jpeg.ts";
import { png } from "./png.ts";
import { webp } from "./webp.ts";

const formats: readonly Format[] = [jpeg, png, webp, gif, bmp];

/** Detects the format from the first bytes; file names can be wrong. */
export function detectFormat(bytes: Uint8Array, file: string): Format {
  if (bytes.length === 0) throw new FileError(file, "is empty");
  const format = formats.find((format) => format.matches(bytes));
  if (format) return format;
  const other = guessOther(bytes), names = formats.map((format) => format.name).join(", ");
  throw new FileError(
    file,
    other ? `is ${other}, not a supported image (${names})` : `is not a supported image (${names})`,
  );
}

/** Names other common file types, for the error message. */
function guessOther(bytes: Uint8Array): string | undefined {
  if (hasText(bytes, 0, "%PDF")) return "a PDF";
  if (hasText(bytes, 0, "II*\0") || hasText(bytes, 0, "MM\0*")) return "a TIFF";
  if (hasText(bytes, 4, "ftyp")) {
    const brand = text(bytes, 8, 4);
    if (brand.startsWith("avi")) return "an AVIF image";
    if (/^(hei|hev|mif1|msf1)/.test(brand)) return "a HEIC image";
    return "a video";
  }
  if (hasText(bytes, 0, "\xff\x0a") || hasText(bytes, 4, "JXL ")) return "a JPEG XL image";
  if (hasText(bytes, 4, "jP  ")) return "a JPEG 2000 image";
  if (hasText(bytes, 0, "8BPS")) return "a Photoshop file";
  if (hasText(bytes, 0, "\0\0\x01\0")) return "an icon";
  if (hasText(bytes, 0, "PK\x03\x04")) return "a ZIP archive (or PyTorch weights)";
  if (hasText(bytes, 0, "\x1f\x8b")) return "a gzip archive";
  const start = text(bytes, 0, 512).replace(/^\xef\xbb\xbf/, "").trimStart().toLowerCase();
  if (/^<svg|^<\?xml[^]*<svg/.test(start)) return "an SVG drawing";
  if (/^<!doctype html|^<html/.test(start)) return "a web page";
  return undefined;
}
