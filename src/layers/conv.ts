/**
 * Convolutional layers.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import { ArgumentError } from "../errors.ts";
import { checkInteger, checkPerAxis, LIMIT } from "../ops/checks.ts";
import { conv } from "../ops/conv.ts";
import { biasBackward, convBackwardInput, convBackwardWeight } from "../ops/conv_backward.ts";
import {
  type Conv1dOptions,
  type Conv2dOptions,
  convGeometry,
  type ConvOptions,
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
import { type ForwardOptions, Layer, type Parameter, uniformParameter } from "./layer.ts";

/**
 * Options of layers with weights, besides those of their operation.
 *
 * @internal
 */
export interface BiasOptions {
  /** Adds a learned bias to the output. Default true. */
  readonly bias?: boolean;
}

/**
 * How a convolution's weights are kept.
 *
 * @internal
 */
export interface PackingOptions {
  /**
   * Whether a layer that computes directly keeps its weights a second time, laid out for the kernel.
   * Without that it takes half the memory and lays them out in every forward pass. Default true.
   */
  readonly keepPacked?: boolean;
}

/** With fewer channels the transforms cost more than they save. */
const winogradChannels = 12;

/**
 * What convolutions along one axis and two share: their parameters, laid out once for a direct kernel.
 *
 * @internal
 */
export abstract class Conv extends Layer {
  /** It computes a ReLU together with its own output. */
  override readonly fusesRelu = true;
  /** The parameters by name. */
  override readonly parameters: Readonly<Record<string, Parameter>>;
  /** The shape of the weights, [outChannels, inChannels/groups, (kH,) kW]. */
  protected readonly weightShape: Shape;
  /** The options of the operation and the layer. */
  abstract readonly options: ConvOptions & BiasOptions & AlgorithmOptions & PackingOptions;
  readonly #axes: 1 | 2;
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
    { groups = 1, bias = true }: BiasOptions & { readonly groups?: number },
  ) {
    super();
    checkInteger(type, "inChannels", inChannels, 1);
    checkInteger(type, "outChannels", outChannels, 1);
    checkInteger(type, "groups", groups, 1);
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      const takes = `a divisor of ${inChannels} input and ${outChannels} output channels`;
      throw new ArgumentError(type, "groups", groups, takes);
    }
    this.#axes = kernel.length === 1 ? 1 : 2;
    const shape = this.weightShape = [outChannels, inChannels / groups, ...kernel];
    const fanIn = elements(shape.slice(1));
    const weight = uniformParameter(shape, fanIn);
    this.parameters = bias ? { weight, bias: uniformParameter([outChannels], fanIn) } : { weight };
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return convGeometry(this.type, this.#axes, input, this.weightShape, this.options).output;
  }

  /** See {@linkcode Layer.macs}. */
  override macs(input: Shape): number {
    return elements(this.outputShape(input)) * elements(this.weightShape.slice(1));
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const algorithm = this.#algorithmOn(x.backend), { keepPacked = true } = this.options;
    const packed = algorithm === "direct" && keepPacked;
    const weight = packed ? this.#packedWeight() : this.value("weight");
    const all = { ...this.options, algorithm, ...options };
    const y = conv(this.#axes, x, weight, this.optional("bias"), all);
    this.save(x, ...(options.activation ? [y] : []));
    return y;
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
    const { weight, bias } = this.parameters;
    const algorithm = this.#algorithmOn(dy.backend), into = weight.gradient();
    const options = { ...this.options, algorithm, into };
    convBackwardWeight(this.#axes, dy, x, this.weightShape, options);
    if (bias) biasBackward(dy, { into: bias.gradient() });
  }

  /** See {@linkcode Layer.dispose}. */
  override dispose(): void {
    super.dispose();
    this.#prepared?.weight.dispose();
    this.#prepared = undefined;
  }

  /** The weights laid out for the kernel, again after they were written to. */
  #packedWeight(): PreparedConv {
    const of = this.value("weight"), old = this.#prepared;
    if (old?.of === of && old.version === of.version) return old.weight;
    old?.weight.dispose();
    this.#prepared = undefined;
    const groups = this.inChannels / this.weightShape[1];
    const weight = prepareConv(of, { groups });
    this.#prepared = { weight, of, version: of.version };
    return weight;
  }

  /** The algorithm that the options name, or else the faster one on Wasm. */
  get algorithm(): ConvAlgorithm {
    const { stride = 1, dilation = 1, algorithm } = this.options;
    const [outC, groupC] = this.weightShape, [step] = [stride].flat();
    const channels = groupC * step ** 2, groupOutC = outC * groupC / this.inChannels;
    const pays = Math.min(channels, groupOutC) >= winogradChannels;
    return algorithm ??
      (pays && suitsWinograd(this.weightShape, stride, dilation) ? "winograd" : "direct");
  }

  /** On a GPU, the memory traffic of Winograd's transforms costs more than it saves. */
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
}
