/**
 * Building torchvision's networks.
 *
 * @module
 */

import {
  BatchNorm2d,
  type BatchNormOptions,
  Conv2d,
  Dropout,
  type Layer,
  Linear,
} from "../layers/mod.ts";
import { GraphBuilder } from "../layers/graph_builder.ts";
import { supportsWinograd } from "../ops/prepared_conv.ts";
import type { NetworkOptions } from "./network_options.ts";

/** Channels of a convolution's input and output. */
export type Channels = readonly [input: number, output: number];

/** Rounds to a multiple of 8, but not down by more than 10 %, torchvision's `_make_divisible`. */
export function makeDivisible(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

/** What the networks of a builder have in common. */
export interface BuilderOptions extends NetworkOptions {
  /** The probability of dropout in training mode. */
  readonly dropout: number;
  /** The number of classes. */
  readonly numClasses: number;
  /** The options of batch normalisation. Default: PyTorch's. */
  readonly norm?: BatchNormOptions;
  /** Multiplies the numbers of channels, for tests. Default: 1. */
  readonly width?: number;
}

/** Options of a convolution. */
export interface ConvOptions {
  /** Default: 1. */
  readonly stride?: number;
  /** Default: half of the kernel, so that a stride of 1 keeps the size. */
  readonly padding?: number;
  /** Default: 1. */
  readonly groups?: number;
  /** Default: false, because batch normalisation follows. */
  readonly bias?: boolean;
}

/** Makes an activation layer. */
export type Activation = () => Layer;

/**
 * Collects the nodes of a network. Methods that add a layer return its name. They connect it to
 * `inputs`, by default to the node before.
 */
export class NetworkBuilder extends GraphBuilder {
  /** Creates a builder without nodes. */
  constructor(readonly options: BuilderOptions) {
    super();
  }

  /** Scales a number of channels. The three of an image stay. */
  channels(count: number): number {
    const { width = 1 } = this.options;
    return count === 3 ? count : Math.max(1, Math.floor(count * width));
  }

  /** Adds a convolution with a square kernel. */
  conv(
    name: string,
    [input, output]: Channels,
    kernelSize: number,
    options: ConvOptions = {},
    ...inputs: string[]
  ): string {
    const { stride = 1, padding = (kernelSize - 1) / 2, bias = false } = options;
    const groups = options.groups === undefined ? 1 : this.channels(options.groups);
    const { algorithm, keepPacked, precision } = this.options;
    const inC = this.channels(input), outC = this.channels(output);
    const winograd = groups === 1 &&
      supportsWinograd([outC, inC, kernelSize, kernelSize], stride);
    const layer = new Conv2d(inC, outC, kernelSize, {
      stride,
      padding,
      groups,
      bias,
      keepPacked,
      precision,
      algorithm: algorithm === "winograd" && !winograd ? undefined : algorithm,
    });
    return this.add(name, layer, ...inputs);
  }

  /** Adds a batch normalisation. */
  norm(name: string, channels: number, ...inputs: string[]): string {
    return this.add(name, new BatchNorm2d(this.channels(channels), this.options.norm), ...inputs);
  }

  /** torchvision's `Conv2dNormActivation`: layers 0, 1, and 2 if there is an activation. */
  convNormActivation(
    name: string,
    channels: Channels,
    kernelSize: number,
    { activation, ...options }: ConvOptions & { readonly activation?: Activation },
    ...inputs: string[]
  ): string {
    this.conv(`${name}.0`, channels, kernelSize, options, ...inputs);
    this.norm(`${name}.1`, channels[1]);
    return activation ? this.add(`${name}.2`, activation()) : this.last;
  }

  /** Adds a dropout. */
  dropout(name: string): string {
    return this.add(name, new Dropout(this.options.dropout));
  }

  /** Adds a fully connected layer. It does not scale the numbers of features. */
  linear(name: string, inFeatures: number, outFeatures: number): string {
    const { precision } = this.options;
    return this.add(name, new Linear(inFeatures, outFeatures, { precision }));
  }

  /** Adds the 1×1 convolution whose outputs are the classes. */
  classesConv(name: string, channels: number): string {
    const { numClasses, keepPacked, precision } = this.options;
    const layer = new Conv2d(this.channels(channels), numClasses, 1, { keepPacked, precision });
    return this.add(name, layer);
  }

  /** Adds the fully connected layer whose outputs are the classes. */
  classes(name: string, inFeatures: number): string {
    return this.linear(name, this.channels(inFeatures), this.options.numClasses);
  }
}
