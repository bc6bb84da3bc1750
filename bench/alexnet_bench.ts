/**
 * AlexNet's forward pass.
 *
 * @module
 */

import { type Program, withPrograms } from "./lib/programs.ts";
import type { Measurement } from "./lib/results.ts";
import { entriesFor, measure, roundsFor, SEED, type Suite } from "./lib/suite.ts";
import { createNetwork, type Network } from "./peers/network.ts";
import type { NetworkPeer } from "./peers/peer.ts";
import { randomImages } from "./peers/random.ts";

/** The first program that runs is the reference for the outputs. */
const PROGRAMS: readonly Program<NetworkPeer, Network>[] = [{
  name: "pembroke",
  async create(network, options) {
    const { createNetworkPeer } = await import("./peers/pembroke.ts");
    return createNetworkPeer(network, options);
  },
}, {
  name: "pembroke",
  async create(network, options) {
    const { createInt8Peer } = await import("./peers/pembroke.ts");
    return createInt8Peer(network, options);
  },
}, {
  name: "onnxruntime-web",
  once: true,
  async create(network) {
    const { createNetworkPeer, web } = await import("./peers/onnxruntime.ts");
    return createNetworkPeer(await web("wasm"), network);
  },
}, {
  name: "tfjs-wasm",
  once: true,
  async create(network) {
    const { createNetworkPeer } = await import("./peers/tfjs.ts");
    return createNetworkPeer(network, "wasm");
  },
}, {
  name: "pytorch",
  async create(network, options) {
    const { createNetworkPeer } = await import("./peers/pytorch.ts");
    return createNetworkPeer(network, options);
  },
}, {
  name: "onnxruntime-node",
  async create(network, options) {
    const { createNetworkPeer, node } = await import("./peers/onnxruntime.ts");
    return createNetworkPeer(await node(options), network);
  },
}];

export const alexnet: Suite = {
  programs: [...new Set(PROGRAMS.map(({ name }) => name))],
  async run(context) {
    const { options, machine, skipped } = context;
    const network = await createNetwork("alexnet", SEED);
    return await withPrograms(PROGRAMS, network, context, async (peers) => {
      const gauges = [...machine.gauges("arithmetic"), ...machine.gauges("streaming")];
      const measurements: Measurement[] = [];
      for (const batch of options.batches ?? [1, 8]) {
        const images = randomImages(batch, SEED, network.image);
        const flops = 2 * network.forwardMacs * batch;
        const task = { section: "AlexNet, forward", name: `batch ${batch}`, flops };
        const work = (peer: NetworkPeer) => peer.forward(images, batch);
        const entries = await entriesFor(task, peers, work, skipped);
        const rounds = roundsFor(batch, options);
        measurements.push(...await measure(`batch ${batch}`, rounds, entries, gauges, skipped));
      }
      return measurements;
    });
  },
};
