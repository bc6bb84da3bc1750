/**
 * The page that holds the tests of the WebGPU backend. `webgpu_test.ts` runs them one by one.
 *
 * @module
 */

import { tests } from "./deno.ts";
import { gpuInfo, overrideAdapterInfo } from "../../tests/webgpu.ts";
import "../../tests/ops/conformance_test.ts";
import "../../tests/backend/linear_half_test.ts";
import "../../tests/backend/linear_int8_test.ts";
import "../../tests/backend/webgpu_queue_test.ts";
import "../../tests/backend/webgpu_test.ts";

/** Selects the tile sizes for real GPUs. The tests in Deno cover those for software adapters. */
overrideAdapterInfo(gpuInfo);

/** Number of conformance cases seen for each operation. */
const seen = new Map<string, number>();

/** The tests that use WebGPU or no backend at all. */
const selected = tests.filter(({ name }) => {
  if (/\((relaxed )?simd/.test(name)) return false;
  // The browser takes seconds to compile a shader, and the tests in Deno run all of these.
  if (/ in which a dispatch (loses|throws)|too large for a binding|sums of tens of/.test(name)) {
    return false;
  }
  if (/createBackend\(\) uses a GPU/.test(name)) return false;
  if (/^AlexNet|of all shapes|a small network learns/.test(name)) return false;
  // Of the conformance cases, only a few of each operation.
  const [, op] = /^(\w+) agrees with /.exec(name) ?? [];
  if (op === undefined) return true;
  const index = seen.get(op) ?? 0;
  seen.set(op, index + 1);
  return index % 48 === 0;
});

/** For the driver: the names of the tests, and a function that runs one and returns its error. */
Object.assign(globalThis, {
  names: selected.map(({ name }) => name),
  run: (i: number) =>
    Promise.resolve(selected[i].fn()).then(() => null, (error) => error?.stack ?? String(error)),
});
