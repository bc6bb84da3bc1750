/**
 * Training AlexNet: one step is forward, cross-entropy, backward and stochastic gradient descent,
 * always on the same batch.
 *
 * @module
 */

import { timesTable } from "./_report.ts";
import { entriesFor, measure, measureBatches, SEED, type Suite } from "./_suite.ts";
import { CLASSES } from "./peers/architecture.ts";
import type { AlexNetWeights, PeerOptions, TrainingPeer } from "./peers/peer.ts";
import { randomImages, randomWeights } from "./peers/random.ts";

/** AlexNet's, as published. */
const SGD = { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 };

/** The first peer that runs is the reference for the losses, so this library stands last. */
const PEERS: Record<string, (w: AlexNetWeights, options: PeerOptions) => Promise<TrainingPeer>> = {
  async "pytorch"(weights, options) {
    const { createTraining } = await import("./peers/pytorch.ts");
    return createTraining(weights, options);
  },
  async "pembroke"(weights) {
    const { createTraining } = await import("./peers/pembroke.ts");
    return createTraining(weights);
  },
};

export const training: Suite = {
  peers: Object.keys(PEERS),
  async run(options, leftOut) {
    const weights = randomWeights(SEED);
    const results = await measureBatches(PEERS, {
      create: (factory) => factory(weights, options),
      options,
      batches: [8],
      leftOut,
      async one(peers, batch, rounds) {
        const images = randomImages(batch, SEED);
        const targets = Array.from({ length: batch }, (_, i) => (i * 127) % CLASSES);
        const work = (peer: TrainingPeer) => peer.steps(images, targets, SGD);
        const entries = await entriesFor("step", peers, work, leftOut);
        return measure(`batch ${batch}`, rounds, entries, leftOut);
      },
    });
    const heading = "Training AlexNet, milliseconds a step (SGD with momentum, no dropout)";
    return { text: [heading, ...results.map(timesTable)].join("\n\n"), results };
  },
};
