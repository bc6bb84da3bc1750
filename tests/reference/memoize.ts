import type { NumArray } from "./array.ts";

/**
 * Caches the results of a function of arrays by its arguments, because tests use the same values on
 * every backend. Do not write to the results.
 */
export function memoize<A extends readonly unknown[], R>(compute: (...args: A) => R) {
  const results = new Map<string, R>();
  return (...args: A): R => {
    const key = JSON.stringify(args, (_, value) => isArray(value) ? digest(value) : value);
    const cached = results.get(key);
    if (cached !== undefined) return cached;
    const result = compute(...args);
    results.set(key, result);
    return result;
  };
}

function isArray(value: unknown): value is NumArray {
  return typeof value === "object" && value !== null && "data" in value;
}

/** Returns the shape and two hashes of the bits, as a short key for an array. */
function digest({ shape, data }: NumArray): string {
  const values = data instanceof Float32Array ? data : Float64Array.from(data);
  const words = new Int32Array(values.buffer, values.byteOffset, values.byteLength / 4);
  return `${shape} ${words.length} ${hash(words, 1)} ${hash(words, 2)}`;
}

/** MurmurHash3 with a seed. It includes the sign bit of zeros. */
function hash(words: Int32Array, seed: number): number {
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    let word = Math.imul(words[i], 0xcc9e2d51);
    word = Math.imul((word << 15) | (word >>> 17), 0x1b873593);
    state ^= word;
    state = Math.imul((state << 13) | (state >>> 19), 5) + 0xe6546b64 | 0;
  }
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  return state ^ (state >>> 13);
}
