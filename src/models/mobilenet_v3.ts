/**
 * MobileNetV3 (Howard et al., "Searching for MobileNetV3", 2019).
 *
 * @module
 */

import { AdaptiveAvgPool2d, Add, Flatten, Hardsigmoid, Hardswish, ReLU } from "../layers/mod.ts";
import { type InitialValues, kaimingNormal, normal } from "./initial_values.ts";
import { defineNetworks, type NetworkDefinition } from "./network.ts";
import { makeDivisible, type NetworkBuilder } from "./network_builder.ts";
import { squeezeExcitation } from "./squeeze_excitation.ts";

/** A block, in the order of the paper's tables. The input channels are those of the block before. */
type Block = readonly [
  kernelSize: number,
  inner: number,
  output: number,
  squeezes: boolean,
  activation: "RE" | "HS",
  stride: number,
];

/** What distinguishes the networks. */
interface MobileNetV3Row {
  readonly blocks: readonly Block[];
  /** Features of the hidden fully connected layer. */
  readonly hidden: number;
}

const rows = {
  mobilenet_v3_large: {
    blocks: [
      [3, 16, 16, false, "RE", 1],
      [3, 64, 24, false, "RE", 2],
      [3, 72, 24, false, "RE", 1],
      [5, 72, 40, true, "RE", 2],
      [5, 120, 40, true, "RE", 1],
      [5, 120, 40, true, "RE", 1],
      [3, 240, 80, false, "HS", 2],
      [3, 200, 80, false, "HS", 1],
      [3, 184, 80, false, "HS", 1],
      [3, 184, 80, false, "HS", 1],
      [3, 480, 112, true, "HS", 1],
      [3, 672, 112, true, "HS", 1],
      [5, 672, 160, true, "HS", 2],
      [5, 960, 160, true, "HS", 1],
      [5, 960, 160, true, "HS", 1],
    ],
    hidden: 1280,
  },
  mobilenet_v3_small: {
    blocks: [
      [3, 16, 16, true, "RE", 2],
      [3, 72, 24, false, "RE", 2],
      [3, 88, 24, false, "RE", 1],
      [5, 96, 40, true, "HS", 2],
      [5, 240, 40, true, "HS", 1],
      [5, 240, 40, true, "HS", 1],
      [5, 120, 48, true, "HS", 1],
      [5, 144, 48, true, "HS", 1],
      [5, 288, 96, true, "HS", 2],
      [5, 576, 96, true, "HS", 1],
      [5, 576, 96, true, "HS", 1],
    ],
    hidden: 1024,
  },
} satisfies Record<string, MobileNetV3Row>;

const initialValues: InitialValues = {
  conv: (shape) => kaimingNormal(shape),
  linear: () => normal(0.01),
  zeroBias: true,
};

const hardswish = () => new Hardswish(), relu = () => new ReLU();

/** Defines a MobileNetV3. */
export function mobilenetV3({ blocks, hidden }: MobileNetV3Row): NetworkDefinition {
  const build = (b: NetworkBuilder) => {
    let input = 16;
    b.convNormActivation("features.0", [3, input], 3, { stride: 2, activation: hardswish });
    for (const [i, block] of blocks.entries()) {
      invertedResidual(b, `features.${i + 1}`, input, block);
      input = block[2];
    }
    const last = `features.${blocks.length + 1}`, activation = hardswish;
    b.convNormActivation(last, [input, 6 * input], 1, { activation });
    b.add("avgpool", new AdaptiveAvgPool2d(1));
    b.add("flatten", new Flatten());
    b.linear("classifier.0", b.channels(6 * input), b.channels(hidden));
    b.add("classifier.1", hardswish());
    b.dropout("classifier.2");
    b.classes("classifier.3", hidden);
  };
  return { build, dropout: 0.2, norm: { eps: 0.001, momentum: 0.01 }, initialValues };
}

/** A depthwise convolution between 1×1 ones. The first is missing if the channels stay. */
function invertedResidual(
  b: NetworkBuilder,
  name: string,
  input: number,
  [kernelSize, inner, output, squeezes, activationName, stride]: Block,
): void {
  const x = b.last, activation = activationName === "HS" ? hardswish : relu;
  let next = 0;
  const child = () => `${name}.block.${next++}`;
  if (inner !== input) b.convNormActivation(child(), [input, inner], 1, { activation });
  const depthwise = { stride, groups: inner, activation };
  b.convNormActivation(child(), [inner, inner], kernelSize, depthwise);
  if (squeezes) {
    const squeezed = makeDivisible(Math.floor(inner / 4));
    squeezeExcitation(b, child(), [inner, squeezed], relu, () => new Hardsigmoid());
  }
  const y = b.convNormActivation(child(), [inner, output], 1, {});
  if (stride === 1 && input === output) b.add(`${name}.add`, new Add(), y, x);
}

/** MobileNetV3 by name. */
export const mobilenetsV3 = /* @__PURE__ */ defineNetworks(rows, mobilenetV3);
