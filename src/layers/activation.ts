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

/**
 * What softmax and its logarithm share: the axis, and an output that the backward pass needs.
 *
 * @internal
 */
export abstract class AlongAxis extends Layer {
  /** It may write over its input. */
  override readonly inPlace = true;

  /**
   * Describes the layer.
   *
   * @param dim The axis; a negative one counts from the end.
   */
  constructor(readonly dim: number = -1) {
    super();
  }

  /** The input's own shape. */
  override outputShape(input: Shape): Shape {
    return input;
  }

  /** The function along the axis; `out` may be x. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    const y = this.compute(x, out);
    this.save(y);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const [y] = this.recall();
    return this.gradient(dy, y);
  }

  /** The operation. */
  protected abstract compute(x: Tensor, out: Tensor | undefined): Tensor;

  /** The gradient of its input, from those of its output and the output itself. */
  protected abstract gradient(dy: Tensor, y: Tensor): Tensor;
}

/** Softmax along an axis, `torch.nn.Softmax`. */
export class Softmax extends AlongAxis {
  /** The name in `torch.nn`. */
  override readonly type = "Softmax";

  /** See {@linkcode softmax}. */
  protected override compute(x: Tensor, out: Tensor | undefined): Tensor {
    return softmax(x, this.dim, { out });
  }

  /** See {@linkcode softmaxBackward}. */
  protected override gradient(dy: Tensor, y: Tensor): Tensor {
    return softmaxBackward(dy, y, this.dim);
  }
}

/** Logarithm of the softmax along an axis, `torch.nn.LogSoftmax`. */
export class LogSoftmax extends AlongAxis {
  /** The name in `torch.nn`. */
  override readonly type = "LogSoftmax";

  /** See {@linkcode logSoftmax}. */
  protected override compute(x: Tensor, out: Tensor | undefined): Tensor {
    return logSoftmax(x, this.dim, { out });
  }

  /** See {@linkcode logSoftmaxBackward}. */
  protected override gradient(dy: Tensor, y: Tensor): Tensor {
    return logSoftmaxBackward(dy, y, this.dim);
  }
}
