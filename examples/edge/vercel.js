/**
 * For Vercel's Edge Runtime, which compiles only WebAssembly that is imported with `?module`.
 *
 * @module
 */

import jpeg from "npm:@jsquash/jpeg@1.6.0/codec/dec/mozjpeg_dec.wasm?module";
import webp from "npm:@jsquash/webp@1.5.0/codec/dec/webp_dec.wasm?module";
import module from "../../src/backend/wasm/generated/simd.wasm?module";
import { edgeHandler } from "./handler.ts";

/** Fetches a file that is deployed with the function. */
async function weights({ signal }) {
  const url = new URL("./resnet_tiny.safetensors", import.meta.url);
  const { ok, status, body } = await fetch(url, { signal });
  if (!ok) throw new Error(`${url}: ${status}`);
  return body;
}

export const config = { runtime: "edge" };

export default edgeHandler({ module, codecs: { jpeg, webp }, weights });
