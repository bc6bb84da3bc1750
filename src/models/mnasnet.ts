/**
 * MNASNet (Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", 2019), B1.
 *
 * @module
 */

import { AdaptiveAvgPool2d, Add, Flatten, ReLU } from "../layers/mod.ts";
import { type InitialValues, kaimingNormal, kaimingUniformSigmoid } from "./initial_values.ts";
import { defineNetworks, type NetworkDefinition } from "./network.ts";
import { type Channels, makeDivisible, type NetworkBuilder } from "./network_builder.ts";

/** Blocks: the channels, kernel size, first stride, growth of the channels inside, and blocks. */
type Stage = readonly [
  channels: number,
  kernelSize: number,
  stride: number,
  expansion: number,
  blocks: number,
];

const stages: readonly Stage[] = [
  [24, 3, 2, 3, 3],
  [40, 5, 2, 3, 3],
  [80, 5, 2, 6, 3],
  [96, 3, 1, 6, 2],
  [192, 5, 2, 6, 4],
  [320, 3, 1, 6, 1],
];

/** The factors of the channels. */
const rows = { mnasnet0_5: 0.5, mnasnet1_0: 1 };

const initialValues: InitialValues = {
  conv: (shape) => kaimingNormal(shape),
  linear: (shape) => kaimingUniformSigmoid(shape),
  zeroBias: true,
};

/** Defines an MNASNet. */
export function mnasnet(factor: number): NetworkDefinition {
  const scale = (channels: number) => makeDivisible(channels * factor);
  const build = (b: NetworkBuilder) => {
    const first = scale(32), second = scale(16);
    b.conv("layers.0", [3, first], 3, { stride: 2 });
    b.norm("layers.1", first);
    b.add("layers.2", new ReLU());
    b.conv("layers.3", [first, first], 3, { groups: first });
    b.norm("layers.4", first);
    b.add("layers.5", new ReLU());
    b.conv("layers.6", [first, second], 1);
    b.norm("layers.7", second);
    let input = second;
    for (const [i, [channels, ...shape]] of stages.entries()) {
      input = stack(b, `layers.${i + 8}`, [input, scale(channels)], shape);
    }
    b.conv("layers.14", [input, 1280], 1);
    b.norm("layers.15", 1280);
    b.add("layers.16", new ReLU());
    b.add("mean", new AdaptiveAvgPool2d(1));
    b.add("flatten", new Flatten());
    b.dropout("classifier.0");
    b.classes("classifier.1", 1280);
  };
  return { build, dropout: 0.2, norm: { momentum: 1 - 0.9997 }, initialValues };
}

/** Inverted residuals. The first one changes the channels and the size. Returns the channels. */
function stack(
  b: NetworkBuilder,
  name: string,
  [input, output]: Channels,
  [kernelSize, stride, expansion, blocks]: readonly [number, number, number, number],
): number {
  for (let i = 0; i < blocks; i++) {
    const x = b.last, block = `${name}.${i}`, from = i === 0 ? input : output;
    const inner = from * expansion;
    b.conv(`${block}.layers.0`, [from, inner], 1);
    b.norm(`${block}.layers.1`, inner);
    b.add(`${block}.layers.2`, new ReLU());
    const depthwise = { stride: i === 0 ? stride : 1, groups: inner };
    b.conv(`${block}.layers.3`, [inner, inner], kernelSize, depthwise);
    b.norm(`${block}.layers.4`, inner);
    b.add(`${block}.layers.5`, new ReLU());
    b.conv(`${block}.layers.6`, [inner, output], 1);
    const y = b.norm(`${block}.layers.7`, output);
    if (i > 0 || (stride === 1 && input === output)) b.add(`${block}.add`, new Add(), y, x);
  }
  return output;
}

/** MNASNet by name. */
export const mnasnets = /* @__PURE__ */ defineNetworks(rows, mnasnet);
