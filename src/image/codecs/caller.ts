/** Decoding by a function that the caller brings. */

import { FileError } from "../../errors.ts";
import type { Decoder } from "../formats/format.ts";
import { fromRgba, type RgbaImage, type RgbImage } from "../pixels.ts";

/** Decodes with the caller's function, whose failure is the file's. */
export async function decodeByCaller(
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
