/**
 * ResNet (He et al., "Deep Residual Learning for Image Recognition", 2015), ResNeXt (Xie et al.,
 * 2017) and Wide ResNet (Zagoruyko & Komodakis, 2016).
 *
 * @module
 */

import { AdaptiveAvgPool2d, Add, Flatten, MaxPool2d, ReLU } from "../layers/mod.ts";
import { type InitialValues, kaimingNormal } from "./initial_values.ts";
import { defineNetworks, type NetworkDefinition } from "./network.ts";
import type { NetworkBuilder } from "./network_builder.ts";

/** What distinguishes the networks. */
interface ResNetRow {
  /** The blocks of each of the four layers. */
  readonly blocks: readonly [number, number, number, number];
  /** Two 3×3 convolutions, or a 3×3 one between 1×1 ones. */
  readonly block: "basic" | "bottleneck";
  /** The groups of the 3×3 convolutions. Default: 1. */
  readonly groups?: number;
  /** The channels of each group in the first layer. Default: 64. */
  readonly widthPerGroup?: number;
}

const rows = {
  resnet18: { block: "basic", blocks: [2, 2, 2, 2] },
  resnet34: { block: "basic", blocks: [3, 4, 6, 3] },
  resnet50: { block: "bottleneck", blocks: [3, 4, 6, 3] },
  resnet101: { block: "bottleneck", blocks: [3, 4, 23, 3] },
  resnet152: { block: "bottleneck", blocks: [3, 8, 36, 3] },
  resnext50_32x4d: { block: "bottleneck", blocks: [3, 4, 6, 3], groups: 32, widthPerGroup: 4 },
  wide_resnet50_2: { block: "bottleneck", blocks: [3, 4, 6, 3], widthPerGroup: 128 },
} satisfies Record<string, ResNetRow>;

const initialValues: InitialValues = { conv: (shape) => kaimingNormal(shape) };

/** The channels of a block. */
interface Block {
  readonly input: number;
  /** Channels of the 3×3 convolutions. */
  readonly inner: number;
  readonly output: number;
  readonly stride: number;
  readonly groups?: number;
}

/** Defines a ResNet. */
export function resnet(
  { block, blocks, groups, widthPerGroup = 64 }: ResNetRow,
): NetworkDefinition {
  const isBasic = block === "basic";
  const build = (b: NetworkBuilder) => {
    b.conv("conv1", [3, 64], 7, { stride: 2 });
    b.norm("bn1", 64);
    b.add("relu", new ReLU());
    b.add("maxpool", new MaxPool2d(3, { stride: 2, padding: 1 }));
    let input = 64;
    for (const [layer, count] of blocks.entries()) {
      const planes = 64 << layer, output = isBasic ? planes : 4 * planes;
      const inner = planes * widthPerGroup / 64 * (groups ?? 1);
      for (let i = 0; i < count; i++) {
        const stride = layer > 0 && i === 0 ? 2 : 1;
        const add = isBasic ? basicBlock : bottleneck;
        add(b, `layer${layer + 1}.${i}`, { input, inner, output, stride, groups });
        input = output;
      }
    }
    b.add("avgpool", new AdaptiveAvgPool2d(1));
    b.add("flatten", new Flatten());
    b.classes("fc", input);
  };
  return { build, initialValues };
}

function basicBlock(b: NetworkBuilder, name: string, block: Block): void {
  const x = b.last, { input, output, stride } = block;
  b.conv(`${name}.conv1`, [input, output], 3, { stride });
  b.norm(`${name}.bn1`, output);
  b.add(`${name}.relu`, new ReLU());
  b.conv(`${name}.conv2`, [output, output], 3);
  addShortcut(b, name, block, { x, y: b.norm(`${name}.bn2`, output) });
}

function bottleneck(b: NetworkBuilder, name: string, block: Block): void {
  const x = b.last, { input, inner, output, stride, groups } = block;
  b.conv(`${name}.conv1`, [input, inner], 1);
  b.norm(`${name}.bn1`, inner);
  b.add(`${name}.relu`, new ReLU());
  b.conv(`${name}.conv2`, [inner, inner], 3, { stride, groups });
  b.norm(`${name}.bn2`, inner);
  b.add(`${name}.relu_1`, new ReLU());
  b.conv(`${name}.conv3`, [inner, output], 1);
  addShortcut(b, name, block, { x, y: b.norm(`${name}.bn3`, output) });
}

/** Adds the input of a block to its output y: directly, or through a 1×1 convolution. */
function addShortcut(
  b: NetworkBuilder,
  name: string,
  { input, output, stride }: Block,
  { x, y }: { readonly x: string; readonly y: string },
): void {
  let shortcut = x;
  if (stride > 1 || input !== output) {
    b.conv(`${name}.downsample.0`, [input, output], 1, { stride }, x);
    shortcut = b.norm(`${name}.downsample.1`, output);
  }
  b.add(`${name}.add`, new Add(), y, shortcut);
  b.add(`${name}.relu_2`, new ReLU());
}

/** ResNet and its relatives by name. */
export const resnets = /* @__PURE__ */ defineNetworks(rows, resnet);
