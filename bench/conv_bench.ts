/**
 * AlexNet's five convolutions: forward, and the gradients of the input (dx) and the weights (dw).
 *
 * @module
 */

import { namesOf, type Program, withPrograms } from "./lib/programs.ts";
import type { Measurement } from "./lib/results.ts";
import {
  type Context,
  entriesFor,
  type Entry,
  measure,
  roundsFor,
  seed,
  type Suite,
} from "./lib/suite.ts";
import { convolutionMacs, convolutions } from "./peers/architecture.ts";
import type { ConvPeer, Pass } from "./peers/peer.ts";
import { randomConvolution } from "./peers/random.ts";

/** The first program that runs is the reference for the outputs. */
const programs: readonly Program<ConvPeer, void>[] = [{
  name: "pembroke",
  async create(_, options) {
    const { createConv } = await import("./peers/pembroke.ts");
    return createConv(options);
  },
}, {
  name: "pembroke",
  async create(_, options) {
    const { createDirectConv } = await import("./peers/pembroke.ts");
    return createDirectConv(options);
  },
}, {
  name: "onnxruntime-web",
  once: true,
  async create() {
    const { createConv, web } = await import("./peers/onnxruntime.ts");
    return createConv(await web("wasm"));
  },
}, {
  name: "tfjs-wasm",
  once: true,
  async create() {
    const { createConv } = await import("./peers/tfjs.ts");
    return createConv();
  },
}, {
  name: "pytorch",
  async create(_, options) {
    const { createConv } = await import("./peers/pytorch.ts");
    return createConv(options);
  },
}, {
  name: "onnxruntime-node",
  async create(_, options) {
    const { createConv, node } = await import("./peers/onnxruntime.ts");
    return createConv(await node(options));
  },
}, {
  name: "jax-js",
  once: true,
  async create(_, options) {
    const { createConv } = await import("./peers/jax_js.ts");
    return createConv(options);
  },
}];

const passes: readonly Pass[] = ["forward", "dx", "dw"];

/** The only convolution that slow programs run without --all-peers. */
const layerForSlow = "conv3";

const layers = convolutions.map((convolution, i) => ({ ...convolution, name: `conv${i + 1}` }));

export const conv: Suite = {
  programs: namesOf(programs),
  run(context) {
    return withPrograms(programs, undefined, context, async (peers) => {
      const measurements: Measurement[] = [];
      for (const batch of context.options.batches ?? [8]) {
        for (const layer of layers) {
          measurements.push(...await measureLayer(layer, batch, peers, context));
        }
      }
      return measurements;
    });
  },
};

/** Times all passes of a convolution. */
async function measureLayer(
  layer: typeof layers[number],
  batch: number,
  peers: readonly ConvPeer[],
  { options, machine, skipped }: Context,
): Promise<Measurement[]> {
  const { name: label } = layer, problem = randomConvolution(layer, batch, seed);
  const running = peers.filter(({ name, slow }) => {
    if (!slow || options.allPeers || label === layerForSlow) return true;
    skipped.add(`${name}, all but ${layerForSlow}`, "takes minutes; see --all-peers");
    return false;
  });
  const entries: Entry[] = [];
  for (const pass of passes) {
    const task = {
      section: `Convolutions, batch ${batch}`,
      name: `${label} ${pass}`,
      flops: 2 * convolutionMacs(layer) * batch,
    };
    const work = (peer: ConvPeer) => peer.convolve(pass, problem);
    entries.push(...await entriesFor(task, running, work, skipped, pass));
  }
  // Run each program's passes one after another, so that their ratio is reliable under noise.
  const byPeer = running.flatMap((peer) => entries.filter((entry) => entry.peer === peer));
  const rounds = roundsFor(batch, options), gauges = machine.gauges("arithmetic");
  return await measure(byPeer, { label, rounds, gauges, skipped });
}
