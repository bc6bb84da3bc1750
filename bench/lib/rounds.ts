/**
 * Times programs in turns.
 *
 * @module
 */

/** Something to time. */
export interface Contender {
  readonly name: string;
  /** Whether it is so slow that it runs only in the first timed round. */
  readonly once?: boolean;
  /** Milliseconds to wait after each run, because its threads keep a core busy for a while. */
  readonly rest?: number;
  /** Runs once, and returns the time in milliseconds. */
  run(): Promise<number>;
}

/** Options of {@linkcode interleave}. */
export interface RoundsOptions {
  /** Untimed rounds at the start, in which compilers and caches warm up and memory grows. */
  readonly warmUp: number;
  /** Timed rounds. */
  readonly rounds: number;
  /** Called before each run. */
  readonly progress?: (turn: string) => void;
}

/**
 * A shorter run is repeated, and the second one is timed: the other programs have taken the caches
 * meanwhile, and the threads sleep.
 */
const shortMs = 200;

/**
 * Runs A, B, C, A, B, C, … so that other load on the machine slows all of them equally. On a noisy
 * machine, ratios within a run are reliable, even though milliseconds are not. Returns the timings in
 * the order of the contenders.
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
      let ms = await contender.run();
      if (ms < shortMs && !contender.once) ms = await contender.run();
      if (round >= 0) timings[i].push(ms);
      if (contender.rest) spin(contender.rest);
    }
  }
  return timings;
}

/** Waits without sleeping: an idle core clocks down, which would slow the next run. */
function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}
