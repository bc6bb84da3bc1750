/**
 * The forward passes of torchvision's networks.
 *
 * @module
 */

import type { NetworkName } from "../mod.ts";
import { measureForward } from "./lib/forward.ts";
import { namesOf, withPrograms } from "./lib/programs.ts";
import { seed, type Suite } from "./lib/suite.ts";
import { createNetwork } from "./peers/network.ts";
import {
  onnxruntimeNode,
  onnxruntimeWeb,
  pembroke,
  pembrokeInt8,
  tfjsWasm,
} from "./peers/programs.ts";

/** The networks that run without `--networks`, from small to large. */
export const defaultNetworks: readonly NetworkName[] = [
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
const programs = [pembroke, pembrokeInt8, onnxruntimeWeb, tfjsWasm, onnxruntimeNode];

/** Why a program does not take part. */
const whyNoJaxJs =
  "its convolutions reach 0.3 to 0.6 GFLOP/s, so a network takes seconds; see conv";

export const networks: Suite = {
  programs: namesOf(programs),
  async *run(context) {
    const { options, machine, skipped } = context;
    if (!options.only) skipped.add("jax-js on networks", whyNoJaxJs);
    for (const name of options.networks ?? defaultNetworks) {
      const network = await createNetwork(name, seed);
      yield await withPrograms(
        programs,
        network,
        context,
        (peers) =>
          measureForward(network, peers, context, {
            batches: [1, 8],
            taskOf: (batch) => ({
              section: `Networks, batch ${batch}`,
              name,
              network: { name, pass: "forward", batch },
            }),
            gauges: machine.gauges("arithmetic"),
          }),
      );
    }
  },
};
