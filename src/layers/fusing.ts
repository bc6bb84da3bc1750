/**
 * What layers share that compute a ReLU together with their own output.
 *
 * @module
 */

import { reluBackward } from "../ops/activation.ts";
import type { Tensor } from "../tensor.ts";
import { Layer } from "./layer.ts";

/** A layer whose forward pass takes `activation`; it saves its input and, with a ReLU, its output. */
export abstract class FusingLayer extends Layer {
  /** A ReLU is computed with it. */
  override readonly fusesRelu = true;

  /** Takes dy back through the ReLU, if there was one, and hands on the saved input. */
  protected throughRelu<T>(dy: Tensor, body: (dy: Tensor, x: Tensor) => T): T {
    const [x, y] = this.recall();
    if (!y) return body(dy, x);
    using masked = reluBackward(dy, y);
    return body(masked, x);
  }
}
