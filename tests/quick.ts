/** Asserts that calls are quick, on machines that do other things, too. */

import { assert } from "./assert.ts";

/**
 * Asserts that a call takes less than a time, in one of five tries: something else may have had the
 * processor in the others.
 */
export async function assertQuick(milliseconds: number, call: () => unknown): Promise<void> {
  let fastest = Infinity;
  for (let tries = 0; tries < 5 && fastest >= milliseconds; tries++) {
    const start = performance.now();
    await call();
    fastest = Math.min(fastest, performance.now() - start);
  }
  assert(fastest < milliseconds, `${fastest} ms`);
}
