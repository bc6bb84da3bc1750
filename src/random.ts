/**
 * Random numbers that are the same everywhere: PyTorch's own generator.
 *
 * @module
 */

import { ArgumentError } from "./errors.ts";

const N = 624;
const M = 397;

/**
 * The Mersenne Twister MT19937 (Matsumoto & Nishimura 1998), drawn from as PyTorch's CPU generator
 * does: after the same seed, `uniform` gives the numbers of `torch.Tensor.uniform_`, bit by bit.
 *
 * @example
 * ```ts
 * import { RandomGenerator } from "./random.ts";
 *
 * const values = new Float32Array(2);
 * new RandomGenerator(0).uniform(values, 0, 1);
 * console.log(values); // 0.49625659, 0.76822180, as torch.rand(2) after torch.manual_seed(0)
 * ```
 */
export class RandomGenerator {
  readonly #state = new Uint32Array(N);
  #next = N;

  /**
   * Seeds the generator, as `torch.manual_seed` does.
   *
   * @param seed An integer of which 32 bits count.
   */
  constructor(readonly seed: number) {
    if (!Number.isInteger(seed)) {
      throw new ArgumentError("RandomGenerator", "seed", seed, "an integer");
    }
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < N; i++) {
      const previous = state[i - 1] ^ (state[i - 1] >>> 30);
      state[i] = Math.imul(1812433253, previous) + i;
    }
  }

  /** 32 random bits. */
  random(): number {
    if (this.#next === N) this.#twist();
    return temper(this.#state[this.#next++]) >>> 0;
  }

  /** Fills `values` with numbers from [from, to), 24 random bits each. */
  uniform(values: Float32Array, from: number, to: number): void {
    const low = Math.fround(from), span = Math.fround(Math.fround(to) - low);
    // All that one state gives at a time: AlexNet asks for 61 million.
    for (let i = 0; i < values.length;) {
      if (this.#next === N) this.#twist();
      const state = this.#state, next = this.#next, count = Math.min(N - next, values.length - i);
      for (let j = 0; j < count; j++) {
        values[i + j] = (temper(state[next + j]) & 0xffffff) * 2 ** -24 * span + low;
      }
      this.#next += count;
      i += count;
    }
  }

  /** Everything that the next numbers depend on: 625 words. */
  getState(): Uint32Array {
    return Uint32Array.of(...this.#state, this.#next);
  }

  /** Goes on from a state that {@linkcode RandomGenerator.getState} gave. */
  setState(state: Uint32Array): void {
    if (state.length !== N + 1 || state[N] > N) {
      throw new ArgumentError("setState", "state", `of ${state.length} words`, `of ${N + 1} words`);
    }
    this.#state.set(state.subarray(0, N));
    this.#next = state[N];
  }

  #twist(): void {
    const state = this.#state;
    let i = 0;
    for (; i < N - M; i++) state[i] = state[i + M] ^ mix(state[i], state[i + 1]);
    for (; i < N - 1; i++) state[i] = state[i + M - N] ^ mix(state[i], state[i + 1]);
    state[N - 1] = state[M - 1] ^ mix(state[N - 1], state[0]);
    this.#next = 0;
  }
}

/** Without a branch: which way it went would be as random as the numbers. */
function mix(u: number, v: number): number {
  return (((u & 0x80000000) | (v & 0x7fffffff)) >>> 1) ^ (-(v & 1) & 0x9908b0df);
}

function temper(y: number): number {
  y ^= y >>> 11;
  y ^= (y << 7) & 0x9d2c5680;
  y ^= (y << 15) & 0xefc60000;
  return y ^ (y >>> 18);
}
