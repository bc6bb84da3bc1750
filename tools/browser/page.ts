/**
 * The suites of the WebGPU backend, in a page, for the test beside this file to run one by one.
 *
 * @module
 */

import { tests } from "./deno.ts";
import { adaptersSay, gpuInfo } from "../../tests/webgpu.ts";
import "../../tests/ops/conformance_test.ts";
import "../../tests/backend/linear_half_test.ts";
import "../../tests/backend/linear_int8_test.ts";
import "../../tests/backend/webgpu_test.ts";

/** With the tiles that a GPU gets: Deno's tests have those of a processor that passes for one. */
adaptersSay(gpuInfo);

/** How many conformance cases of each operation were met. */
const met = new Map<string, number>();

/** Those that compute with WebGPU, or with nothing. */
const own = tests.filter(({ name }) => {
  if (/\((relaxed )?simd/.test(name)) return false;
  // Of each operation's cases every third, the first among them: the browser takes seconds to compile
  // a convolution, and Deno's tests run them all.
  const [, op] = /^(\w+) agrees with /.exec(name) ?? [];
  if (op === undefined) return true;
  const before = met.get(op) ?? 0;
  met.set(op, before + 1);
  return before % 3 === 0;
});

/** What the driver calls: the tests' names, and one of them, which gives its error. */
Object.assign(globalThis, {
  names: own.map(({ name }) => name),
  run: (i: number) =>
    Promise.resolve(own[i].fn()).then(() => null, (error) => error?.stack ?? String(error)),
});
