/**
 * Fully connected layers.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import type { RandomGenerator } from "../random.ts";
import { checkAnyShape, checkBoolean, checkInteger, checkOptions } from "../ops/checks.ts";
import { biasBackward } from "../ops/conv_backward.ts";
import { linear, linearBackwardInput, linearBackwardWeight } from "../ops/linear.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import {
  checkForward,
  checkTrainingForward,
  type ForwardOptions,
  type Repeatable,
} from "./forward.ts";
import { Layer } from "./layer.ts";
import { uniform, uniformParameter, type WeightAndBias } from "./parameter.ts";
import { LinearWeight } from "./rounded_weight.ts";
import type { BiasOptions, PrecisionOptions } from "./precision.ts";

/** A fully connected layer, `torch.nn.Linear`: […, inFeatures] → […, outFeatures]. */
export class Linear extends Layer implements Repeatable {
  /** See {@linkcode Layer.fusesActivation}. */
  override readonly fusesActivation = true;
  /** The name in `torch.nn`. */
  override readonly type = "Linear";
  /** The parameters by name. */
  override readonly parameters: WeightAndBias;
  readonly #weight: LinearWeight;

  /**
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param inFeatures Size of the input's last axis.
   * @param outFeatures Size of the output's last axis.
   * @param options `bias` (default true), and the `precision` of the weights.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    readonly options: BiasOptions & PrecisionOptions = {},
  ) {
    super();
    checkInteger("Linear", "inFeatures", inFeatures, 1);
    checkInteger("Linear", "outFeatures", outFeatures, 1);
    checkOptions("Linear", options, ["bias", "precision"]);
    const { bias = true, precision = "f32" } = options;
    checkBoolean("Linear", "bias", bias);
    const weight = this.#weight = new LinearWeight(
      [outFeatures, inFeatures],
      uniform(inFeatures),
      precision,
    );
    this.parameters = bias
      ? { weight, bias: uniformParameter([outFeatures], inFeatures) }
      : { weight };
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape("Linear", input, 1);
    if (input.at(-1) !== this.inFeatures) {
      throw new ArgumentError("Linear", "the shape of x", input, `[…, ${this.inFeatures}]`);
    }
    return [...input.slice(0, -1), this.outFeatures];
  }

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    return this.forward === Linear.prototype.forward ? 0 : undefined;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    checkForward(this.type, x, options, ["activation"]);
    if (this.training) checkTrainingForward(this.type, options);
    const { quantized, half } = this.#weight, weight = quantized ?? half ?? this.value("weight");
    const y = linear(x, weight, this.optional("bias"), options);
    this.save(x, ...(options.activation ? [y] : []));
    return y;
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
    return this;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    return this.backwardThroughRelu(dy, (dy, x) => {
      this.#addGradients(dy, x);
      return linearBackwardInput(dy, this.value("weight"));
    });
  }

  /** See {@linkcode Layer.backwardParameters}. */
  override backwardParameters(dy: Tensor): void {
    this.backwardThroughRelu(dy, (dy, x) => this.#addGradients(dy, x));
  }

  #addGradients(dy: Tensor, x: Tensor): void {
    const weight = this.gradientOf("weight"), bias = this.gradientOf("bias");
    if (weight) linearBackwardWeight(dy, x, { into: weight });
    const rows = dy.view([dy.size / this.outFeatures, this.outFeatures]);
    if (bias) biasBackward(rows, { into: bias });
  }

  /** See {@linkcode Layer.macs}. */
  override macs(input: Shape): number {
    return elements(this.outputShape(input)) * this.inFeatures;
  }
}
