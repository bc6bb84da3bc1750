/**
 * Decodes JPEG with mozjpeg, compiled to WebAssembly by jSquash.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { DecodeContext } from "../formats/format.ts";
import type { RgbImage } from "../pixels.ts";
import { runCodec } from "./jsquash.ts";

// "as string" hides the name from Deno; see npm_packages.js
const loadFactory = () => import("npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.js" as string);
const loadModule = () => import("./jpeg_wasm.js");

/** Loads the codec in advance. It is cached, so that later images find it. */
export async function loadJpegCodec(): Promise<void> {
  await Promise.all([loadFactory(), loadModule()]);
}

/** Decodes a grey, YCbCr or RGB JPEG. Orientation is not applied. */
export async function decodeJpeg(
  bytes: Uint8Array,
  context: DecodeContext,
  module?: WebAssembly.Module,
): Promise<RgbImage> {
  const { image, printed } = await runCodec({
    format: "JPEG",
    loadFactory,
    loadModule,
    module,
    reuse: context.reuse,
    memory: context.memory,
    bytes,
    options: [false], // preserveOrientation: we apply the orientation ourselves
    name: context.name,
  });
  for (const line of printed) {
    // libjpeg fills missing data with grey and goes on. The end marker may be there all the same.
    if (/premature end/i.test(line)) {
      throw new FileError(context.name, "the JPEG is damaged: its image data ends too early");
    }
    context.warn(`the JPEG is damaged: ${line}`);
  }
  return image;
}
