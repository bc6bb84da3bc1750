/**
 * The suites of the WebGPU backend, in a page: `run` gives what became of each test.
 *
 * @module
 */

import { tests } from "./deno.ts";
import "../../tests/ops/conformance_test.ts";
import "../../tests/backend/webgpu_test.ts";

/** What became of a test: an error, or nothing. */
export interface Outcome {
  readonly name: string;
  readonly error?: string;
}

/** Runs every test that computes with WebGPU. */
async function run(): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { name, fn } of tests.filter(({ name }) => !/\((relaxed )?simd/.test(name))) {
    try {
      await fn();
      outcomes.push({ name });
    } catch (error) {
      outcomes.push({ name, error: error instanceof Error ? error.stack : String(error) });
    }
  }
  return outcomes;
}

Object.assign(globalThis, { run });
