/**
 * AlexNet's forward pass on a WebGPU adapter. A software adapter shows how the programs compare, but
 * not how fast they are on a GPU.
 *
 * @module
 */

import { type Program, withPrograms } from "./lib/programs.ts";
import type { Measurement } from "./lib/results.ts";
import { type Context, entriesFor, measure, roundsFor, SEED, type Suite } from "./lib/suite.ts";
import { FORWARD_MACS } from "./peers/architecture.ts";
import type { AlexNetPeer, AlexNetWeights } from "./peers/peer.ts";
import { randomImages, randomWeights } from "./peers/random.ts";

/** The first program, on the Wasm kernels, is the reference for the outputs. */
const PROGRAMS: readonly Program<AlexNetPeer, AlexNetWeights>[] = [{
  name: "pembroke",
  once: true,
  async create(weights, options) {
    const { createAlexNet } = await import("./peers/pembroke.ts");
    return createAlexNet(weights, options);
  },
}, {
  name: "pembroke-webgpu",
  once: true,
  async create(weights) {
    const { createGpuAlexNet } = await import("./peers/pembroke.ts");
    return createGpuAlexNet(weights);
  },
}, {
  name: "pembroke-webgpu",
  once: true,
  async create(weights) {
    const { createHalfGpuAlexNet } = await import("./peers/pembroke.ts");
    return createHalfGpuAlexNet(weights);
  },
}, {
  name: "tfjs-webgpu",
  once: true,
  async create(weights) {
    const { createAlexNet } = await import("./peers/tfjs.ts");
    return createAlexNet(weights, "webgpu");
  },
}, {
  name: "onnxruntime-webgpu",
  once: true,
  async create(weights) {
    const { createAlexNet, web } = await import("./peers/onnxruntime.ts");
    return createAlexNet(await web("webgpu"), weights);
  },
}];

export const webgpu: Suite = {
  programs: [...new Set(PROGRAMS.map(({ name }) => name))],
  run(context) {
    const { options, skipped } = context;
    return withPrograms(PROGRAMS, randomWeights(SEED), context, async (peers) => {
      const measurements: Measurement[] = [];
      for (const batch of options.batches ?? [1]) {
        const images = randomImages(batch, SEED), flops = 2 * FORWARD_MACS * batch;
        const task = { section: "AlexNet on WebGPU, forward", name: `batch ${batch}`, flops };
        const work = (peer: AlexNetPeer) => peer.forward(images, batch);
        const entries = await entriesFor(task, peers, work, skipped);
        const rounds = roundsFor(batch, options);
        measurements.push(...await measure(`webgpu, batch ${batch}`, rounds, entries, [], skipped));
      }
      if (peers.some(({ name }) => name === "pembroke-webgpu")) {
        measurements.push(...await measureLayers(context));
      }
      return measurements;
    });
  },
};

/** Times each layer's shader. Its name shows its operations, and the bytes that it must transfer. */
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
