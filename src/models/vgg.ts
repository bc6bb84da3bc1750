/**
 * VGG (Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
 * 2015).
 *
 * @module
 */

import { AdaptiveAvgPool2d, Flatten, MaxPool2d, ReLU } from "../layers/mod.ts";
import { type InitialValues, kaimingNormal, normal } from "./initial_values.ts";
import { defineNetworks, type NetworkDefinition } from "./network.ts";
import type { NetworkBuilder } from "./network_builder.ts";

/** The numbers of 3×3 convolutions before each max pooling, and whether they are normalised. */
interface VggRow {
  readonly convolutions: readonly [number, number, number, number, number];
  readonly batchNorm?: boolean;
}

const rows = {
  vgg11: { convolutions: [1, 1, 2, 2, 2] },
  vgg11_bn: { convolutions: [1, 1, 2, 2, 2], batchNorm: true },
  vgg13: { convolutions: [2, 2, 2, 2, 2] },
  vgg13_bn: { convolutions: [2, 2, 2, 2, 2], batchNorm: true },
  vgg16: { convolutions: [2, 2, 3, 3, 3] },
  vgg16_bn: { convolutions: [2, 2, 3, 3, 3], batchNorm: true },
  vgg19: { convolutions: [2, 2, 4, 4, 4] },
  vgg19_bn: { convolutions: [2, 2, 4, 4, 4], batchNorm: true },
} satisfies Record<string, VggRow>;

/** The channels of the convolutions before each max pooling. */
const channels = [64, 128, 256, 512, 512];

/** Height and width before the fully connected layers, and the features of those. */
const pooledSide = 7, hiddenFeatures = 4096;

const initialValues: InitialValues = {
  conv: (shape) => kaimingNormal(shape),
  linear: () => normal(0.01),
  zeroBias: true,
};

/** Defines a VGG. */
export function vgg({ convolutions, batchNorm = false }: VggRow): NetworkDefinition {
  const build = (b: NetworkBuilder) => {
    let input = 3, next = 0;
    const name = () => `features.${next++}`;
    for (const [stage, count] of convolutions.entries()) {
      for (let i = 0; i < count; i++) {
        b.conv(name(), [input, channels[stage]], 3, { bias: true });
        input = channels[stage];
        if (batchNorm) b.norm(name(), input);
        b.add(name(), new ReLU());
      }
      b.add(name(), new MaxPool2d(2));
    }
    b.add("avgpool", new AdaptiveAvgPool2d(pooledSide));
    b.add("flatten", new Flatten());
    const hidden = b.channels(hiddenFeatures);
    b.linear("classifier.0", b.channels(input) * pooledSide ** 2, hidden);
    b.add("classifier.1", new ReLU());
    b.dropout("classifier.2");
    b.linear("classifier.3", hidden, hidden);
    b.add("classifier.4", new ReLU());
    b.dropout("classifier.5");
    b.classes("classifier.6", hiddenFeatures);
  };
  return { build, dropout: 0.5, initialValues };
}

/** VGG by name. */
export const vggs = /* @__PURE__ */ defineNetworks(rows, vgg);
