/**
 * MobileNetV2 (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018).
 *
 * @module
 */

import { AdaptiveAvgPool2d, Add, Flatten, ReLU6 } from "../layers/mod.ts";
import { type InitialValues, kaimingNormal, normal } from "./initial_values.ts";
import { defineNetworks, type NetworkDefinition } from "./network.ts";
import type { NetworkBuilder } from "./network_builder.ts";

/** Blocks: how many times the channels grow inside, the channels, the blocks, the first stride. */
type Stage = readonly [expansion: number, channels: number, blocks: number, stride: number];

const rows = {
  mobilenet_v2: [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ],
} satisfies Record<string, readonly Stage[]>;

const initialValues: InitialValues = {
  conv: (shape) => kaimingNormal(shape),
  linear: () => normal(0.01),
  zeroBias: true,
};

const activation = () => new ReLU6();

/** Defines a MobileNetV2. */
export function mobilenetV2(stages: readonly Stage[]): NetworkDefinition {
  const build = (b: NetworkBuilder) => {
    b.convNormActivation("features.0", [3, 32], 3, { stride: 2, activation });
    let input = 32, next = 1;
    for (const [expansion, channels, blocks, stride] of stages) {
      for (let i = 0; i < blocks; i++) {
        const name = `features.${next++}`;
        invertedResidual(b, name, [input, expansion * input, channels], i === 0 ? stride : 1);
        input = channels;
      }
    }
    b.convNormActivation(`features.${next}`, [input, 1280], 1, { activation });
    b.add("avgpool", new AdaptiveAvgPool2d(1));
    b.add("flatten", new Flatten());
    b.dropout("classifier.0");
    b.classes("classifier.1", 1280);
  };
  return { build, dropout: 0.2, initialValues };
}

/** A depthwise convolution between 1×1 ones. The first is missing if the channels stay. */
function invertedResidual(
  b: NetworkBuilder,
  name: string,
  [input, inner, output]: readonly [input: number, inner: number, output: number],
  stride: number,
): void {
  const x = b.last;
  let next = 0;
  const child = () => `${name}.conv.${next++}`;
  if (inner !== input) b.convNormActivation(child(), [input, inner], 1, { activation });
  b.convNormActivation(child(), [inner, inner], 3, { stride, groups: inner, activation });
  b.conv(child(), [inner, output], 1);
  const y = b.norm(child(), output);
  if (stride === 1 && input === output) b.add(`${name}.add`, new Add(), x, y);
}

/** MobileNetV2 by name. */
export const mobilenetsV2 = /* @__PURE__ */ defineNetworks(rows, mobilenetV2);
