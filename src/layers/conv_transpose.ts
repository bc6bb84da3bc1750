/**
 * Transposed convolutional layers.
 *
 * @module
 */

import { checkBoolean, checkOptions, checkPerAxis, checkTensor } from "../ops/checks.ts";
import { biasBackward } from "../ops/conv_backward.ts";
import { checkChannels } from "../ops/conv_geometry.ts";
import {
  checkTransposed,
  convTranspose,
  convTransposeBackwardInput,
  convTransposeBackwardWeight,
  type ConvTransposeOptions,
  transposedGeometry,
  transposedOptionNames,
} from "../ops/conv_transpose.ts";
import { packTransposed } from "../ops/prepared_conv.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { checkForward, type ForwardOptions, Layer } from "./layer.ts";
import { uniformParameter, type WeightAndBias } from "./parameter.ts";
import type { BiasOptions } from "./precision.ts";

/** Packed weights, and the version of the weights that was packed. */
interface Packed {
  /** Undefined if the kernel takes the weights as they are. */
  readonly tensor: Tensor | undefined;
  readonly source: Tensor;
  readonly version: number;
}

/**
 * The base class of transposed 1-D and 2-D convolutions.
 *
 * @internal
 */
export abstract class ConvTranspose extends Layer {
  /** The parameters by name. */
  override readonly parameters: WeightAndBias;
  readonly #axes: 1 | 2;
  readonly #operation: ConvTransposeOptions;
  readonly #weightShape: Shape;
  #packed: Packed | undefined;

  /**
   * Creates the layer without values.
   *
   * @param type The name of the layer in error messages.
   * @param axes The number of axes of the kernel.
   * @param inChannels Channels of the input.
   * @param outChannels Channels of the output.
   * @param kernelSize The size of the kernel on each axis.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(
    type: string,
    axes: 1 | 2,
    readonly inChannels: number,
    readonly outChannels: number,
    readonly kernelSize: number | readonly number[],
    readonly options: ConvTransposeOptions & BiasOptions,
  ) {
    super();
    checkOptions(type, options, [...transposedOptionNames, "bias"]);
    const kernel = checkPerAxis(type, "kernelSize", kernelSize, axes, 1);
    const { bias = true, ...operation } = options, { groups = 1 } = operation;
    checkBoolean(type, "bias", bias);
    checkChannels(type, inChannels, outChannels, groups);
    checkTransposed(type, axes, options);
    this.#axes = axes;
    this.#operation = operation;
    const shape = this.#weightShape = [inChannels, outChannels / groups, ...kernel];
    const fanIn = elements(shape.slice(1));
    const weight = uniformParameter(shape, fanIn);
    this.parameters = bias ? { weight, bias: uniformParameter([outChannels], fanIn) } : { weight };
  }

  /** The options of the operation, without those of the layer. */
  get operation(): ConvTransposeOptions {
    return this.#operation;
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return transposedGeometry(this.type, this.#axes, input, this.#weightShape, this.options).output;
  }

  /** See {@linkcode Layer.macs}. */
  override macs(input: Shape): number {
    this.outputShape(input);
    return elements(input) * elements(this.#weightShape.slice(1));
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    const weight = this.value("weight"), packed = this.#packedWeight(weight);
    const all = { ...this.operation, out };
    const y = convTranspose(this.#axes, x, weight, this.optional("bias"), all, packed);
    this.save(x);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const x = this.#recallFor(dy);
    this.#addGradients(dy, x);
    return convTransposeBackwardInput(dy, this.value("weight"), x.shape, this.operation);
  }

  /** See {@linkcode Layer.backwardParameters}. */
  override backwardParameters(dy: Tensor): void {
    const x = this.#recallFor(dy);
    this.#addGradients(dy, x);
  }

  /** Returns the input that `dy` belongs to. */
  #recallFor(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy);
    const [x] = this.recall();
    checkTensor(this.type, "dy", dy, dy, this.outputShape(x.shape));
    return x;
  }

  #addGradients(dy: Tensor, x: Tensor): void {
    const into = this.gradientOf("weight"), bias = this.gradientOf("bias");
    const options = { ...this.operation, into };
    if (into) convTransposeBackwardWeight(dy, x, this.#weightShape, options);
    if (bias) biasBackward(dy, { into: bias });
  }

  /** See {@linkcode Layer.dispose}. */
  override dispose(): void {
    super.dispose();
    this.#packed?.tensor?.dispose();
    this.#packed = undefined;
  }

  /** Returns the packed weights. Packs them again if they were written to. */
  #packedWeight(source: Tensor): Tensor | undefined {
    const old = this.#packed;
    if (old?.source === source && old.version === source.version) return old.tensor;
    old?.tensor?.dispose();
    this.#packed = undefined;
    const tensor = packTransposed(source, this.options.groups ?? 1);
    this.#packed = { tensor, source, version: source.version };
    return tensor;
  }
}

/**
 * A transposed 2-D convolution, `torch.nn.ConvTranspose2d`: [N, inChannels, H, W] → [N, outChannels,
 * oH, oW].
 *
 * @example
 * ```ts
 * import { ConvTranspose2d } from "./conv_transpose.ts";
 *
 * const layer = new ConvTranspose2d(8, 4, 2, { stride: 2 });
 * console.log(layer.outputShape([1, 8, 28, 28])); // [1, 4, 56, 56]
 * ```
 */
export class ConvTranspose2d extends ConvTranspose {
  /** The name in `torch.nn`. */
  override readonly type = "ConvTranspose2d";

  /**
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param inChannels Channels of the input.
   * @param outChannels Channels of the output.
   * @param kernelSize Height and width of the kernel.
   * @param options `stride`, `padding`, `outputPadding`, `dilation`, `groups` and `bias`, as in
   * PyTorch.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number | readonly [number, number],
    options: ConvTransposeOptions & BiasOptions = {},
  ) {
    super("ConvTranspose2d", 2, inChannels, outChannels, kernelSize, options);
  }
}

/**
 * A transposed 1-D convolution, `torch.nn.ConvTranspose1d`: [N, inChannels, L] → [N, outChannels,
 * oL].
 */
export class ConvTranspose1d extends ConvTranspose {
  /** The name in `torch.nn`. */
  override readonly type = "ConvTranspose1d";

  /**
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param inChannels Channels of the input.
   * @param outChannels Channels of the output.
   * @param kernelSize Length of the kernel.
   * @param options `stride`, `padding`, `outputPadding`, `dilation`, `groups` and `bias`, as in
   * PyTorch.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: number,
    options: ConvTransposeOptions & BiasOptions = {},
  ) {
    super("ConvTranspose1d", 1, inChannels, outChannels, kernelSize, options);
  }
}
