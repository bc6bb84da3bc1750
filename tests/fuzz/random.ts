/** Random numbers for fuzzers: the same seed gives the same input. */

/** A generator of random numbers (mulberry32). */
export class FuzzRandom {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed | 0;
  }

  /** A number from 0 up to 1, which is excluded. */
  next(): number {
    this.#state = this.#state + 0x6d2b79f5 | 0;
    let t = Math.imul(this.#state ^ this.#state >>> 15, 1 | this.#state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  }

  /** An integer from 0 up to `end`, which is excluded. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of the values. */
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }

  /** Random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /**
   * An integer of `bits` bits, most often one that readers get wrong: near 0, a power of two or the
   * end.
   */
  edgy(bits: number): number {
    const end = 2 ** bits;
    const near = this.pick([0, 1, end / 2, end - 1, 2 ** this.below(bits + 1), this.below(end)]);
    return Math.min(Math.max(near + this.below(3) - 1, 0), end - 1);
  }
}
