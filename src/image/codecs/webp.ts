/**
 * Decodes WebP with libwebp, compiled to WebAssembly by jSquash.
 *
 * @module
 */

import type { DecodeContext } from "../formats/format.ts";
import { frameFile, readFirstFrame } from "../formats/webp_chunks.ts";
import type { RgbImage } from "../pixels.ts";
import { release } from "../release.ts";
import { runCodec } from "./jsquash.ts";

// "as string" hides the name from Deno; see npm_packages.js
const loadFactory = () => import("npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.js" as string);
const loadModule = () => import("./webp_wasm.js");

/** Loads the codec in advance. It is cached, so that later images find it. */
export async function loadWebpCodec(): Promise<void> {
  await Promise.all([loadFactory(), loadModule()]);
}

/** Decodes a still WebP, lossy or lossless. */
export async function decodeWebp(
  bytes: Uint8Array,
  context: DecodeContext,
  module?: WebAssembly.Module,
): Promise<RgbImage> {
  const { image } = await runCodec({
    format: "WebP",
    loadFactory,
    loadModule,
    module,
    reuse: context.reuse,
    memory: context.memory,
    bytes,
    name: context.name,
  });
  return image;
}

/** Decodes the first frame of an animation. As in Pillow, the canvas around it is black. */
export async function decodeAnimatedWebp(
  bytes: Uint8Array,
  context: DecodeContext,
  module?: WebAssembly.Module,
): Promise<RgbImage> {
  const { size, name } = context;
  const frame = readFirstFrame(bytes, name);
  const image = await decodeWebp(frameFile(bytes, frame), context, module);
  if (image.width === size.width && image.height === size.height) return image;
  const data = new Uint8Array(size.width * size.height * 3);
  for (let row = 0; row < frame.height; row++) {
    const from = row * frame.width * 3;
    const to = ((frame.y + row) * size.width + frame.x) * 3;
    data.set(image.data.subarray(from, from + frame.width * 3), to);
  }
  release(image.data);
  return { ...size, data };
}
