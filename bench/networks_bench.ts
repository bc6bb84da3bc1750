/**
 * The forward passes of torchvision's networks.
 *
 * @module
 */

import type { NetworkName } from "../mod.ts";
import { type Program, withPrograms } from "./lib/programs.ts";
import type { Measurement, Task } from "./lib/results.ts";
import { type Context, entriesFor, measure, roundsFor, SEED, type Suite } from "./lib/suite.ts";
import { createNetwork, type Network } from "./peers/network.ts";
import type { NetworkPeer } from "./peers/peer.ts";
import { randomImages } from "./peers/random.ts";

/** The networks that run without `--networks`, from small to large. */
export const NETWORKS: readonly NetworkName[] = [
  "squeezenet1_1",
  "mobilenet_v2",
  "mobilenet_v3_small",
  "efficientnet_b0",
  "shufflenet_v2_x1_0",
  "resnet18",
  "resnet50",
  "densenet121",
  "googlenet",
  "alexnet",
];

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
  name: "onnxruntime-node",
  async create(network, options) {
    const { createNetworkPeer, node } = await import("./peers/onnxruntime.ts");
    return createNetworkPeer(await node(options), network);
  },
}];

/** Why a program does not take part. */
const JAX_JS = "its convolutions reach 0.3 to 0.6 GFLOP/s, so a network takes seconds; see conv";

export const networks: Suite = {
  programs: [...new Set(PROGRAMS.map(({ name }) => name))],
  async *run(context) {
    if (!context.options.only) context.skipped.add("jax-js on networks", JAX_JS);
    for (const name of context.options.networks ?? NETWORKS) {
      const network = await createNetwork(name, SEED);
      yield await withPrograms(PROGRAMS, network, context, (peers) => {
        return measureNetwork(network, peers, context);
      });
    }
  },
};

async function measureNetwork(
  { name, image, forwardMacs }: Network,
  peers: readonly NetworkPeer[],
  { options, machine, skipped }: Context,
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const batch of options.batches ?? [1, 8]) {
    const images = randomImages(batch, SEED, image), label = `${name}, batch ${batch}`;
    const task: Task = {
      section: `Networks, batch ${batch}`,
      name,
      flops: 2 * forwardMacs * batch,
      network: { name, pass: "forward", batch },
    };
    const work = (peer: NetworkPeer) => peer.forward(images, batch);
    const entries = await entriesFor(task, peers, work, skipped, label);
    const rounds = roundsFor(batch, options), gauges = machine.gauges("arithmetic");
    measurements.push(...await measure(label, rounds, entries, gauges, skipped));
  }
  return measurements;
}
