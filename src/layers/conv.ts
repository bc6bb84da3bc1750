/**
 * Convolutional layers.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkInteger, checkPerAxis } from "../ops/checks.ts";
import { conv1d, conv2d, prepareConv, type PreparedConv } from "../ops/conv.ts";
import {
  conv1dGeometry,
  type Conv1dOptions,
  conv2dGeometry,
  type Conv2dOptions,
} from "../ops/conv_geometry.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { type ForwardOptions, Layer, type Parameter, uniformParameter } from "./layer.ts";

/** Options of a convolutional layer besides those of its operation. */
export interface BiasOptions {
  /** Adds a learned bias to the output. Default true. */
  readonly bias?: boolean;
}

/** What the convolutions of all ranks share: their parameters, laid out for the kernel once. */
export abstract class Conv extends Layer {
  /** A ReLU is computed with it. */
  override readonly fusesRelu = true;
  /** The parameters by name. */
  override readonly parameters: Readonly<Record<string, Parameter>>;
  /** The shape of the weights, [outChannels, inChannels/groups, (kH,) kW]. */
  protected readonly weightShape: Shape;
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
    const shape = this.weightShape = [outChannels, inChannels / groups, ...kernel];
    const fanIn = elements(shape.slice(1));
    const weight = uniformParameter(shape, fanIn);
    this.parameters = bias ? { weight, bias: uniformParameter([outChannels], fanIn) } : { weight };
  }

  /** See {@linkcode Layer.macs}. */
  override macs(input: Shape): number {
    return elements(this.outputShape(input)) * elements(this.weightShape.slice(1));
  }

  /** See {@linkcode Layer.dispose}. */
  override dispose(): void {
    super.dispose();
    this.#prepared?.weight.packed.dispose();
    this.#prepared = undefined;
  }

  /** The weights laid out for the kernel, anew after they were written to. */
  protected prepared(): PreparedConv {
    const of = this.value("weight"), old = this.#prepared;
    if (old?.of === of && old.version === of.version) return old.weight;
    old?.weight.packed.dispose();
    this.#prepared = undefined;
    const weight = prepareConv(of, this.inChannels / this.weightShape[1]);
    this.#prepared = { weight, of, version: of.version };
    return weight;
  }
}

/**
 * A 2-D convolution, `torch.nn.Conv2d`: [N, inChannels, H, W] → [N, outChannels, oH, oW].
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend.ts";
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
    readonly options: Conv2dOptions & BiasOptions = {},
  ) {
    const kernel = checkPerAxis("Conv2d", "kernelSize", kernelSize, 2, 1);
    super("Conv2d", inChannels, outChannels, kernel, options);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = conv2dGeometry("Conv2d", input, this.weightShape, this.options);
    return [g.n, g.outC, g.oh, g.ow];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    return conv2d(x, this.prepared(), this.optional("bias"), { ...this.options, ...options });
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
    readonly options: Conv1dOptions & BiasOptions = {},
  ) {
    const kernel = [checkInteger("Conv1d", "kernelSize", kernelSize, 1)];
    super("Conv1d", inChannels, outChannels, kernel, options);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = conv1dGeometry("Conv1d", input, this.weightShape, this.options);
    return [g.n, g.outC, g.ow];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    return conv1d(x, this.prepared(), this.optional("bias"), { ...this.options, ...options });
  }
}
