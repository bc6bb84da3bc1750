/**
 * AlexNet's forward pass.
 *
 * @module
 */

import { timesTable } from "./_report.ts";
import { entriesFor, measure, measureBatches, SEED, type Suite } from "./_suite.ts";
import type { AlexNetPeer, AlexNetWeights, PeerOptions } from "./peers/peer.ts";
import { randomImages, randomWeights } from "./peers/random.ts";

/** The first peer that runs is the reference for the answers, so this library stands last. */
const PEERS: Record<string, (w: AlexNetWeights, options: PeerOptions) => Promise<AlexNetPeer>> = {
  async "onnxruntime-web"(weights) {
    const { createAlexNet, web } = await import("./peers/onnxruntime.ts");
    return createAlexNet(await web(), weights);
  },
  async "onnxruntime-node"(weights, options) {
    const { createAlexNet, node } = await import("./peers/onnxruntime.ts");
    return createAlexNet(await node(options), weights);
  },
  async "tfjs-wasm"(weights) {
    const { createAlexNet } = await import("./peers/tfjs_wasm.ts");
    return createAlexNet(weights);
  },
  async "pytorch"(weights, options) {
    const { createAlexNet } = await import("./peers/pytorch.ts");
    return createAlexNet(weights, options);
  },
  async "pembroke"(weights) {
    const { createAlexNet } = await import("./peers/pembroke.ts");
    return createAlexNet(weights);
  },
};

export const alexnet: Suite = {
  peers: Object.keys(PEERS),
  async run(options, leftOut) {
    const weights = randomWeights(SEED);
    const results = await measureBatches(PEERS, {
      create: (factory) => factory(weights, options),
      options,
      batches: [1, 8],
      leftOut,
      async one(peers, batch, rounds) {
        const images = randomImages(batch, SEED);
        const work = (peer: AlexNetPeer) => peer.forward(images, batch);
        const entries = await entriesFor("forward", peers, work, leftOut);
        return measure(`batch ${batch}`, rounds, entries, leftOut);
      },
    });
    return {
      text: ["AlexNet forward, milliseconds a batch", ...results.map(timesTable)].join("\n\n"),
      results,
    };
  },
};
