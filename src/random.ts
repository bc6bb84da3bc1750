/**
 * PyTorch's random number generator: the same seed gives the same numbers on every machine.
 *
 * @module
 */

import { ArgumentError } from "./errors.ts";
import { kindOf } from "./kinds.ts";

/**
 * The algorithm's n and m: the words of its state, and how far apart those are that it combines.
 */
const n = 624, m = 397;
/** Normal numbers are drawn in blocks of this size. */
const blockSize = 16;

/**
 * The Mersenne Twister MT19937 (Matsumoto & Nishimura 1998), used as in PyTorch's CPU generator:
 * with the same seed, `uniform()` returns the numbers of `torch.Tensor.uniform_()`, bit for bit.
 *
 * @example
 * ```ts
 * import { RandomGenerator } from "./random.ts";
 *
 * const values = new Float32Array(2);
 * new RandomGenerator(0).uniform(values, 0, 1);
 * console.log(values); // 0.49625659, 0.76822180, like torch.rand(2) after torch.manual_seed(0)
 * ```
 */
export class RandomGenerator {
  readonly #state = new Uint32Array(n);
  #next = n;
  /** The second number of the last pair of normal ones. */
  #spareNormal: number | undefined;

  /**
   * Creates a generator, as `torch.manual_seed()` seeds one.
   *
   * @param seed An integer; only its lowest 32 bits count.
   * @throws {ArgumentError} When the seed is not an integer.
   */
  constructor(readonly seed: number) {
    if (!Number.isInteger(seed)) {
      throw new ArgumentError("RandomGenerator", "seed", seed, "an integer");
    }
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < n; i++) {
      const previous = state[i - 1] ^ (state[i - 1] >>> 30);
      state[i] = Math.imul(1812433253, previous) + i;
    }
  }

  /** The next 32 random bits, as an unsigned integer. */
  random(): number {
    if (this.#next === n) this.#twist();
    return temper(this.#state[this.#next++]) >>> 0;
  }

  /**
   * Fills `values` with uniform numbers from [from, to), using 24 random bits each.
   *
   * @throws {ArgumentError} When an argument is of a wrong type.
   */
  uniform(values: Float32Array, from: number, to: number): void {
    checkFill("uniform", values, { from, to });
    const low = Math.fround(from), span = Math.fround(Math.fround(to) - low);
    // The inner loop uses up one state without checks, for speed: AlexNet needs 61 million numbers.
    for (let i = 0; i < values.length;) {
      if (this.#next === n) this.#twist();
      const state = this.#state, next = this.#next, count = Math.min(n - next, values.length - i);
      for (let j = 0; j < count; j++) {
        values[i + j] = (temper(state[next + j]) & 0xffffff) * 2 ** -24 * span + low;
      }
      this.#next += count;
      i += count;
    }
  }

  /**
   * Fills `values` with normally distributed numbers. They equal those of `torch.Tensor.normal_()`
   * up to the rounding of logarithms and cosines.
   *
   * @throws {ArgumentError} When an argument is of a wrong type.
   */
  normal(values: Float32Array, mean: number, std: number): void {
    checkFill("normal", values, { mean, std });
    const size = values.length;
    if (size < blockSize) return this.#fewNormals(values, mean, std);
    this.uniform(values, 0, 1);
    for (let i = 0; i + blockSize <= size; i += blockSize) toNormal(values, i, mean, std);
    if (size % blockSize === 0) return;
    // PyTorch draws the last 16 numbers again.
    this.uniform(values.subarray(size - blockSize), 0, 1);
    toNormal(values, size - blockSize, mean, std);
  }

  /** PyTorch draws fewer than 16 numbers in pairs, in float64, and keeps a spare one. */
  #fewNormals(values: Float32Array, mean: number, std: number): void {
    for (let i = 0; i < values.length; i++) {
      let value = this.#spareNormal;
      this.#spareNormal = undefined;
      if (value === undefined) {
        const angle = 2 * Math.PI * this.#double();
        const radius = Math.sqrt(-2 * Math.log1p(-this.#double()));
        value = radius * Math.cos(angle);
        this.#spareNormal = radius * Math.sin(angle);
      }
      values[i] = value * std + mean;
    }
  }

  /** A uniform number from [0, 1), using 53 random bits. */
  #double(): number {
    const high = this.random() & 0x1fffff, low = this.random();
    return (high * 2 ** 32 + low) * 2 ** -53;
  }

  /** The state of the generator: 625 words. It lacks the spare number of `normal()`. */
  getState(): Uint32Array {
    return Uint32Array.of(...this.#state, this.#next);
  }

  /**
   * Restores a state from {@linkcode RandomGenerator.getState}.
   *
   * @throws {ArgumentError} When it is not such a state.
   */
  setState(state: Uint32Array): void {
    if (kindOf(state) !== "Uint32Array" || state.length !== n + 1) {
      throw new ArgumentError("setState", "state", state, `a Uint32Array of ${n + 1} numbers`);
    }
    if (state[n] > n) throw new ArgumentError("setState", `state[${n}]`, state[n], `at most ${n}`);
    this.#state.set(state.subarray(0, n));
    this.#next = state[n];
    this.#spareNormal = undefined;
  }

  #twist(): void {
    const state = this.#state;
    let i = 0;
    for (; i < n - m; i++) state[i] = state[i + m] ^ mix(state[i], state[i + 1]);
    for (; i < n - 1; i++) state[i] = state[i + m - n] ^ mix(state[i], state[i + 1]);
    state[n - 1] = state[m - 1] ^ mix(state[n - 1], state[0]);
    this.#next = 0;
  }
}

/** Turns 16 uniform numbers at `start` into normal ones, by the Box–Muller transform. */
function toNormal(values: Float32Array, start: number, mean: number, std: number): void {
  const half = blockSize / 2;
  for (let i = start; i < start + half; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - values[i])), angle = 2 * Math.PI * values[i + half];
    values[i] = radius * Math.cos(angle) * std + mean;
    values[i + half] = radius * Math.sin(angle) * std + mean;
  }
}

/** Branchless, since a branch on random bits cannot be predicted. */
function mix(u: number, v: number): number {
  return (((u & 0x80000000) | (v & 0x7fffffff)) >>> 1) ^ (-(v & 1) & 0x9908b0df);
}

function temper(y: number): number {
  y ^= y >>> 11;
  y ^= (y << 7) & 0x9d2c5680;
  y ^= (y << 15) & 0xefc60000;
  return y ^ (y >>> 18);
}

function checkFill(op: string, values: unknown, numbers: Record<string, unknown>): void {
  if (kindOf(values) !== "Float32Array") {
    throw new ArgumentError(op, "values", values, "a Float32Array");
  }
  for (const [name, value] of Object.entries(numbers)) {
    if (typeof value !== "number") throw new ArgumentError(op, name, value, "a number");
  }
}

/** Checks that a value is a {@linkcode RandomGenerator}. */
export function checkGenerator(op: string, generator: unknown): void {
  if (generator instanceof RandomGenerator) return;
  throw new ArgumentError(op, "generator", generator, "a RandomGenerator");
}
