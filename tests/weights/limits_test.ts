/** No file takes more than a second for every 10 MB to open, or more than 64 MB of memory. */

import { assert } from "../assert.ts";
import type { Result } from "./limits.ts";

// Making the files takes longer than reading them.
const options = { timeout: 300_000 } as object;

Deno.test("expensive files are read or refused within 1 s and 64 MB", options, async () => {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--allow-all", "--no-check", "--quiet", "--v8-flags=--expose-gc"],
      new URL("limits.ts", import.meta.url).href,
    ],
  }).output();
  const text = new TextDecoder();
  assert(success, text.decode(stderr));
  const results: Result[] = text.decode(stdout).trim().split("\n").map((line) => JSON.parse(line));
  assert(results.length > 100, `only ${results.length} results`);
  for (const { name, size, milliseconds, bytes, outcome } of results) {
    const took = `${name}: ${Math.round(milliseconds)} ms and ${Math.round(bytes / 1e6)} MB`;
    assert(/^FileError|^\d+ tensors$/.test(outcome), `${name}: ${outcome}`);
    assert(milliseconds < 1000 * Math.max(1, size / 10e6), took);
    assert(bytes < 64 * 2 ** 20, took);
  }
});
