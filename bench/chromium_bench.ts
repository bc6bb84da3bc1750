/**
 * The forward passes of some networks in Chromium, where all programs can use threads.
 *
 * @module
 */

import type { Chromium } from "./browser/chromium.ts";
import type { PageProgram } from "./browser/page.ts";
import { measureForward } from "./lib/forward.ts";
import { namesOf, type Program, withPrograms } from "./lib/programs.ts";
import { seed, type Suite } from "./lib/suite.ts";
import { createNetwork, type Network } from "./peers/network.ts";
import type { NetworkPeer } from "./peers/peer.ts";

/** The networks that run without `--networks`. */
const defaultNetworks = [
  "squeezenet1_1",
  "mobilenet_v2",
  "efficientnet_b0",
  "resnet18",
  "alexnet",
] as const;

/** A browser, and the network to run in it. */
interface Input {
  readonly chromium: Chromium;
  readonly network: Network;
}

/** The first program that runs is the reference for the outputs. */
const programs = [
  inPage("pembroke"),
  inPage("pembroke", "pembroke, int8"),
  inPage("onnxruntime-web"),
  inPage("tfjs-wasm"),
  inPage("litert"),
];

function inPage(name: PageProgram, program = name): Program<NetworkPeer, Input> {
  const create: Program<NetworkPeer, Input>["create"] = ({ chromium, network }, options) =>
    chromium.open(program, network, seed, options);
  return { name, create };
}

export const chromium: Suite = {
  programs: namesOf(programs),
  async *run(context) {
    const { options, machine, skipped } = context;
    let browser: Chromium;
    try {
      const { Chromium } = await import("./browser/chromium.ts");
      browser = await Chromium.start();
    } catch (error) {
      return skipped.add("all programs in Chromium", error);
    }
    await using chromium = browser;
    for (const name of options.networks ?? defaultNetworks) {
      const network = await createNetwork(name, seed);
      yield await withPrograms(
        programs,
        { chromium, network },
        context,
        (peers) =>
          measureForward(network, peers, context, {
            batches: [1],
            taskOf: (batch) => ({
              section: `Networks in Chromium ${chromium.version}, batch ${batch}`,
              name,
            }),
            gauges: machine.gauges("arithmetic"),
          }),
      );
    }
  },
};
