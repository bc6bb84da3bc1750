/** One of the programs that a bench compares: does its work once and says how long it took. */
export interface Contender {
  readonly name: string;
  /** So slow that it gets one turn, in the first round that counts. */
  readonly once?: boolean;
  /** Milliseconds until the next one's turn: some threads keep a core busy after their work. */
  readonly rest?: number;
  run(): Promise<number>;
}

export interface RoundsOptions {
  /** Rounds before any is counted: compilers and caches warm up, memory grows. */
  readonly warmUp: number;
  /** Rounds that count. */
  readonly rounds: number;
  /** Told before each turn, for whoever watches. */
  readonly progress?: (turn: string) => void;
}

/**
 * Runs A, B, C, A, B, C, … so that whatever else the machine is doing slows all of them alike: a
 * ratio between two columns of the same run holds on a noisy machine, where milliseconds do not.
 * Returns the timings in the order of the contenders.
 */
export async function interleave(
  contenders: readonly Contender[],
  { warmUp, rounds, progress }: RoundsOptions,
): Promise<number[][]> {
  const timings: number[][] = contenders.map(() => []);
  for (let round = -warmUp; round < rounds; round++) {
    const label = round < 0 ? "warm-up" : `round ${round + 1} of ${rounds}`;
    for (const [i, contender] of contenders.entries()) {
      if (contender.once && round !== 0) continue;
      progress?.(`${label}: ${contender.name}`);
      const ms = await contender.run();
      if (round >= 0) timings[i].push(ms);
      if (contender.rest) spin(contender.rest);
    }
  }
  return timings;
}

/** Waits without sleeping: a core that rests clocks down, and the next one's turn would pay for it. */
function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}
