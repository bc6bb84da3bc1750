/** JPEG through mozjpeg, compiled to WebAssembly by jSquash. */

import { FileError } from "../../errors.ts";
import type { DecodeContext } from "../formats/format.ts";
import type { RgbImage } from "../pixels.ts";
import { runCodec } from "./jsquash.ts";

/** Decodes a grey, YCbCr or RGB JPEG; its orientation is left as it is. */
export async function decodeJpeg(
  bytes: Uint8Array,
  context: DecodeContext,
  module?: WebAssembly.Module,
): Promise<RgbImage> {
  const { image, printed } = await runCodec({
    format: "JPEG",
    // "as string" hides the name from Deno: see ahead.js
    loadFactory: () => import("npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.js" as string),
    loadModule: () => import("./jpeg_wasm.js"),
    module,
    reuse: context.reuse,
    bytes,
    options: [false], // preserveOrientation: it would turn the picture, and so do we
    name: context.name,
  });
  for (const line of printed) {
    // libjpeg goes on with grey where data is missing, though the end marker is there.
    if (/premature end/i.test(line)) {
      throw new FileError(context.name, "the JPEG's data ends before its last row (damaged?)");
    }
    context.warn(`the JPEG is damaged: ${line}`);
  }
  return image;
}
