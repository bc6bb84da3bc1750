/**
 * Decoding by the runtime itself: `createImageBitmap`, which Deno and browsers have.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { DecodeContext } from "../formats/format.ts";
import { fromRgba, type RgbImage } from "../pixels.ts";
import { decodePng } from "./png.ts";

/** Decodes what no codec of ours takes. The bytes must hold no EXIF orientation: it may be applied. */
export async function decodeByRuntime(
  bytes: Uint8Array,
  what: string,
  context: DecodeContext,
): Promise<RgbImage> {
  const { name } = context;
  if (typeof createImageBitmap !== "function" || typeof OffscreenCanvas !== "function") {
    throw new FileError(
      name,
      `is a ${what}, which this runtime cannot decode (it has no createImageBitmap); ` +
        `convert it to a PNG or an RGB JPEG`,
    );
  }
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]), {
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FileError(name, `the ${what} cannot be decoded: ${reason}`, { cause });
  }
  try {
    return await readPixels(bitmap, context);
  } finally {
    bitmap.close();
  }
}

/** What is used of a 2d context; Deno's types have none. */
interface Drawing {
  drawImage(bitmap: ImageBitmap, x: number, y: number): void;
  getImageData(x: number, y: number, width: number, height: number): ImageData;
}

/** A bitmap shows its pixels only through a canvas. */
async function readPixels(bitmap: ImageBitmap, context: DecodeContext): Promise<RgbImage> {
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const drawing = canvas.getContext("2d") as Drawing | null;
  if (drawing) {
    drawing.drawImage(bitmap, 0, 0);
    return fromRgba(drawing.getImageData(0, 0, width, height));
  }
  // Deno has no 2d context, but shows a bitmap and saves what it shows.
  canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(bitmap);
  const saved = new Uint8Array(
    await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer(),
  );
  return decodePng(saved, { ...context, size: { width, height } });
}
