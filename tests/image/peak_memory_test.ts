/** The memory that decoding takes, measured in a process of its own. */

import { fileURLToPath } from "node:url";
import { imageMemory } from "../../src/image/header.ts";
import { assert, assertMatch } from "../assert.ts";
import { runProgram } from "../tools.ts";
import { readFault } from "./fixtures.ts";
import { inflatingPng } from "./hostile.ts";

/** The garbage collector decides when the rest is freed. */
const spareBytes = 48 * 2 ** 20;

/** Decodes an image in a new process. */
async function measure(
  bytes: Uint8Array,
): Promise<{ readonly result: string; readonly ms: number; readonly bytes: number }> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, bytes);
    const script = fileURLToPath(new URL("peak_memory.ts", import.meta.url));
    const warmUp = fileURLToPath(new URL("../fixtures/image/images/rgb.png", import.meta.url));
    const args = ["run", "-A", "--quiet", "--no-check", "--no-lock", script, warmUp, file];
    return JSON.parse(await runProgram(Deno.execPath(), args, "."));
  } finally {
    await Deno.remove(file);
  }
}

const ignore = Deno.build.os !== "linux";

Deno.test({
  name: "decodeImage() decodes a 16-bit PNG in little more memory than its pixels take",
  ignore,
  async fn() {
    const zipped = new Blob([readFault("rgba16_8000.png.gz")]).stream();
    const file = await new Response(zipped.pipeThrough(new DecompressionStream("gzip"))).bytes();
    const { result, bytes } = await measure(file);
    assertMatch(result, /^8000×8000$/);
    assert(imageMemory(file) < 8000 * 8000 * 3 * 1.1, "the estimate");
    assert(bytes < imageMemory(file) + spareBytes, `${bytes} bytes`); // its rows take 512 MB
  },
});

Deno.test({
  name: "decodeImage() rejects a small PNG whose data inflates to 512 MB, before it inflates",
  ignore,
  async fn() {
    const { result, ms, bytes } = await measure(await inflatingPng(100, 100, 512 * 2 ** 20));
    assertMatch(result, /image data goes on long after its last row$/);
    assert(bytes < 64 * 2 ** 20, `${bytes} bytes`);
    assert(ms < 2000, `${ms} ms`);
  },
});
