/**
 * Training AlexNet: one step is forward, cross-entropy, backward and stochastic gradient descent,
 * always on the same batch.
 *
 * @module
 */

import { type Program, withPrograms } from "./lib/programs.ts";
import type { Measured } from "./lib/results.ts";
import { entriesFor, measure, roundsFor, SEED, type Suite } from "./lib/suite.ts";
import { CLASSES, TRAINING_MACS } from "./peers/architecture.ts";
import type { AlexNetWeights, TrainingPeer } from "./peers/peer.ts";
import { randomImages, randomWeights } from "./peers/random.ts";

/** AlexNet's, as published. */
const SGD = { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 };

/** The first that runs is the reference for the losses. */
const PROGRAMS: readonly Program<TrainingPeer, AlexNetWeights>[] = [{
  name: "pembroke",
  async create(weights, options) {
    const { createTraining } = await import("./peers/pembroke.ts");
    return createTraining(weights, options);
  },
}, {
  name: "pytorch",
  async create(weights, options) {
    const { createTraining } = await import("./peers/pytorch.ts");
    return createTraining(weights, options);
  },
}];

export const training: Suite = {
  programs: PROGRAMS.map(({ name }) => name),
  run(context) {
    const { options, machine, leftOut } = context;
    return withPrograms(PROGRAMS, randomWeights(SEED), context, async (peers) => {
      const measured: Measured[] = [];
      for (const batch of options.batches ?? [8]) {
        const images = randomImages(batch, SEED), flops = 2 * TRAINING_MACS * batch;
        const targets = Array.from({ length: batch }, (_, i) => (i * 127) % CLASSES);
        const task = { section: "AlexNet, training step", name: `batch ${batch}`, flops };
        const work = (peer: TrainingPeer) => peer.steps(images, targets, SGD);
        const entries = await entriesFor(task, peers, work, leftOut);
        const rounds = roundsFor(batch, options), gauges = machine.gauges("arithmetic");
        measured.push(...await measure(`training`, rounds, entries, gauges, leftOut));
      }
      return measured;
    });
  },
};
