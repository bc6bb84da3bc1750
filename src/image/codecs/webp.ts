/** WebP through libwebp, compiled to WebAssembly by jSquash. */

import type { DecodeContext } from "../formats/format.ts";
import type { RgbImage } from "../pixels.ts";
import { webpGlue } from "./glue.js";
import { runCodec } from "./jsquash.ts";

/** Decodes a still WebP, lossy or lossless. */
export async function decodeWebp(
  bytes: Uint8Array,
  context: DecodeContext,
  module?: WebAssembly.Module,
): Promise<RgbImage> {
  const { image } = await runCodec({
    format: "WebP",
    loadFactory: webpGlue,
    loadModule: () => import("./webp_wasm.js"),
    module,
    reuse: context.reuse,
    bytes,
    name: context.name,
  });
  return image;
}
