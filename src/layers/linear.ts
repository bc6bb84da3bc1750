/**
 * Fully connected layers.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkInteger } from "../ops/checks.ts";
import { linear } from "../ops/linear.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import type { BiasOptions } from "./conv.ts";
import { type ForwardOptions, Layer, type Parameter, uniformParameter } from "./layer.ts";

/** A fully connected layer, `torch.nn.Linear`: […, inFeatures] → […, outFeatures]. */
export class Linear extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "Linear";
  /** A ReLU is computed with it. */
  override readonly fusesRelu = true;
  /** The parameters by name. */
  override readonly parameters: Readonly<Record<string, Parameter>>;

  /**
   * Describes the layer; it has no values yet.
   *
   * @param inFeatures Size of the input's last axis.
   * @param outFeatures Size of the output's last axis.
   */
  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    readonly options: BiasOptions = {},
  ) {
    super();
    checkInteger("Linear", "inFeatures", inFeatures, 1);
    checkInteger("Linear", "outFeatures", outFeatures, 1);
    const weight = uniformParameter([outFeatures, inFeatures], inFeatures);
    this.parameters = options.bias ?? true
      ? { weight, bias: uniformParameter([outFeatures], inFeatures) }
      : { weight };
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    if (input.at(-1) !== this.inFeatures) {
      throw new ArgumentError("Linear", "the shape of x", input, `[…, ${this.inFeatures}]`);
    }
    return [...input.slice(0, -1), this.outFeatures];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    return linear(x, this.value("weight"), this.optional("bias"), options);
  }

  /** See {@linkcode Layer.macs}. */
  override macs(input: Shape): number {
    return elements(this.outputShape(input)) * this.inFeatures;
  }
}
