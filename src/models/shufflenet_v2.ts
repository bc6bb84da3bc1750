/**
 * ShuffleNetV2 (Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
 * Design", 2018).
 *
 * @module
 */

import {
  AdaptiveAvgPool2d,
  ChannelShuffle,
  Concat,
  Flatten,
  MaxPool2d,
  ReLU,
  Slice,
} from "../layers/mod.ts";
import { defineNetworks, type NetworkDefinition } from "./network.ts";
import type { NetworkBuilder } from "./network_builder.ts";

/** What distinguishes the networks. */
interface ShuffleNetRow {
  /** The units of stages 2 to 4. Default: 4, 8, 4. */
  readonly units?: readonly [number, number, number];
  /** The output channels of conv1, of stages 2 to 4, and of conv5. */
  readonly channels: readonly [number, number, number, number, number];
}

const rows = {
  shufflenet_v2_x0_5: { channels: [24, 48, 96, 192, 1024] },
  shufflenet_v2_x1_0: { channels: [24, 116, 232, 464, 1024] },
} satisfies Record<string, ShuffleNetRow>;

/** Defines a ShuffleNetV2. */
export function shufflenetV2({ units = [4, 8, 4], channels }: ShuffleNetRow): NetworkDefinition {
  const build = (b: NetworkBuilder) => {
    const [first, ...stages] = channels, last = stages.pop()!;
    b.convNormActivation("conv1", [3, first], 3, { stride: 2, activation: () => new ReLU() });
    b.add("maxpool", new MaxPool2d(3, { stride: 2, padding: 1 }));
    let input = first;
    for (const [i, output] of stages.entries()) {
      const stage = `stage${i + 2}`;
      downsampling(b, `${stage}.0`, input, output);
      for (let unit = 1; unit < units[i]; unit++) splitting(b, `${stage}.${unit}`, output);
      input = output;
    }
    b.convNormActivation("conv5", [input, last], 1, { activation: () => new ReLU() });
    b.add("mean", new AdaptiveAvgPool2d(1));
    b.add("flatten", new Flatten());
    b.classes("fc", last);
  };
  return { build };
}

/** A unit with two branches of all channels. It halves height and width. */
function downsampling(b: NetworkBuilder, name: string, input: number, output: number): void {
  const x = b.last, half = output / 2, first = `${name}.branch1`;
  b.conv(`${first}.0`, [input, input], 3, { stride: 2, groups: input }, x);
  b.norm(`${first}.1`, input);
  b.conv(`${first}.2`, [input, half], 1);
  b.norm(`${first}.3`, half);
  const left = b.add(`${first}.4`, new ReLU());
  shuffle(b, name, left, branch2(b, name, { input, half, stride: 2 }, x));
}

/** A unit that changes one half of the channels. */
function splitting(b: NetworkBuilder, name: string, channels: number): void {
  const x = b.last, half = channels / 2, count = b.channels(half);
  const left = b.add(`${name}.left`, new Slice(1, 0, count), x);
  const right = b.add(`${name}.right`, new Slice(1, count, 2 * count), x);
  shuffle(b, name, left, branch2(b, name, { input: half, half, stride: 1 }, right));
}

/** A depthwise convolution between 1×1 ones. */
function branch2(
  b: NetworkBuilder,
  name: string,
  { input, half, stride }: { input: number; half: number; stride: number },
  x: string,
): string {
  const branch = `${name}.branch2`;
  b.conv(`${branch}.0`, [input, half], 1, {}, x);
  b.norm(`${branch}.1`, half);
  b.add(`${branch}.2`, new ReLU());
  b.conv(`${branch}.3`, [half, half], 3, { stride, groups: half });
  b.norm(`${branch}.4`, half);
  b.conv(`${branch}.5`, [half, half], 1);
  b.norm(`${branch}.6`, half);
  return b.add(`${branch}.7`, new ReLU());
}

/** Joins two halves and interleaves their channels. */
function shuffle(b: NetworkBuilder, name: string, left: string, right: string): void {
  b.add(`${name}.cat`, new Concat(1), left, right);
  b.add(`${name}.shuffle`, new ChannelShuffle(2));
}

/** ShuffleNetV2 by name. */
export const shufflenetsV2 = /* @__PURE__ */ defineNetworks(rows, shufflenetV2);
