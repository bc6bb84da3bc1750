/**
 * A small ResNet for 64×64 images.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import { tinyImagenetPreprocessing } from "../image/preprocess.ts";
// not layers/mod.ts: a network that ships with the library need not load all layers
import { ReLU } from "../layers/activation.ts";
import { Conv, Conv2d } from "../layers/conv.ts";
import { GraphBuilder } from "../layers/graph_builder.ts";
import { initNames, type InitOptions } from "../layers/layer.ts";
import { Linear } from "../layers/linear.ts";
import { Add } from "../layers/merge.ts";
import { BatchNorm2d } from "../layers/norm.ts";
import { AdaptiveAvgPool2d, MaxPool2d } from "../layers/pool.ts";
import { Dropout } from "../layers/dropout.ts";
import { Flatten } from "../layers/view.ts";
import { checkOptions } from "../ops/checks.ts";
import { RandomGenerator } from "../random.ts";
import { Classifier } from "./classifier.ts";
import { kaimingNormal } from "./initial_values.ts";
import { classesOf } from "./network_classes.ts";
import type { NetworkOptions } from "./network_options.ts";

/** Channels of the first convolution, which halves height and width. */
const stemChannels = 32;

/** The stages. A max pooling that halves height and width comes before all but the first. */
const stages = [
  { channels: 32, blocks: 1 }, // 32×32
  { channels: 96, blocks: 2 }, // 16×16
  { channels: 192, blocks: 2 }, // 8×8
  { channels: 384, blocks: 1 }, // 4×4
] as const;

/**
 * A small ResNet for 64×64 images: a 5×5 convolution, and six blocks of two 3×3 convolutions with a
 * shortcut, [N, 3, 64, 64] → [N, numClasses] logits. It also takes other sizes, at least 16×16, because
 * the last layer takes the average over the image.
 *
 * A max pooling halves the image before the blocks of a stage, where torchvision's ResNet has a stride
 * within the first of them. So Winograd computes all 3×3 convolutions, forward and backward.
 */
export class ResNetTiny extends Classifier {
  /** The name of the network. */
  override readonly type = "resnet-tiny";
  /** See {@linkcode Classifier.network}. */
  override readonly network = "resnet-tiny";

  /**
   * Creates the network without weights: call {@linkcode Layer.init} or load weights.
   *
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(options: NetworkOptions = {}) {
    const { dropout = 0, precision, preprocessing = tinyImagenetPreprocessing } = options;
    const classes = classesOf("ResNetTiny", options, 200);
    const { numClasses = classes.length } = options;
    const builder = new GraphBuilder();
    const norm = (name: string, channels: number) => builder.add(name, new BatchNorm2d(channels));
    builder.add("conv1", conv([3, stemChannels], 5, options, 2));
    norm("bn1", stemChannels);
    builder.add("relu", new ReLU());
    let input: number = stemChannels;
    for (const [stage, { channels, blocks }] of stages.entries()) {
      if (stage > 0) builder.add(`layer${stage + 1}.pool`, new MaxPool2d(2));
      for (let i = 0; i < blocks; i++) {
        addBlock(builder, `layer${stage + 1}.${i}`, [input, channels], options);
        input = channels;
      }
    }
    builder.add("avgpool", new AdaptiveAvgPool2d(1));
    builder.add("flatten", new Flatten());
    builder.add("dropout", new Dropout(dropout));
    builder.add("fc", new Linear(input, numClasses, { precision }));
    super(builder.nodes, { preprocessing, classes });
  }

  /**
   * See {@linkcode Layer.init}. As in torchvision's ResNet with `zero_init_residual`, the weights of
   * convolutions are normally distributed, and each block begins as its shortcut.
   */
  override init(backend: Backend, options: InitOptions = {}): this {
    checkOptions(this.type, options, initNames);
    const { generator = new RandomGenerator(options.seed ?? 0) } = options;
    super.init(backend, { ...options, generator });
    for (const [name, layer] of this.leaves()) {
      const { weight } = layer.parameters;
      if (layer instanceof Conv) weight!.init(backend, generator, kaimingNormal(weight!.shape));
      if (name.endsWith(".bn2")) weight!.init(backend, generator, (values) => values.fill(0));
    }
    return this;
  }
}

/** A convolution before a batch normalisation. */
function conv(
  [input, output]: readonly [number, number],
  kernelSize: number,
  { keepPacked, precision, algorithm }: NetworkOptions,
  stride = 1,
): Conv2d {
  return new Conv2d(input, output, kernelSize, {
    stride,
    padding: (kernelSize - 1) / 2,
    bias: false,
    keepPacked,
    precision,
    algorithm: kernelSize > 1 ? algorithm : undefined, // Winograd has no 1×1
  });
}

/** Adds two 3×3 convolutions with a shortcut, which is a 1×1 convolution if the channels change. */
function addBlock(
  builder: GraphBuilder,
  name: string,
  [input, output]: readonly [number, number],
  options: NetworkOptions,
): void {
  const x = builder.last;
  const norm = (key: string) => builder.add(`${name}.${key}`, new BatchNorm2d(output));
  builder.add(`${name}.conv1`, conv([input, output], 3, options));
  norm("bn1");
  builder.add(`${name}.relu`, new ReLU());
  builder.add(`${name}.conv2`, conv([output, output], 3, options));
  const y = norm("bn2");
  let shortcut = x;
  if (input !== output) {
    builder.add(`${name}.downsample.0`, conv([input, output], 1, options), x);
    shortcut = norm("downsample.1");
  }
  builder.add(`${name}.add`, new Add(), y, shortcut);
  builder.add(`${name}.relu_2`, new ReLU());
}
