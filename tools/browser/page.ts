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

/** Those that compute with WebGPU, or with nothing. */
const own = tests.filter(({ name }) => !/\((relaxed )?simd/.test(name));

/** What the driver calls: the tests' names, and one of them, which gives its error. */
Object.assign(globalThis, {
  names: own.map(({ name }) => name),
  run: (i: number) =>
    Promise.resolve(own[i].fn()).then(() => null, (error) => error?.stack ?? String(error)),
});
