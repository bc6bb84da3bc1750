/**
 * GoogLeNet (Szegedy et al., "Going Deeper with Convolutions", 2015), with batch normalisation and
 * without the classifiers that help its training.
 *
 * @module
 */

import { imagenetPreprocessing, type Preprocessing } from "../image/preprocess.ts";
import { AdaptiveAvgPool2d, Concat, Flatten, MaxPool2d, ReLU } from "../layers/mod.ts";
import { type InitialValues, truncatedNormal } from "./initial_values.ts";
import { defineNetworks, type NetworkDefinition } from "./network.ts";
import type { Channels, ConvOptions, NetworkBuilder } from "./network_builder.ts";

/** The channels of an inception module, in the order of torchvision's arguments. */
type Inception = readonly [
  ones: number,
  threesInner: number,
  threes: number,
  fivesInner: number,
  fives: number,
  pooled: number,
];

/** The kernel size of a max pooling that halves height and width, or an inception module. */
type Stage = number | Inception;

const rows = {
  googlenet: {
    inception3a: [64, 96, 128, 16, 32, 32],
    inception3b: [128, 128, 192, 32, 96, 64],
    maxpool3: 3,
    inception4a: [192, 96, 208, 16, 48, 64],
    inception4b: [160, 112, 224, 24, 64, 64],
    inception4c: [128, 128, 256, 24, 64, 64],
    inception4d: [112, 144, 288, 32, 64, 64],
    inception4e: [256, 160, 320, 32, 128, 128],
    maxpool4: 2,
    inception5a: [256, 160, 320, 32, 128, 128],
    inception5b: [384, 192, 384, 48, 128, 128],
  },
} satisfies Record<string, Readonly<Record<string, Stage>>>;

const initialValues: InitialValues = {
  conv: () => truncatedNormal(0.01),
  linear: () => truncatedNormal(0.01),
};

/**
 * torchvision's pretrained network maps images from ImageNet's mean and deviation to 0.5 and 0.5.
 * Here, the preprocessing does.
 */
const preprocessing: Preprocessing = {
  ...imagenetPreprocessing,
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
};

/** Defines a GoogLeNet. */
export function googlenet(stages: Readonly<Record<string, Stage>>): NetworkDefinition {
  const build = (b: NetworkBuilder) => {
    basicConv(b, "conv1", [3, 64], 7, { stride: 2 });
    b.add("maxpool1", halve(3));
    basicConv(b, "conv2", [64, 64], 1);
    basicConv(b, "conv3", [64, 192], 3);
    b.add("maxpool2", halve(3));
    let channels = 192;
    for (const [name, stage] of Object.entries(stages)) {
      if (typeof stage === "number") b.add(name, halve(stage));
      else channels = inception(b, name, channels, stage);
    }
    b.add("avgpool", new AdaptiveAvgPool2d(1));
    b.add("flatten", new Flatten());
    b.dropout("dropout");
    b.classes("fc", channels);
  };
  const norm = { eps: 0.001 };
  return { build, dropout: 0.2, norm, preprocessing, initialValues, parameterName };
}

function halve(kernelSize: number): MaxPool2d {
  return new MaxPool2d(kernelSize, { stride: 2, ceilMode: true });
}

/** torchvision's `BasicConv2d`. */
function basicConv(
  b: NetworkBuilder,
  name: string,
  channels: Channels,
  kernelSize: number,
  options: ConvOptions = {},
  ...inputs: string[]
): string {
  b.conv(`${name}.conv`, channels, kernelSize, options, ...inputs);
  b.norm(`${name}.bn`, channels[1]);
  return b.add(`${name}.relu`, new ReLU());
}

/** Four branches side by side. Returns the number of channels. */
function inception(b: NetworkBuilder, name: string, input: number, channels: Inception): number {
  const [ones, threesInner, threes, fivesInner, fives, pooled] = channels, x = b.last;
  const branch1 = basicConv(b, `${name}.branch1`, [input, ones], 1, {}, x);
  basicConv(b, `${name}.branch2.0`, [input, threesInner], 1, {}, x);
  const branch2 = basicConv(b, `${name}.branch2.1`, [threesInner, threes], 3);
  basicConv(b, `${name}.branch3.0`, [input, fivesInner], 1, {}, x);
  // 5×5 in the paper
  const branch3 = basicConv(b, `${name}.branch3.1`, [fivesInner, fives], 3);
  b.add(`${name}.branch4.0`, new MaxPool2d(3, { stride: 1, padding: 1, ceilMode: true }), x);
  const branch4 = basicConv(b, `${name}.branch4.1`, [input, pooled], 1);
  b.add(`${name}.cat`, new Concat(1), branch1, branch2, branch3, branch4);
  return ones + threes + fives + pooled;
}

/** Leaves out the classifiers of the training, which published files have. */
function parameterName(name: string): string | undefined {
  return /^aux[12]\./.test(name) ? undefined : name;
}

/** GoogLeNet by name. */
export const googlenets = /* @__PURE__ */ defineNetworks(rows, googlenet);
