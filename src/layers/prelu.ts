/**
 * The parametric rectified linear unit.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkAnyShape, checkInteger, checkNumber, disposeOnError } from "../ops/checks.ts";
import { prelu, preluBackwardInput, preluBackwardWeight } from "../ops/prelu.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkNotInPlace } from "./forward.ts";
import { checkForward, type ForwardOptions, Layer } from "./layer.ts";
import { constantParameter, type Parameter } from "./parameter.ts";

/** x where x is positive, weight · x elsewhere, with learned weights, `torch.nn.PReLU`. */
export class PReLU extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "PReLU";
  /** The forward pass may overwrite its input, in evaluation mode. */
  override readonly inPlace: boolean = this.forward === PReLU.prototype.forward;
  /** The parameters by name. */
  override readonly parameters: { readonly weight: Parameter };

  /**
   * Creates the layer without values: call {@linkcode Layer.init} or load weights.
   *
   * @param numParameters 1, the default, or the channels of the input for one weight each.
   * @param init The initial value of the weights. Default: 0.25.
   * @throws {ArgumentError} When an argument is invalid.
   */
  constructor(readonly numParameters = 1, init = 0.25) {
    super();
    const shape = [checkInteger("PReLU", "numParameters", numParameters, 1)];
    this.parameters = { weight: constantParameter(shape, checkNumber("PReLU", "init", init)) };
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input, 1);
    if (this.numParameters > 1 && input[1] !== this.numParameters) {
      const takes = `[N, ${this.numParameters}, …]`;
      throw new ArgumentError(this.type, "the shape of x", input, takes);
    }
    return input;
  }

  /**
   * See {@linkcode Layer.forward}.
   *
   * @throws {ArgumentError} Also when `out` is x in training mode.
   */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    this.outputShape(x.shape);
    if (this.training) checkNotInPlace(this.type, out, x);
    const y = prelu(x, this.value("weight"), { out });
    this.save(x);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const [x] = this.recall();
    return disposeOnError(preluBackwardInput(dy, x, this.value("weight")), (dx) => {
      this.#addGradient(dy, x);
      return dx;
    });
  }

  /** See {@linkcode Layer.backwardParameters}. */
  override backwardParameters(dy: Tensor): void {
    const [x] = this.recall();
    this.#addGradient(dy, x);
  }

  #addGradient(dy: Tensor, x: Tensor): void {
    const into = this.gradientOf("weight");
    if (into) preluBackwardWeight(dy, x, into.shape, { into });
  }
}
