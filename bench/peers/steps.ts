import type { Work } from "./peer.ts";

/** So much more than the loss itself counts what the first step takes off it: 0.004 of 6.9. */
const WEIGHT_OF_DROP = 1000;

/** One step of training. */
export interface Step {
  readonly ms: number;
  /** Before the step. */
  readonly loss: number;
}

/**
 * Work of step after step. The answer is the first loss, and how far the second is below it: the
 * losses alone would agree without any learning.
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
    async answer() {
      await run();
      const [first, second] = losses;
      return Float32Array.of(first, WEIGHT_OF_DROP * (first - second));
    },
    dispose,
  };
}
