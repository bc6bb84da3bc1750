/**
 * Decodes with a custom decoder, a function passed by the caller.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { Decoder } from "../formats/format.ts";
import { fromRgba, type RgbaImage, type RgbImage } from "../pixels.ts";

/** Decodes with a custom decoder. Any error it throws becomes a FileError. */
export async function decodeWithCustom(
  decoder: Decoder,
  bytes: Uint8Array,
  format: "JPEG" | "WebP",
  name: string,
): Promise<RgbImage> {
  let image: RgbaImage;
  try {
    image = await decoder(bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FileError(name, `the ${format} cannot be decoded: ${reason}`, { cause });
  }
  return fromRgba(image);
}
