/**
 * Layers that leave the values as they are.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { Layer } from "./layer.ts";

/** All axes but the first as one, `torch.nn.Flatten`: [N, …] → [N, features]. The result is a view. */
export class Flatten extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "Flatten";
  /** Nothing is computed. */
  override readonly aliases = true;

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return [input[0], elements(input.slice(1))];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor): Tensor {
    return x.view(this.outputShape(x.shape));
  }
}

/** Dropout, `torch.nn.Dropout`: in evaluation the identity. The result is a view. */
export class Dropout extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "Dropout";
  /** Nothing is computed. */
  override readonly aliases = true;

  /**
   * Describes the layer; it has no values yet.
   *
   * @param p The probability of an element to be zeroed in training.
   */
  constructor(readonly p = 0.5) {
    super();
    if (!(p >= 0 && p <= 1)) throw new ArgumentError("Dropout", "p", p, "between 0 and 1");
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return input;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor): Tensor {
    return x.view(x.shape);
  }
}
