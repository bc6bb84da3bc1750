/**
 * EfficientNet (Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
 * Networks", 2019).
 *
 * @module
 */

import { imagenetPreprocessing } from "../image/preprocess.ts";
import { AdaptiveAvgPool2d, Add, Flatten, Sigmoid, SiLU, StochasticDepth } from "../layers/mod.ts";
import { type InitialValues, kaimingNormal, uniform } from "./initial_values.ts";
import { defineNetworks, type NetworkDefinition } from "./network.ts";
import { makeDivisible, type NetworkBuilder } from "./network_builder.ts";
import { squeezeExcitation } from "./squeeze_excitation.ts";

/** What distinguishes the networks. */
interface EfficientNetRow {
  /** Factors of the channels, and of the blocks of each stage. */
  readonly scale: readonly [width: number, depth: number];
  readonly dropout: number;
  /** Preprocessing. */
  readonly resize: number;
  readonly crop: number;
}

const rows = {
  efficientnet_b0: { scale: [1, 1], dropout: 0.2, resize: 256, crop: 224 },
  efficientnet_b1: { scale: [1, 1.1], dropout: 0.2, resize: 256, crop: 240 },
  efficientnet_b2: { scale: [1.1, 1.2], dropout: 0.3, resize: 288, crop: 288 },
  efficientnet_b3: { scale: [1.2, 1.4], dropout: 0.3, resize: 320, crop: 300 },
} satisfies Record<string, EfficientNetRow>;

/** Blocks: growth of the channels inside, kernel size, first stride, channels, and blocks. */
type Stage = readonly [
  expansion: number,
  kernelSize: number,
  stride: number,
  channels: number,
  blocks: number,
];

/** The stages of B0. */
const stages: readonly Stage[] = [
  [1, 3, 1, 16, 1],
  [6, 3, 2, 24, 2],
  [6, 5, 2, 40, 2],
  [6, 3, 2, 80, 3],
  [6, 5, 1, 112, 3],
  [6, 5, 2, 192, 4],
  [6, 3, 1, 320, 1],
];

const initialValues: InitialValues = {
  conv: (shape) => kaimingNormal(shape),
  linear: ([outFeatures]) => uniform(1 / Math.sqrt(outFeatures)),
  zeroBias: true,
};

const activation = () => new SiLU();

/** Defines an EfficientNet. */
export function efficientnet({ scale, dropout, resize, crop }: EfficientNetRow): NetworkDefinition {
  const [width, depth] = scale;
  const scaled = stages.map(([expansion, kernelSize, stride, channels, blocks]): Stage => [
    ...[expansion, kernelSize, stride] as const,
    ...[makeDivisible(channels * width), Math.ceil(blocks * depth)] as const,
  ]);
  const total = scaled.reduce((sum, [, , , , blocks]) => sum + blocks, 0);
  const build = (b: NetworkBuilder) => {
    const { stochasticDepth = 0.2 } = b.options;
    let input = makeDivisible(32 * width), done = 0;
    b.convNormActivation("features.0", [3, input], 3, { stride: 2, activation });
    for (const [i, [expansion, kernelSize, stride, output, blocks]] of scaled.entries()) {
      for (let j = 0; j < blocks; j++) {
        mbConv(b, `features.${i + 1}.${j}`, {
          ...{ input, inner: makeDivisible(input * expansion), output, kernelSize },
          stride: j === 0 ? stride : 1,
          dropRate: stochasticDepth * done++ / total,
        });
        input = output;
      }
    }
    b.convNormActivation("features.8", [input, 4 * input], 1, { activation });
    b.add("avgpool", new AdaptiveAvgPool2d(1));
    b.add("flatten", new Flatten());
    b.dropout("classifier.0");
    b.classes("classifier.1", 4 * input);
  };
  const preprocessing = {
    ...imagenetPreprocessing,
    resize,
    crop,
    interpolation: "bicubic",
  } as const;
  return { build, dropout, preprocessing, initialValues };
}

/** A block: a depthwise convolution between 1×1 ones, with squeeze and excitation. */
interface Block {
  readonly input: number;
  readonly inner: number;
  readonly output: number;
  readonly kernelSize: number;
  readonly stride: number;
  /** The probability of leaving it out in training. */
  readonly dropRate: number;
}

function mbConv(b: NetworkBuilder, name: string, block: Block): void {
  const x = b.last, { input, inner, output, kernelSize, stride } = block;
  let next = 0;
  const child = () => `${name}.block.${next++}`;
  if (inner !== input) b.convNormActivation(child(), [input, inner], 1, { activation });
  b.convNormActivation(child(), [inner, inner], kernelSize, { stride, groups: inner, activation });
  const squeezed = Math.max(1, Math.floor(input / 4));
  squeezeExcitation(b, child(), [inner, squeezed], activation, () => new Sigmoid());
  b.convNormActivation(child(), [inner, output], 1, {});
  if (stride > 1 || input !== output) return;
  const y = b.add(`${name}.stochastic_depth`, new StochasticDepth(block.dropRate));
  b.add(`${name}.add`, new Add(), y, x);
}

/** EfficientNet by name. */
export const efficientnets = /* @__PURE__ */ defineNetworks(rows, efficientnet);
