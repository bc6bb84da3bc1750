/**
 * Softmax layers.
 *
 * @module
 */

import { checkAnyShape, checkAxis, checkIndex } from "../ops/checks.ts";
import { logSoftmax, logSoftmaxBackward, softmax, softmaxBackward } from "../ops/softmax.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkForward, type ForwardOptions, Layer } from "./layer.ts";

/**
 * The base class of softmax and log-softmax. The backward pass needs the output only.
 *
 * @internal
 */
export abstract class AxisActivation extends Layer {
  /** The forward pass may overwrite its input. */
  override readonly inPlace: boolean = this.forward === AxisActivation.prototype.forward;

  /**
   * Creates the layer.
   *
   * @param op The name of the class in error messages.
   * @param dim The axis. Negative values count from the last axis.
   */
  constructor(op: string, readonly dim: number) {
    super();
    checkIndex(op, "dim", dim);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input);
    checkAxis(this.type, this.dim, input);
    return input;
  }

  /** See {@linkcode Layer.forward}. `out` may be x. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    const y = this.compute(x, out);
    this.save(y);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const [y] = this.recall();
    return this.gradient(dy, y);
  }

  /** Computes the output. */
  protected abstract compute(x: Tensor, out: Tensor | undefined): Tensor;

  /** Computes dx from dy and the output. */
  protected abstract gradient(dy: Tensor, y: Tensor): Tensor;
}

/** Softmax along an axis, `torch.nn.Softmax`. */
export class Softmax extends AxisActivation {
  /** The name in `torch.nn`. */
  override readonly type = "Softmax";

  /**
   * Creates the layer.
   *
   * @param dim The axis. Negative values count from the last axis. Default: −1.
   */
  constructor(dim: number = -1) {
    super("Softmax", dim);
  }

  /** See {@linkcode softmax}. */
  protected override compute(x: Tensor, out: Tensor | undefined): Tensor {
    return softmax(x, this.dim, { out });
  }

  /** See {@linkcode softmaxBackward}. */
  protected override gradient(dy: Tensor, y: Tensor): Tensor {
    return softmaxBackward(dy, y, this.dim);
  }
}

/** The logarithm of the softmax along an axis, `torch.nn.LogSoftmax`. */
export class LogSoftmax extends AxisActivation {
  /** The name in `torch.nn`. */
  override readonly type = "LogSoftmax";

  /**
   * Creates the layer.
   *
   * @param dim The axis. Negative values count from the last axis. Default: −1.
   */
  constructor(dim: number = -1) {
    super("LogSoftmax", dim);
  }

  /** See {@linkcode logSoftmax}. */
  protected override compute(x: Tensor, out: Tensor | undefined): Tensor {
    return logSoftmax(x, this.dim, { out });
  }

  /** See {@linkcode logSoftmaxBackward}. */
  protected override gradient(dy: Tensor, y: Tensor): Tensor {
    return logSoftmaxBackward(dy, y, this.dim);
  }
}
