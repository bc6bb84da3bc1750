/** No file takes more than a second for every 10 MB to open, or more than 64 MB of memory. */

import { assert } from "../assert.ts";
import type { Result } from "./limits.ts";

/** Making all files takes a minute: `deno run -A tests/weights/limits.ts` prints their figures. */
const every = "8";

Deno.test("expensive files are read or refused in bounded time and 64 MB", async () => {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--allow-all", "--no-check", "--quiet", "--v8-flags=--expose-gc"],
      new URL("limits.ts", import.meta.url).href,
      every,
    ],
  }).output();
  const text = new TextDecoder();
  assert(success, text.decode(stderr));
  const results: Result[] = text.decode(stdout).trim().split("\n").map((line) => JSON.parse(line));
  assert(results.length > 12, `only ${results.length} results`);
  for (const { name, size, milliseconds, bytes, outcome } of results) {
    const took = `${name}: ${Math.round(milliseconds)} ms and ${Math.round(bytes / 1e6)} MB`;
    assert(/^FileError|^\d+ tensors$/.test(outcome), `${name}: ${outcome}`);
    // twice the promised time, for slow machines
    assert(milliseconds < 2000 * Math.max(1, size / 10e6), took);
    assert(bytes < 64 * 2 ** 20, took);
  }
});
