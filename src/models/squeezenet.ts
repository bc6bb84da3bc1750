/**
 * SqueezeNet (Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016).
 *
 * @module
 */

import { AdaptiveAvgPool2d, Concat, Flatten, MaxPool2d, ReLU } from "../layers/mod.ts";
import { type InitialValues, kaimingUniform, normal } from "./initial_values.ts";
import { defineNetworks, type NetworkDefinition } from "./network.ts";
import type { Channels, NetworkBuilder } from "./network_builder.ts";

/** The channels of a fire module: squeezed, and of each of its two expansions. Or a max pooling. */
type Stage = Channels | "pool";

/** What distinguishes the versions. */
interface SqueezeNetRow {
  /** Channels and kernel size of the first convolution. */
  readonly stem: readonly [channels: number, kernelSize: number];
  readonly stages: readonly Stage[];
}

const rows = {
  squeezenet1_0: {
    stem: [96, 7],
    stages: [
      ...["pool", [16, 64], [16, 64], [32, 128]] as const,
      ...["pool", [32, 128], [48, 192], [48, 192], [64, 256]] as const,
      ...["pool", [64, 256]] as const,
    ],
  },
  squeezenet1_1: {
    stem: [64, 3],
    stages: [
      ...["pool", [16, 64], [16, 64]] as const,
      ...["pool", [32, 128], [32, 128]] as const,
      ...["pool", [48, 192], [48, 192], [64, 256], [64, 256]] as const,
    ],
  },
} satisfies Record<string, SqueezeNetRow>;

const initialValues: InitialValues = {
  conv: (shape, name) => name.startsWith("classifier.") ? normal(0.01) : kaimingUniform(shape),
  zeroBias: true,
};

/** Defines a SqueezeNet. Its last layer with weights is a convolution. */
export function squeezenet({ stem: [stem, kernelSize], stages }: SqueezeNetRow): NetworkDefinition {
  const build = (b: NetworkBuilder) => {
    b.conv("features.0", [3, stem], kernelSize, { stride: 2, padding: 0, bias: true });
    b.add("features.1", new ReLU());
    let channels = stem;
    for (const [i, stage] of stages.entries()) {
      const name = `features.${i + 2}`;
      if (stage === "pool") {
        b.add(name, new MaxPool2d(3, { stride: 2, ceilMode: true }));
      } else {
        fire(b, name, channels, stage);
        channels = 2 * stage[1];
      }
    }
    b.dropout("classifier.0");
    b.classesConv("classifier.1", channels);
    b.add("classifier.2", new ReLU());
    b.add("classifier.3", new AdaptiveAvgPool2d(1));
    b.add("flatten", new Flatten());
  };
  return { build, dropout: 0.5, initialValues };
}

/** A 1×1 convolution to few channels, then a 1×1 and a 3×3 one to many, side by side. */
function fire(b: NetworkBuilder, name: string, input: number, [squeezed, expanded]: Channels) {
  const bias = true;
  b.conv(`${name}.squeeze`, [input, squeezed], 1, { bias });
  const x = b.add(`${name}.squeeze_activation`, new ReLU());
  const outputs = ([["expand1x1", 1], ["expand3x3", 3]] as const).map(([branch, size]) => {
    b.conv(`${name}.${branch}`, [squeezed, expanded], size, { bias }, x);
    return b.add(`${name}.${branch}_activation`, new ReLU());
  });
  b.add(`${name}.cat`, new Concat(1), ...outputs);
}

/** SqueezeNet by name. */
export const squeezenets = /* @__PURE__ */ defineNetworks(rows, squeezenet);
