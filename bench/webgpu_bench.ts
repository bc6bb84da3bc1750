/**
 * The forward passes of networks on a WebGPU adapter. A software adapter shows how the programs compare, but
 * not how fast they are on a GPU.
 *
 * @module
 */

import { type Program, withPrograms } from "./lib/programs.ts";
import type { Measurement } from "./lib/results.ts";
import { type Context, entriesFor, measure, roundsFor, SEED, type Suite } from "./lib/suite.ts";
import { createNetwork, type Network } from "./peers/network.ts";
import type { NetworkPeer } from "./peers/peer.ts";
import { randomImages } from "./peers/random.ts";

/** The first program, on the Wasm kernels, is the reference for the outputs. */
const PROGRAMS: readonly Program<NetworkPeer, Network>[] = [{
  name: "pembroke",
  once: true,
  async create(network, options) {
    const { createNetworkPeer } = await import("./peers/pembroke.ts");
    return createNetworkPeer(network, options);
  },
}, {
  name: "pembroke-webgpu",
  once: true,
  async create(network) {
    const { createGpuPeer } = await import("./peers/pembroke.ts");
    return createGpuPeer(network);
  },
}, {
  name: "tfjs-webgpu",
  once: true,
  async create(network) {
    const { createNetworkPeer } = await import("./peers/tfjs.ts");
    return createNetworkPeer(network, "webgpu");
  },
}, {
  name: "onnxruntime-webgpu",
  once: true,
  async create(network) {
    const { createNetworkPeer, web } = await import("./peers/onnxruntime.ts");
    return createNetworkPeer(await web("webgpu"), network);
  },
}];

/** Weights in f16, for the network whose fully connected weights are most of its bytes. */
const HALF: Program<NetworkPeer, Network> = {
  name: "pembroke-webgpu",
  once: true,
  async create(network) {
    const { createHalfGpuPeer } = await import("./peers/pembroke.ts");
    return createHalfGpuPeer(network);
  },
};

/** The networks that run without `--networks`. */
const NETWORKS = ["squeezenet1_1", "mobilenet_v2", "alexnet"] as const;

export const webgpu: Suite = {
  programs: PROGRAMS.map(({ name }) => name),
  async run(context) {
    const { options: { networks = NETWORKS, only } } = context;
    const measurements: Measurement[] = [];
    for (const name of networks) {
      const network = await createNetwork(name, SEED);
      const programs = name === "alexnet" ? [...PROGRAMS, HALF] : PROGRAMS;
      measurements.push(
        ...await withPrograms(programs, network, context, (peers) => {
          return measureNetwork(network, peers, context);
        }),
      );
    }
    if (networks.includes("alexnet") && (only?.includes("pembroke-webgpu") ?? true)) {
      measurements.push(...await measureLayers(context));
    }
    return measurements;
  },
};

async function measureNetwork(
  { name, image, forwardMacs }: Network,
  peers: readonly NetworkPeer[],
  { options, skipped }: Context,
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const batch of options.batches ?? [1]) {
    const images = randomImages(batch, SEED, image), label = `${name} on WebGPU, batch ${batch}`;
    const task = {
      section: `Networks on WebGPU, batch ${batch}`,
      name,
      flops: 2 * forwardMacs * batch,
    };
    const work = (peer: NetworkPeer) => peer.forward(images, batch);
    const entries = await entriesFor(task, peers, work, skipped, label);
    measurements.push(...await measure(label, roundsFor(batch, options), entries, [], skipped));
  }
  return measurements;
}

/** Times each shader of AlexNet's layers. Its name shows its operations, and the bytes that it must transfer. */
async function measureLayers({ options, skipped }: Context): Promise<Measurement[]> {
  const { createLayers } = await import("./peers/webgpu_layers.ts");
  const { peer, layers } = await createLayers();
  try {
    const entries = layers.map(({ name, flops, bytes, work }) => {
      const costs = `${(flops / 1e6).toFixed(0)} MFLOP, ${(bytes / 1e6).toFixed(1)} MB`;
      return {
        peer,
        work,
        task: { section: "Layers on WebGPU", name: `${name}, ${costs}`, flops },
      };
    });
    return await measure("layers on WebGPU", options.rounds ?? 5, entries, [], skipped);
  } finally {
    await peer.dispose();
  }
}
