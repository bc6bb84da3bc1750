/**
 * Activations.
 *
 * @module
 */

import { logSoftmax, relu, softmax } from "../ops/activation.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { type ForwardOptions, Layer } from "./layer.ts";

/** max(x, 0), `torch.nn.ReLU`. */
export class ReLU extends Layer {
  override readonly type = "ReLU";
  override readonly inPlace = true;

  override outputShape(input: Shape): Shape {
    return input;
  }

  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    return relu(x, { out });
  }
}

/** Softmax along an axis, `torch.nn.Softmax`. */
export class Softmax extends Layer {
  override readonly type = "Softmax";
  override readonly inPlace = true;

  /** @param dim The axis; a negative one counts from the end. */
  constructor(readonly dim = -1) {
    super();
  }

  override outputShape(input: Shape): Shape {
    return input;
  }

  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    return softmax(x, this.dim, { out });
  }
}

/** Logarithm of the softmax along an axis, `torch.nn.LogSoftmax`. */
export class LogSoftmax extends Layer {
  override readonly type = "LogSoftmax";
  override readonly inPlace = true;

  /** @param dim The axis; a negative one counts from the end. */
  constructor(readonly dim = -1) {
    super();
  }

  override outputShape(input: Shape): Shape {
    return input;
  }

  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    return logSoftmax(x, this.dim, { out });
  }
}
