/**
 * The forward passes of networks on a WebGPU adapter. A software adapter shows how the programs compare, but
 * not how fast they are on a GPU.
 *
 * @module
 */

import { measureForward } from "./lib/forward.ts";
import { namesOf, withPrograms } from "./lib/programs.ts";
import type { Measurement } from "./lib/results.ts";
import { type Context, measure, seed, type Suite } from "./lib/suite.ts";
import { createNetwork } from "./peers/network.ts";
import {
  onnxruntimeWebgpu,
  pembroke,
  pembrokeWebgpu,
  pembrokeWebgpuHalf,
  tfjsWebgpu,
} from "./peers/programs.ts";

/** The first program, on the Wasm kernels, is the reference for the outputs. */
const programs = [{ ...pembroke, once: true }, pembrokeWebgpu, tfjsWebgpu, onnxruntimeWebgpu];

/** The networks that run without `--networks`. */
const defaultNetworks = ["squeezenet1_1", "mobilenet_v2", "alexnet"] as const;

export const webgpu: Suite = {
  programs: namesOf(programs),
  async *run(context) {
    const { options: { networks = defaultNetworks, only } } = context;
    for (const name of networks) {
      const network = await createNetwork(name, seed);
      // f16 is for networks whose fully connected weights are most of their bytes
      const all = name === "alexnet" ? [...programs, pembrokeWebgpuHalf] : programs;
      yield await withPrograms(
        all,
        network,
        context,
        (peers) =>
          measureForward(network, peers, context, {
            batches: [1],
            taskOf: (batch) => ({ section: `Networks on WebGPU, batch ${batch}`, name }),
          }),
      );
    }
    const isOurs = only?.includes(pembrokeWebgpu.name) ?? true;
    if (isOurs && networks.includes("alexnet")) yield await measureLayers(context);
  },
};

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
    const rounds = options.rounds ?? 5;
    return await measure(entries, { label: "layers on WebGPU", rounds, skipped });
  } finally {
    await peer.dispose();
  }
}
