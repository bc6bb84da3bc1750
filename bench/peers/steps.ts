/**
 * Training steps as work to time, and how their results are compared.
 *
 * @module
 */

import type { Work } from "./peer.ts";

/**
 * AlexNet's first step lowers the loss by only 0.004 of 6.9. This factor makes that count in
 * comparisons.
 */
const dropFactor = 1000;

/**
 * The allowed error of {@linkcode trainingWork}. With batch normalisation, a rounding error that
 * switches a ReLU changes many gradients: for MobileNetV2, the drops of the loss in float32 differ
 * from those in float64 by 0.2 %.
 */
export const trainingTolerance = 0.01;

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
      return Float32Array.of(first, dropFactor * (first - second));
    },
    dispose,
  };
}
