/**
 * Convolutional layers.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import { ArgumentError } from "../errors.ts";
import { checkInteger, checkPerAxis, LIMIT } from "../ops/checks.ts";
import { conv1d, conv2d } from "../ops/conv.ts";
import {
  biasBackward,
  conv1dBackwardInput,
  conv1dBackwardWeight,
  conv2dBackwardInput,
  conv2dBackwardWeight,
} from "../ops/conv_backward.ts";
import {
  conv1dGeometry,
  type Conv1dOptions,
  conv2dGeometry,
  type Conv2dOptions,
} from "../ops/conv_geometry.ts";
import {
  type AlgorithmOptions,
  checkAlgorithm,
  type ConvAlgorithm,
  prepareConv,
  type PreparedConv,
  suitsWinograd,
} from "../ops/prepared_conv.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { FusingLayer } from "./fusing.ts";
import { type ForwardOptions, type Parameter, uniformParameter } from "./layer.ts";

/** Options of layers with weights, besides those of their operation. */
export interface BiasOptions {
  /** Adds a learned bias to the output. Default true. */
  readonly bias?: boolean;
}

/** How a convolution's weights are kept. */
export interface PackingOptions {
  /**
   * Whether a layer that computes directly keeps its weights a second time, laid out for the kernel.
   * Without that it takes half the memory and lays them out in every forward pass. Default true.
   */
  readonly keepPacked?: boolean;
}

/** With fewer channels the transforms cost more than they save. */
const winogradChannels = 12;

/** What the convolutions of all ranks share: their parameters, laid out once for a direct kernel. */
export abstract class Conv extends FusingLayer {
  /** The parameters by name. */
  override readonly parameters: Readonly<Record<string, Parameter>>;
  /** The shape of the weights, [outChannels, inChannels/groups, (kH,) kW]. */
  protected readonly weightShape: Shape;
  readonly #keepPacked: boolean;
  /** The weights laid out for the kernel, and the version of them that was. */
  #prepared:
    | { readonly weight: PreparedConv; readonly of: Tensor; readonly version: number }
    | undefined;

  /**
   * Describes the layer; it has no values yet.
   *
   * @param type The name that errors carry.
   * @param inChannels Channels of the input.
   * @param outChannels Channels of the output.
   * @param kernel The size of the kernel on each axis.
   */
  constructor(
    type: string,
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: readonly number[],
    { groups = 1, bias = true, keepPacked = true }:
      & BiasOptions
      & PackingOptions
      & { readonly groups?: number },
  ) {
    super();
    checkInteger(type, "inChannels", inChannels, 1);
    checkInteger(type, "outChannels", outChannels, 1);
    checkInteger(type, "groups", groups, 1);
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      const takes = `a divisor of ${inChannels} input and ${outChannels} output channels`;
      throw new ArgumentError(type, "groups", groups, takes);
    }
    this.#keepPacked = keepPacked;
    const shape = this.weightShape = [outChannels, inChannels / groups, ...kernel];
    const fanIn = elements(shape.slice(1));
    const weight = uniformParameter(shape, fanIn);
    this.parameters = bias ? { weight, bias: uniformParameter([outChannels], fanIn) } : { weight };
  }

  /** See {@linkcode Layer.macs}. */
  override macs(input: Shape): number {
    return elements(this.outputShape(input)) * elements(this.weightShape.slice(1));
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const direct = this.algorithmOn(x.backend) === "direct";
    const weight = direct && this.#keepPacked ? this.prepared() : this.value("weight");
    const y = this.convolve(x, weight, this.optional("bias"), options);
    this.save(x, ...(options.activation ? [y] : []));
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    return this.throughRelu(dy, (dy, x) => {
      this.#addGradients(dy, x);
      return this.inputGradient(dy, this.value("weight"), x.shape);
    });
  }

  /** See {@linkcode Layer.backwardParameters}. */
  override backwardParameters(dy: Tensor): void {
    this.throughRelu(dy, (dy, x) => this.#addGradients(dy, x));
  }

  /** The operation of the layer's rank. */
  protected abstract convolve(
    x: Tensor,
    weight: Tensor | PreparedConv,
    bias: Tensor | null,
    options: ForwardOptions,
  ): Tensor;

  /** The gradient of the operation's input. */
  protected abstract inputGradient(dy: Tensor, weight: Tensor, inputShape: Shape): Tensor;

  /** The gradient of the operation's weights, added to `into`. */
  protected abstract weightGradient(dy: Tensor, x: Tensor, into: Tensor): void;

  #addGradients(dy: Tensor, x: Tensor): void {
    const { weight, bias } = this.parameters;
    this.weightGradient(dy, x, weight.gradient());
    if (bias) biasBackward(dy, { into: bias.gradient() });
  }

  /** See {@linkcode Layer.dispose}. */
  override dispose(): void {
    super.dispose();
    this.#prepared?.weight.dispose();
    this.#prepared = undefined;
  }

  /** The weights laid out for the kernel, anew after they were written to. */
  protected prepared(): PreparedConv {
    const of = this.value("weight"), old = this.#prepared;
    if (old?.of === of && old.version === of.version) return old.weight;
    old?.weight.dispose();
    this.#prepared = undefined;
    const groups = this.inChannels / this.weightShape[1];
    const weight = prepareConv(of, { groups });
    this.#prepared = { weight, of, version: of.version };
    return weight;
  }

  /** How it is computed where arithmetic is what takes time. */
  get algorithm(): ConvAlgorithm {
    return "direct";
  }

  /** How it is computed there: a GPU would wait for the memory that Winograd's transforms go through. */
  protected algorithmOn({ device }: Backend): ConvAlgorithm {
    return device === "webgpu" ? "direct" : this.algorithm;
  }
}

/**
 * A 2-D convolution, `torch.nn.Conv2d`: [N, inChannels, H, W] → [N, outChannels, oH, oW].
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Conv2d } from "./conv.ts";
 *
 * using backend = await createBackend();
 * using conv = new Conv2d(3, 8, 3, { padding: 1 }).init(backend, { seed: 1 });
 * using x = backend.upload(new Float32Array(3 * 5 * 5), [1, 3, 5, 5]);
 * using y = conv.forward(x);
 * console.log(y.shape); // [1, 8, 5, 5]
 * ```
 */
export class Conv2d extends Conv {
  /** The name in `torch.nn`. */
  override readonly type = "Conv2d";

  /**
   * Describes the layer; it has no values yet.
   *
   * @param inChannels Channels of the input.
   * @param outChannels Channels of the output.
   * @param kernelSize Height and width of the kernel.
   */
  constructor(
    inChannels: number,
    outChannels: number,
    readonly kernelSize: number | readonly [number, number],
    readonly options: Conv2dOptions & BiasOptions & AlgorithmOptions & PackingOptions = {},
  ) {
    const kernel = checkPerAxis("Conv2d", "kernelSize", kernelSize, 2, 1);
    super("Conv2d", inChannels, outChannels, kernel, options);
    this.outputShape([1, inChannels, LIMIT, LIMIT]); // refuses impossible options
    checkAlgorithm("Conv2d", this.algorithm, this.weightShape, options.stride, options.dilation);
  }

  /** The algorithm that the options name, or the faster one. */
  override get algorithm(): ConvAlgorithm {
    const { stride = 1, dilation = 1, algorithm } = this.options;
    const [outC, groupC] = this.weightShape, [step] = [stride].flat();
    const channels = groupC * step ** 2, groupOutC = outC * groupC / this.inChannels;
    const pays = Math.min(channels, groupOutC) >= winogradChannels;
    return algorithm ??
      (pays && suitsWinograd(this.weightShape, stride, dilation) ? "winograd" : "direct");
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = conv2dGeometry("Conv2d", input, this.weightShape, this.options);
    return [g.n, g.outC, g.oh, g.ow];
  }

  /** See {@linkcode Conv.convolve}. */
  protected override convolve(
    x: Tensor,
    weight: Tensor | PreparedConv,
    bias: Tensor | null,
    options: ForwardOptions,
  ): Tensor {
    const algorithm = this.algorithmOn(x.backend);
    return conv2d(x, weight, bias, { ...this.options, algorithm, ...options });
  }

  /** See {@linkcode Conv.inputGradient}. */
  protected override inputGradient(dy: Tensor, weight: Tensor, inputShape: Shape): Tensor {
    return conv2dBackwardInput(dy, weight, inputShape, {
      ...this.options,
      algorithm: this.algorithmOn(dy.backend),
    });
  }

  /** See {@linkcode Conv.weightGradient}. */
  protected override weightGradient(dy: Tensor, x: Tensor, into: Tensor): void {
    const algorithm = this.algorithmOn(dy.backend);
    conv2dBackwardWeight(dy, x, this.weightShape, { ...this.options, algorithm, into });
  }
}

/** A 1-D convolution, `torch.nn.Conv1d`: [N, inChannels, L] → [N, outChannels, oL]. */
export class Conv1d extends Conv {
  /** The name in `torch.nn`. */
  override readonly type = "Conv1d";

  /**
   * Describes the layer; it has no values yet.
   *
   * @param inChannels Channels of the input.
   * @param outChannels Channels of the output.
   * @param kernelSize Length of the kernel.
   */
  constructor(
    inChannels: number,
    outChannels: number,
    readonly kernelSize: number,
    readonly options: Conv1dOptions & BiasOptions & PackingOptions = {},
  ) {
    const kernel = [checkInteger("Conv1d", "kernelSize", kernelSize, 1)];
    super("Conv1d", inChannels, outChannels, kernel, options);
    this.outputShape([1, inChannels, LIMIT]); // refuses impossible options
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = conv1dGeometry("Conv1d", input, this.weightShape, this.options);
    return [g.n, g.outC, g.ow];
  }

  /** See {@linkcode Conv.convolve}. */
  protected override convolve(
    x: Tensor,
    weight: Tensor | PreparedConv,
    bias: Tensor | null,
    options: ForwardOptions,
  ): Tensor {
    return conv1d(x, weight, bias, { ...this.options, ...options });
  }

  /** See {@linkcode Conv.inputGradient}. */
  protected override inputGradient(dy: Tensor, weight: Tensor, inputShape: Shape): Tensor {
    return conv1dBackwardInput(dy, weight, inputShape, this.options);
  }

  /** See {@linkcode Conv.weightGradient}. */
  protected override weightGradient(dy: Tensor, x: Tensor, into: Tensor): void {
    conv1dBackwardWeight(dy, x, this.weightShape, { ...this.options, into });
  }
}
