/** Assertions of the Deno standard library, and a comparison of arrays with a tolerance. */

// @ts-types="./assert.d.ts"
export {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "npm:deno-std@1.4.0/assert/mod.js";

/**
 * Asserts |actual − expected| ≤ abs + rel·|expected| for every element. NaN equals NaN. The message
 * gives the first element that differs, and how many differ.
 */
export function assertAllClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { abs = 0, rel = 0, name = "tensor" } = {},
): void {
  if (actual.length !== expected.length) {
    throw new Error(`${name}: ${actual.length} elements, expected ${expected.length}`);
  }
  let first = -1, bad = 0;
  for (let i = 0; i < actual.length; i++) {
    const a = actual[i], e = expected[i];
    if (a === e || (a !== a && e !== e) || Math.abs(a - e) <= abs + rel * Math.abs(e)) continue;
    if (bad++ === 0) first = i;
  }
  if (bad > 0) {
    throw new Error(
      `${name}: ${bad} of ${actual.length} elements differ, the first at ${first}: ` +
        `${actual[first]}, expected ${expected[first]} (abs ${abs}, rel ${rel})`,
    );
  }
}
