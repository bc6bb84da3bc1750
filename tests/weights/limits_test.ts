/** No file takes more than a second for every 10 MB to open, or more than 64 MB of memory. */

import { assert, assertEquals } from "../assert.ts";
import type { Result } from "./limits.ts";

/** Making all files takes a minute: `deno run -A tests/weights/limits.ts` prints their figures. */
async function measured(which: string): Promise<Result[]> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--allow-all", "--no-check", "--quiet", "--v8-flags=--expose-gc"],
      new URL("limits.ts", import.meta.url).href,
      which,
    ],
  }).output();
  const text = new TextDecoder();
  assert(success, text.decode(stderr));
  return text.decode(stdout).trim().split("\n").map((line) => JSON.parse(line));
}

Deno.test("expensive files are read or refused in bounded time and 64 MB", async () => {
  const results = await measured("8"); // every eighth
  assert(results.length > 12, `only ${results.length} results`);
  for (const { name, size, milliseconds, bytes, outcome } of results) {
    const took = `${name}: ${Math.round(milliseconds)} ms and ${Math.round(bytes / 1e6)} MB`;
    assert(/^FileError|^\d+ tensors$/.test(outcome), `${name}: ${outcome}`);
    // twice the promised time, for slow machines
    assert(milliseconds < 2000 * Math.max(1, size / 10e6), took);
    assert(bytes < 64 * 2 ** 20, took);
  }
});

Deno.test("compressed weights are read in 40 MB, of which a stream needs 19 MB", async () => {
  const results = await measured("deep compression");
  assertEquals(results.length, 4);
  for (const { name, bytes, outcome } of results) {
    assertEquals(outcome, "16 tensors");
    assert(bytes < 40e6, `${name}: ${Math.round(bytes / 1e6)} MB`);
  }
});
