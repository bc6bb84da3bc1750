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
  /** The name in `torch.nn`. */
  override readonly type = "ReLU";
  /** It may write over its input. */
  override readonly inPlace = true;

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return input;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    return relu(x, { out });
  }
}

/** Softmax along an axis, `torch.nn.Softmax`. */
export class Softmax extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "Softmax";
  /** It may write over its input. */
  override readonly inPlace = true;

  /**
   * Describes the layer; it has no values yet.
   *
   * @param dim The axis; a negative one counts from the end.
   */
  constructor(readonly dim = -1) {
    super();
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return input;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    return softmax(x, this.dim, { out });
  }
}

/** Logarithm of the softmax along an axis, `torch.nn.LogSoftmax`. */
export class LogSoftmax extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "LogSoftmax";
  /** It may write over its input. */
  override readonly inPlace = true;

  /**
   * Describes the layer; it has no values yet.
   *
   * @param dim The axis; a negative one counts from the end.
   */
  constructor(readonly dim = -1) {
    super();
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return input;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    return logSoftmax(x, this.dim, { out });
  }
}
