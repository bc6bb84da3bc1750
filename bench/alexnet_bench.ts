/**
 * AlexNet's forward pass.
 *
 * @module
 */

import { type Program, withPrograms } from "./lib/programs.ts";
import type { Measurement } from "./lib/results.ts";
import { entriesFor, measure, roundsFor, SEED, type Suite } from "./lib/suite.ts";
import { FORWARD_MACS } from "./peers/architecture.ts";
import type { AlexNetPeer, AlexNetWeights } from "./peers/peer.ts";
import { randomImages, randomWeights } from "./peers/random.ts";

/** The first program that runs is the reference for the outputs. */
const PROGRAMS: readonly Program<AlexNetPeer, AlexNetWeights>[] = [{
  name: "pembroke",
  async create(weights, options) {
    const { createAlexNet } = await import("./peers/pembroke.ts");
    return createAlexNet(weights, options);
  },
}, {
  name: "pembroke",
  async create(weights, options) {
    const { createInt8AlexNet } = await import("./peers/pembroke.ts");
    return createInt8AlexNet(weights, options);
  },
}, {
  name: "onnxruntime-web",
  once: true,
  async create(weights) {
    const { createAlexNet, web } = await import("./peers/onnxruntime.ts");
    return createAlexNet(await web("wasm"), weights);
  },
}, {
  name: "tfjs-wasm",
  once: true,
  async create(weights) {
    const { createAlexNet } = await import("./peers/tfjs.ts");
    return createAlexNet(weights, "wasm");
  },
}, {
  name: "pytorch",
  async create(weights, options) {
    const { createAlexNet } = await import("./peers/pytorch.ts");
    return createAlexNet(weights, options);
  },
}, {
  name: "onnxruntime-node",
  async create(weights, options) {
    const { createAlexNet, node } = await import("./peers/onnxruntime.ts");
    return createAlexNet(await node(options), weights);
  },
}];

export const alexnet: Suite = {
  programs: [...new Set(PROGRAMS.map(({ name }) => name))],
  run(context) {
    const { options, machine, skipped } = context;
    return withPrograms(PROGRAMS, randomWeights(SEED), context, async (peers) => {
      const gauges = [...machine.gauges("arithmetic"), ...machine.gauges("streaming")];
      const measurements: Measurement[] = [];
      for (const batch of options.batches ?? [1, 8]) {
        const images = randomImages(batch, SEED), flops = 2 * FORWARD_MACS * batch;
        const task = { section: "AlexNet, forward", name: `batch ${batch}`, flops };
        const work = (peer: AlexNetPeer) => peer.forward(images, batch);
        const entries = await entriesFor(task, peers, work, skipped);
        const rounds = roundsFor(batch, options);
        measurements.push(...await measure(`batch ${batch}`, rounds, entries, gauges, skipped));
      }
      return measurements;
    });
  },
};
