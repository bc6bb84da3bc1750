/**
 * Activations.
 *
 * @module
 */

import {
  logSoftmax,
  logSoftmaxBackward,
  relu,
  reluBackward,
  softmax,
  softmaxBackward,
} from "../ops/activation.ts";
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
    const y = relu(x, { out });
    this.save(y);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const [y] = this.recall();
    return reluBackward(dy, y);
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
    const y = softmax(x, this.dim, { out });
    this.save(y);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const [y] = this.recall();
    return softmaxBackward(dy, y, this.dim);
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
    const y = logSoftmax(x, this.dim, { out });
    this.save(y);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const [y] = this.recall();
    return logSoftmaxBackward(dy, y, this.dim);
  }
}
