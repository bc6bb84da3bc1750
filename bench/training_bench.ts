/**
 * Training. One step is a forward pass, cross-entropy, a backward pass and an update by
 * stochastic gradient descent. All steps use the same batch.
 *
 * @module
 */

import { namesOf, type Program, withPrograms } from "./lib/programs.ts";
import type { Measurement, Task } from "./lib/results.ts";
import { type Context, entriesFor, measure, roundsFor, seed, type Suite } from "./lib/suite.ts";
import { createNetwork, type Network } from "./peers/network.ts";
import type { TrainingPeer } from "./peers/peer.ts";
import { randomImages } from "./peers/random.ts";

/** The networks that run without `--networks`. */
const defaultNetworks = ["alexnet", "resnet18", "mobilenet_v2"] as const;

/** The settings in the AlexNet paper. */
const sgdOptions = { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 };

/** ImageNet's. */
const classes = 1000;

/** The first program that runs is the reference for the losses. */
const programs: readonly Program<TrainingPeer, Network>[] = [{
  name: "pembroke",
  async create(network, options) {
    const { createTraining } = await import("./peers/pembroke.ts");
    return createTraining(network, options);
  },
}, {
  name: "pytorch",
  async create(network, options) {
    const { createTraining } = await import("./peers/pytorch.ts");
    return createTraining(network, options);
  },
}];

export const training: Suite = {
  programs: namesOf(programs),
  async *run(context) {
    for (const name of context.options.networks ?? defaultNetworks) {
      const network = await createNetwork(name, seed);
      yield await withPrograms(programs, network, context, (peers) => {
        return measureNetwork(network, peers, context);
      });
    }
  },
};

async function measureNetwork(
  { name, image, trainingMacs }: Network,
  peers: readonly TrainingPeer[],
  { options, machine, skipped }: Context,
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const batch of options.batches ?? [8]) {
    const images = randomImages(batch, seed, image);
    const targets = Array.from({ length: batch }, (_, i) => (i * 127) % classes);
    const task: Task = {
      section: `Training step, batch ${batch}`,
      name,
      flops: 2 * trainingMacs * batch,
      network: { name, pass: "training step", batch },
    };
    const work = (peer: TrainingPeer) => peer.steps(images, targets, sgdOptions);
    const entries = await entriesFor(task, peers, work, skipped);
    const rounds = roundsFor(batch, options), gauges = machine.gauges("arithmetic");
    const label = `training ${name}`;
    measurements.push(...await measure(entries, { label, rounds, gauges, skipped }));
  }
  return measurements;
}
