/**
 * Training AlexNet. One step is a forward pass, cross-entropy, a backward pass and an update by
 * stochastic gradient descent. All steps use the same batch.
 *
 * @module
 */

import { type Program, withPrograms } from "./lib/programs.ts";
import type { Measurement } from "./lib/results.ts";
import { entriesFor, measure, roundsFor, SEED, type Suite } from "./lib/suite.ts";
import { CLASSES, TRAINING_MACS } from "./peers/architecture.ts";
import type { AlexNetWeights, TrainingPeer } from "./peers/peer.ts";
import { randomImages, randomWeights } from "./peers/random.ts";

/** The settings in the AlexNet paper. */
const SGD = { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 };

/** The first program that runs is the reference for the losses. */
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
    const { options, machine, skipped } = context;
    return withPrograms(PROGRAMS, randomWeights(SEED), context, async (peers) => {
      const measurements: Measurement[] = [];
      for (const batch of options.batches ?? [8]) {
        const images = randomImages(batch, SEED), flops = 2 * TRAINING_MACS * batch;
        const targets = Array.from({ length: batch }, (_, i) => (i * 127) % CLASSES);
        const task = { section: "AlexNet, training step", name: `batch ${batch}`, flops };
        const work = (peer: TrainingPeer) => peer.steps(images, targets, SGD);
        const entries = await entriesFor(task, peers, work, skipped);
        const rounds = roundsFor(batch, options), gauges = machine.gauges("arithmetic");
        measurements.push(...await measure("training", rounds, entries, gauges, skipped));
      }
      return measurements;
    });
  },
};
