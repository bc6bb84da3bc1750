/**
 * Decodes with the runtime's `createImageBitmap`, which Deno and browsers have.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { DecodeContext } from "../formats/format.ts";
import { fromRgba, type RgbImage } from "../pixels.ts";
import { decodePng } from "./png.ts";

/**
 * Decodes an image that none of our codecs supports. The bytes must have no EXIF orientation, because
 * some runtimes would apply it.
 */
export async function decodeWithRuntime(
  bytes: Uint8Array,
  format: string,
  context: DecodeContext,
): Promise<RgbImage> {
  const { name } = context;
  if (typeof createImageBitmap !== "function" || typeof OffscreenCanvas !== "function") {
    throw new FileError(
      name,
      `is a ${format}, which this runtime cannot decode (it has no createImageBitmap); ` +
        `convert it to PNG or RGB JPEG`,
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
    throw new FileError(name, `the ${format} cannot be decoded: ${reason}`, { cause });
  }
  try {
    return await readPixels(bitmap, context);
  } finally {
    bitmap.close();
  }
}

/** The part of a 2D canvas context used here; Deno has no type for it. */
interface Context2d {
  drawImage(bitmap: ImageBitmap, x: number, y: number): void;
  getImageData(x: number, y: number, width: number, height: number): ImageData;
}

/** Reads a bitmap's pixels through a canvas, which is the only way. */
async function readPixels(bitmap: ImageBitmap, context: DecodeContext): Promise<RgbImage> {
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  try {
    const context2d = canvas.getContext("2d") as Context2d | null;
    if (context2d) {
      // Against fingerprinting, Firefox can give pages random pixels, even of an empty canvas.
      if (context2d.getImageData(0, 0, 2, 2).data.some((value) => value > 9)) {
        const reason = "cannot be decoded, because this browser hides the pixels of a canvas; " +
          "convert it to PNG or RGB JPEG";
        throw new FileError(context.name, reason);
      }
      context2d.drawImage(bitmap, 0, 0);
      return fromRgba(context2d.getImageData(0, 0, width, height));
    }
    // Deno has no 2D context, but it can render a bitmap and export the canvas as PNG.
    canvas.getContext("bitmaprenderer")!.transferFromImageBitmap(bitmap);
    const blob = await canvas.convertToBlob({ type: "image/png" });
    const png = new Uint8Array(await blob.arrayBuffer());
    // a task of its own: between tasks, Deno frees the blobs of earlier images
    await new Promise((resolve) => setTimeout(resolve, 0));
    return await decodePng(png, { ...context, size: { width, height } });
  } finally {
    canvas.width = canvas.height = 0; // Deno would never free its pixels
  }
}
