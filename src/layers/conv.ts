/**
 * Convolutional layers.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import { ArgumentError } from "../errors.ts";
import { checkBoolean, checkOptions, checkPerAxis, maxSize } from "../ops/checks.ts";
import { conv } from "../ops/conv.ts";
import { biasBackward, convBackwardInput, convBackwardWeight } from "../ops/conv_backward.ts";
import {
  checkChannels,
  type Conv2dOptions,
  convGeometry,
  type Convolution,
  convOptionNames,
  type ConvOptions,
} from "../ops/conv_geometry.ts";
import {
  type AlgorithmOptions,
  checkAlgorithm,
  type ConvAlgorithm,
  isDepthwise,
  supportsWinograd,
} from "../ops/prepared_conv.ts";
import { checkInputRange, checkScales, type InputRange } from "../ops/quantize_conv.ts";
import type { RandomGenerator } from "../random.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { PreparedWeights } from "./prepared_weights.ts";
import {
  checkForward,
  checkTrainingForward,
  type FoldableNorm,
  type ForwardOptions,
  overridesForward,
  type Repeatable,
} from "./forward.ts";
import { Layer } from "./layer.ts";
import { BatchNorm } from "./norm.ts";
import { uniform, uniformParameter, type WeightAndBias } from "./parameter.ts";
import type { BiasOptions, PackingOptions, Precision, PrecisionOptions } from "./precision.ts";
import { ConvWeight } from "./rounded_weight.ts";

/** The options that the base class reads. */
interface BaseOptions extends BiasOptions {
  readonly groups?: number;
  readonly precision?: Precision;
}

/** The names of the options of 1-D convolutions. */
export const convLayerNames = [...convOptionNames, "bias", "keepPacked", "precision"] as const;

/** With fewer channels than this, Winograd's transforms cost more than they save. */
const minWinogradChannels = 12;

/**
 * The base class of 1-D and 2-D convolutions.
 *
 * @internal
 */
export abstract class Conv extends Layer implements Repeatable {
  /** See {@linkcode Layer.fusesActivation}. */
  override readonly fusesActivation = true;
  /** See {@linkcode Layer.fusesResidual}. */
  override readonly fusesResidual = true;
  /** See {@linkcode Layer.fusesNorm}. */
  override readonly fusesNorm = true;
  /** The parameters by name. */
  override readonly parameters: WeightAndBias;
  /** The options of the operation and the layer. */
  abstract readonly options:
    & ConvOptions
    & BiasOptions
    & AlgorithmOptions
    & PackingOptions
    & PrecisionOptions;
  readonly #axes: 1 | 2;
  readonly #weight: ConvWeight;
  readonly #prepared = new PreparedWeights();
  #inputRange: InputRange | null = null;
  /** How often {@linkcode Conv.inputRange} was set. */
  #ranges = 0;
  #algorithm: ConvAlgorithm | undefined;
  /** The geometry of the last forward pass. */
  #last: { readonly input: Shape; readonly convolution: Convolution } | undefined;

  /**
   * Creates the layer without values.
   *
   * @param type The name of the layer in error messages.
   * @param inChannels Channels of the input.
   * @param outChannels Channels of the output.
   * @param kernel The size of the kernel on each axis.
   * @throws {ArgumentError} When the numbers of channels and groups do not fit together.
   */
  constructor(
    type: string,
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: readonly number[],
    { groups = 1, bias = true, precision = "f32" }: BaseOptions,
  ) {
    super();
    checkBoolean(type, "bias", bias);
    checkChannels(type, inChannels, outChannels, groups);
    this.#axes = kernel.length === 1 ? 1 : 2;
    const shape = [outChannels, inChannels / groups, ...kernel];
    const fanIn = elements(shape.slice(1));
    const weight = this.#weight = new ConvWeight(type, shape, groups, uniform(fanIn), precision);
    this.parameters = bias ? { weight, bias: uniformParameter([outChannels], fanIn) } : { weight };
  }

  /** The shape of the weights, [outChannels, inChannels/groups, (kH,) kW]. */
  protected get weightShape(): Shape {
    return this.#weight.shape;
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return convGeometry(this.type, this.#axes, input, this.weightShape, this.options).output;
  }

  /** See {@linkcode Layer.macs}. */
  override macs(input: Shape): number {
    return elements(this.outputShape(input)) * elements(this.weightShape.slice(1));
  }

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    const isOwn = this.forward === Conv.prototype.forward;
    return isOwn ? this.#prepared.changes + this.#ranges : undefined;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    checkForward(this.type, x, options, ["activation", "residual", "norm"]);
    if (this.training) checkTrainingForward(this.type, options);
    const { quantized, groups, precision } = this.#weight, { keepPacked = true } = this.options;
    const algorithm = quantized ? "direct" : this.#algorithmOn(x.backend);
    const plain = { weight: quantized ?? this.value("weight"), bias: this.optional("bias") };
    const { weight, bias } = this.#prepared.prepare(plain, {
      norm: this.#checkNorm(options.norm),
      pack: keepPacked && algorithm === "direct" && !isDepthwise(this.weightShape, groups),
      groups,
    });
    try {
      const y = conv(this.#axes, x, weight, bias, options, {
        algorithm,
        isExact: precision === "int8",
        inputRange: this.inputRange,
        convolution: this.#convolutionOf(x.shape),
      });
      this.save(x, ...(options.activation ? [y] : []));
      return y;
    } finally {
      if (!keepPacked) this.#prepared.dispose();
    }
  }

  /**
   * The least and the largest value of the input, which weights in 8 bits multiply by rounded
   * inputs. Values beyond are clamped. Null, the default, takes those of each sample.
   *
   * @throws {ArgumentError} When set to something else than two finite numbers, the lower one first.
   */
  get inputRange(): InputRange | null {
    return this.#inputRange;
  }

  set inputRange(range: InputRange | null) {
    range ??= null;
    if (range !== null) checkInputRange(this.type, range);
    this.#inputRange = range;
    this.#ranges++;
  }

  /**
   * Whether {@linkcode Conv.inputRange} helps in 8 bits. It does not where the kernel finds a better
   * range for each pixel, or rounds inputs to 14 bits. Nor in a class that overrides the forward pass,
   * which may multiply other values than its input.
   *
   * @internal
   */
  get takesRange(): boolean {
    const shape = this.weightShape, taps = elements(shape.slice(2)), { groups } = this.#weight;
    const isWide = this.inChannels <= (taps > 1 ? 16 : 4) && elements(shape.slice(1)) <= 256;
    return taps * groups > 1 && !isWide && !isDepthwise(shape, groups) && !overridesForward(this);
  }

  /**
   * The scale of each output channel in 8 bits, which rounds weights that are loaded or quantised
   * later: products of integers and their scale become the same integers, from −128 to 127. Null,
   * the default, chooses the scales.
   *
   * @throws {ArgumentError} When set to something else than a positive number for each channel.
   */
  get weightScales(): Float32Array | null {
    return this.#weight.scales ?? null;
  }

  set weightScales(scales: Float32Array | null) {
    scales ??= null;
    if (scales !== null) checkScales(this.type, scales, this.outChannels);
    this.#weight.scales = scales?.slice();
  }

  /** See {@linkcode Layer.train}. */
  override train(generator?: RandomGenerator): this {
    this.#weight.checkTrainable();
    return super.train(generator);
  }

  /** See {@linkcode Layer.quantize}. */
  override quantize(): this {
    super.quantize();
    this.#weight.quantize();
    this.#prepared.dispose();
    return this;
  }

  /** The geometry for an input shape. A graph passes the same shape object in every pass. */
  #convolutionOf(input: Shape): Convolution {
    if (this.#last?.input === input) return this.#last.convolution;
    const op = `conv${this.#axes}d`;
    const convolution = convGeometry(op, this.#axes, input, this.weightShape, this.options);
    this.#last = { input, convolution };
    return convolution;
  }

  #checkNorm(norm: FoldableNorm | undefined): BatchNorm | undefined {
    if (norm === undefined || norm instanceof BatchNorm && !norm.training) return norm;
    const expected = "a batch normalisation in evaluation mode";
    throw new ArgumentError(this.type, "norm", norm, expected);
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    return this.backwardThroughRelu(dy, (dy, x) => {
      this.#addGradients(dy, x);
      const options = { ...this.options, algorithm: this.#algorithmOn(dy.backend) };
      return convBackwardInput(this.#axes, dy, this.value("weight"), x.shape, options);
    });
  }

  /** See {@linkcode Layer.backwardParameters}. */
  override backwardParameters(dy: Tensor): void {
    this.backwardThroughRelu(dy, (dy, x) => this.#addGradients(dy, x));
  }

  #addGradients(dy: Tensor, x: Tensor): void {
    const into = this.gradientOf("weight"), bias = this.gradientOf("bias");
    const options = { ...this.options, algorithm: this.#algorithmOn(dy.backend), into };
    if (into) convBackwardWeight(this.#axes, dy, x, this.weightShape, options);
    if (bias) biasBackward(dy, { into: bias });
  }

  /** See {@linkcode Layer.dispose}. */
  override dispose(): void {
    super.dispose();
    this.#prepared.dispose();
  }

  /** The algorithm on Wasm: the one in the options, by default the faster one. */
  get algorithm(): ConvAlgorithm {
    return this.#algorithm ??= this.#chooseAlgorithm();
  }

  #chooseAlgorithm(): ConvAlgorithm {
    const { stride = 1, dilation = 1, algorithm } = this.options;
    const [outC, groupC] = this.weightShape, [step] = [stride].flat();
    const channels = groupC * step ** 2, groupOutC = outC * groupC / this.inChannels;
    const isFaster = Math.min(channels, groupOutC) >= minWinogradChannels;
    return algorithm ??
      (isFaster && supportsWinograd(this.weightShape, stride, dilation) ? "winograd" : "direct");
  }

  /**
   * On WebGPU always direct: the memory traffic of Winograd's transforms costs more than it saves.
   */
  #algorithmOn({ device }: Backend): ConvAlgorithm {
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
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param inChannels Channels of the input.
   * @param outChannels Channels of the output.
   * @param kernelSize Height and width of the kernel.
   * @param options `stride`, `padding`, `dilation`, `groups` and `bias`, as in PyTorch; the
   * `precision` of the weights; `keepPacked: false` saves the memory of a packed copy of them;
   * `algorithm`, "direct" or "winograd" (default: the faster one).
   * @throws {ArgumentError} When an option is invalid, or no input could fit the options.
   */
  constructor(
    inChannels: number,
    outChannels: number,
    readonly kernelSize: number | readonly [number, number],
    readonly options:
      & Conv2dOptions
      & BiasOptions
      & AlgorithmOptions
      & PackingOptions
      & PrecisionOptions = {},
  ) {
    checkOptions("Conv2d", options, [...convLayerNames, "algorithm"]);
    checkBoolean("Conv2d", "keepPacked", options.keepPacked ?? true);
    const kernel = checkPerAxis("Conv2d", "kernelSize", kernelSize, 2, 1);
    super("Conv2d", inChannels, outChannels, kernel, options);
    this.outputShape([1, inChannels, maxSize, maxSize]); // checks the options
    checkAlgorithm("Conv2d", this.algorithm, this.weightShape, options.stride, options.dilation);
  }
}
