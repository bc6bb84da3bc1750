import type { NumArray } from "./array.ts";

/**
 * A function of arrays that computes once for equal arguments: a test goes through the same shapes
 * and values on every backend. Nobody may write to the results.
 */
export function remembered<A extends readonly unknown[], R>(compute: (...args: A) => R) {
  const results = new Map<string, R>();
  return (...args: A): R => {
    const key = JSON.stringify(args, (_, value) => isArray(value) ? digest(value) : value);
    const known = results.get(key);
    if (known !== undefined) return known;
    const result = compute(...args);
    results.set(key, result);
    return result;
  };
}

function isArray(value: unknown): value is NumArray {
  return typeof value === "object" && value !== null && "data" in value;
}

/** The shape and two hashes of the bits (FNV-1a and a sum), in place of the values. */
function digest({ shape, data }: NumArray): string {
  const values = ArrayBuffer.isView(data) ? data : Float64Array.from(data);
  const words = new Int32Array(values.buffer, values.byteOffset, values.byteLength >> 2);
  let hash = 0x811c9dc5, sum = 0;
  for (let i = 0; i < words.length; i++) {
    hash = Math.imul(hash ^ words[i], 0x01000193);
    sum = (sum + Math.imul(words[i], i | 1)) | 0;
  }
  return `${shape} ${words.length} ${hash} ${sum}`;
}
