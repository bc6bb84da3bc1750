/**
 * AlexNet's five convolutions by themselves: forward, and the gradients of input (dx) and weights
 * (dw).
 *
 * @module
 */

import { agreement, fixed, heading, left, NONE, ratio, right } from "./_report.ts";
import {
  type BatchResults,
  entriesFor,
  type Entry,
  measure,
  measureBatches,
  OURS,
  type Result,
  SEED,
  type Suite,
} from "./_suite.ts";
import { table } from "./_table.ts";
import { CONVOLUTIONS } from "./peers/architecture.ts";
import type { ConvPeer, Pass, PeerOptions } from "./peers/peer.ts";
import { randomConvolution } from "./peers/random.ts";

/** The first peer that runs is the reference for the answers, so this library stands last. */
const PEERS: Record<string, (options: PeerOptions) => Promise<ConvPeer>> = {
  async "onnxruntime-web"() {
    const { createConv, web } = await import("./peers/onnxruntime.ts");
    return createConv(await web());
  },
  async "tfjs-wasm"() {
    const { createConv } = await import("./peers/tfjs_wasm.ts");
    return createConv();
  },
  async "jax-js"(options) {
    const { createConv } = await import("./peers/jax_js.ts");
    return createConv(options);
  },
  async "pytorch"(options) {
    const { createConv } = await import("./peers/pytorch.ts");
    return createConv(options);
  },
  async "pembroke"() {
    const { createConv } = await import("./peers/pembroke.ts");
    return createConv();
  },
};

const PASSES: readonly Pass[] = ["forward", "dx", "dw"];

/** The convolution that slow peers run unless all were asked for. */
const FOR_SLOW = "conv3";

const LAYERS = CONVOLUTIONS.map((convolution, i) => ({ name: `conv${i + 1}`, ...convolution }));

export const conv: Suite = {
  peers: Object.keys(PEERS),
  async run(options, leftOut) {
    const results = await measureBatches(PEERS, {
      create: (factory) => factory(options),
      options,
      batches: [8],
      leftOut,
      async one(peers, batch, rounds) {
        const results: Result[] = [];
        for (const { name, ...convolution } of LAYERS) {
          const running = peers.filter(({ name: peer, slow }) => {
            if (!slow || options.allPeers || name === FOR_SLOW) return true;
            leftOut.add(`${peer}, all but ${FOR_SLOW}`, "takes minutes; see --all-peers");
            return false;
          });
          const problem = randomConvolution(convolution, batch, SEED);
          const entries: Entry[] = [];
          for (const pass of PASSES) {
            const work = (peer: ConvPeer) => peer.convolve(pass, problem);
            entries.push(...await entriesFor(task(name, pass), running, work, leftOut, pass));
          }
          // A peer's passes follow each other, so that their ratio holds on a noisy machine.
          const byPeer = running.flatMap((peer) => entries.filter((entry) => entry.peer === peer));
          results.push(...await measure(`batch ${batch}, ${name}`, rounds, byPeer, leftOut));
        }
        return results;
      },
    });
    const title = "Convolutions of AlexNet: median milliseconds, GFLOP/s (of direct\n" +
      "convolution, two for each multiply-accumulate), and as a multiple of our forward pass";
    return { text: [title, ...results.map(report)].join("\n\n"), results };
  },
};

function task(layer: string, pass: Pass): string {
  return `${layer} ${pass}`;
}

/** A line for each convolution and peer. */
function report(of: BatchResults): string {
  const { batch, rounds, results } = of;
  const columns = [
    left(heading(of)),
    left("peer"),
    left("version"),
    right("threads"),
    ...PASSES.flatMap((pass) => [right(pass), right("GFLOP/s"), right("÷ our fwd")]),
    right("answers off by"),
  ];
  const rows = LAYERS.flatMap((convolution) => {
    const tasks = PASSES.map((pass) => task(convolution.name, pass));
    const here = results.filter((result) => tasks.includes(result.task));
    const ours = here.find(({ name, task }) => name === OURS && task === tasks[0])?.ms?.median;
    const flops = 2 * batch * macs(convolution);
    const names = [...new Set(here.map(({ name }) => name))];
    return names.map((name, i) => {
      const own = here.filter((result) => result.name === name);
      const { version, threads } = own[0];
      const once = own.some(({ timings }) => timings.length === 1) && rounds > 1;
      return [
        i === 0 ? convolution.name : "",
        once ? `${name}, once` : name,
        version,
        String(threads),
        ...tasks.flatMap((task) => {
          const ms = own.find((result) => result.task === task)?.ms?.median;
          return [fixed(ms), ms ? (flops / ms / 1e6).toFixed(1) : NONE, ratio(ms, ours)];
        }),
        agreement(own),
      ];
    });
  });
  return table(columns, rows);
}

/** Multiply-accumulates of one image. */
function macs({ layer, outSize }: typeof LAYERS[number]): number {
  const { inChannels, outChannels, kernel } = layer;
  return outSize ** 2 * outChannels * inChannels * kernel ** 2;
}
