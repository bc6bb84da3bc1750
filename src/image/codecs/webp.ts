/** Decodes WebP with libwebp, compiled to WebAssembly by jSquash. */

import type { DecodeContext } from "../formats/format.ts";
import type { RgbImage } from "../pixels.ts";
import { runCodec } from "./jsquash.ts";

/** Decodes a still WebP, lossy or lossless. */
export async function decodeWebp(
  bytes: Uint8Array,
  context: DecodeContext,
  module?: WebAssembly.Module,
): Promise<RgbImage> {
  const { image } = await runCodec({
    format: "WebP",
    // "as string" hides the name from Deno; see npm_packages.js
    loadFactory: () => import("npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.js" as string),
    loadModule: () => import("./webp_wasm.js"),
    module,
    reuse: context.reuse,
    bytes,
    name: context.name,
  });
  return image;
}
