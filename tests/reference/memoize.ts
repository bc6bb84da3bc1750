import type { NumArray } from "./array.ts";

/**
 * A function of arrays that computes once for equal arguments: a test goes through the same shapes
 * and values on every backend. Do not write to the results.
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

/** The shape and two hashes of the bits, in place of the values. */
function digest({ shape, data }: NumArray): string {
  const values = data instanceof Float32Array ? data : Float64Array.from(data);
  const words = new Int32Array(values.buffer, values.byteOffset, values.byteLength / 4);
  return `${shape} ${words.length} ${hash(words, 1)} ${hash(words, 2)}`;
}

/** MurmurHash3's steps, from a seed: every bit, the sign's too, changes all of them. */
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
