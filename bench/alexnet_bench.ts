/**
 * AlexNet's forward pass.
 *
 * @module
 */

import { measureForward } from "./lib/forward.ts";
import { namesOf, withPrograms } from "./lib/programs.ts";
import { seed, type Suite } from "./lib/suite.ts";
import { createNetwork } from "./peers/network.ts";
import {
  onnxruntimeNode,
  onnxruntimeWeb,
  pembroke,
  pembrokeInt8,
  pytorch,
  tfjsWasm,
} from "./peers/programs.ts";

/** The first program that runs is the reference for the outputs. */
const programs = [pembroke, pembrokeInt8, onnxruntimeWeb, tfjsWasm, pytorch, onnxruntimeNode];

export const alexnet: Suite = {
  programs: namesOf(programs),
  async run(context) {
    const { machine } = context, network = await createNetwork("alexnet", seed);
    return await withPrograms(
      programs,
      network,
      context,
      (peers) =>
        measureForward(network, peers, context, {
          batches: [1, 8],
          taskOf: (batch) => ({ section: "AlexNet, forward", name: `batch ${batch}` }),
          gauges: [...machine.gauges("arithmetic"), ...machine.gauges("streaming")],
        }),
    );
  },
};
