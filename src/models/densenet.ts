/**
 * DenseNet (Huang et al., "Densely Connected Convolutional Networks", 2017).
 *
 * @module
 */

import { AdaptiveAvgPool2d, AvgPool2d, Concat, Flatten, MaxPool2d, ReLU } from "../layers/mod.ts";
import { type InitialValues, kaimingNormal } from "./initial_values.ts";
import { defineNetworks, type NetworkDefinition } from "./network.ts";
import type { NetworkBuilder } from "./network_builder.ts";

/** What distinguishes the networks. */
interface DenseNetRow {
  /** The channels that each layer adds. */
  readonly growthRate: number;
  /** The layers of each block. */
  readonly layers: readonly [number, number, number, number];
  /** Channels before the first block. */
  readonly initial: number;
}

const rows = {
  densenet121: { growthRate: 32, layers: [6, 12, 24, 16], initial: 64 },
  densenet161: { growthRate: 48, layers: [6, 12, 36, 24], initial: 96 },
  densenet169: { growthRate: 32, layers: [6, 12, 32, 32], initial: 64 },
  densenet201: { growthRate: 32, layers: [6, 12, 48, 32], initial: 64 },
} satisfies Record<string, DenseNetRow>;

const initialValues: InitialValues = {
  conv: (shape) => kaimingNormal(shape, "fan_in"),
  zeroBias: true, // of the fully connected layer: the convolutions have none
};

/** Defines a DenseNet. */
export function densenet({ growthRate, layers, initial }: DenseNetRow): NetworkDefinition {
  const build = (b: NetworkBuilder) => {
    b.conv("features.conv0", [3, initial], 7, { stride: 2 });
    b.norm("features.norm0", initial);
    b.add("features.relu0", new ReLU());
    b.add("features.pool0", new MaxPool2d(3, { stride: 2, padding: 1 }));
    let channels = initial;
    for (const [i, count] of layers.entries()) {
      channels = denseBlock(b, `features.denseblock${i + 1}`, { channels, growthRate, count });
      if (i < layers.length - 1) {
        transition(b, `features.transition${i + 1}`, channels);
        channels /= 2;
      }
    }
    b.norm("features.norm5", channels);
    b.add("relu", new ReLU());
    b.add("avgpool", new AdaptiveAvgPool2d(1));
    b.add("flatten", new Flatten());
    b.classes("classifier", channels);
  };
  return { build, initialValues, parameterName };
}

/** Layers that each take the outputs of all layers before. Returns the number of channels. */
function denseBlock(
  b: NetworkBuilder,
  name: string,
  { channels, growthRate, count }: { channels: number; growthRate: number; count: number },
): number {
  let input = channels, x = b.last;
  const inner = 4 * growthRate;
  for (let i = 1; i <= count; i++) {
    const layer = `${name}.denselayer${i}`;
    b.norm(`${layer}.norm1`, input, x);
    b.add(`${layer}.relu1`, new ReLU());
    b.conv(`${layer}.conv1`, [input, inner], 1);
    b.norm(`${layer}.norm2`, inner);
    b.add(`${layer}.relu2`, new ReLU());
    const y = b.conv(`${layer}.conv2`, [inner, growthRate], 3);
    // x is the outputs of all layers before: joining it with one more is the same as joining all.
    x = b.add(`${layer}.cat`, new Concat(1), x, y);
    input += growthRate;
  }
  return input;
}

/** Halves the channels, height and width. */
function transition(b: NetworkBuilder, name: string, channels: number): void {
  b.norm(`${name}.norm`, channels);
  b.add(`${name}.relu`, new ReLU());
  b.conv(`${name}.conv`, [channels, channels / 2], 1);
  b.add(`${name}.pool`, new AvgPool2d(2));
}

/** Published files have older names, such as "denselayer1.norm.1.weight". */
function parameterName(name: string): string {
  return name.replace(/(\.denselayer\d+\.(?:norm|relu|conv))\.([12]\.)/, "$1$2");
}

/** DenseNet by name. */
export const densenets = /* @__PURE__ */ defineNetworks(rows, densenet);
