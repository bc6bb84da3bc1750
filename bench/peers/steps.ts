import type { Work } from "./peer.ts";

/** The first step lowers the loss by only 0.004 of 6.9. This factor makes that count in comparisons. */
const DROP_FACTOR = 1000;

/** One training step. */
export interface Step {
  readonly ms: number;
  /** The loss before the step. */
  readonly loss: number;
}

/**
 * Work that runs one step after another. Its output is the first loss, and how much lower the second
 * is: losses alone would agree even if nothing were learned.
 */
export function trainingWork(step: () => Promise<Step>, dispose?: () => void): Work {
  const losses: number[] = [];
  const run = async () => {
    const { ms, loss } = await step();
    losses.push(loss);
    return ms;
  };
  return {
    run,
    async output() {
      await run();
      const [first, second] = losses;
      return Float32Array.of(first, DROP_FACTOR * (first - second));
    },
    dispose,
  };
}
