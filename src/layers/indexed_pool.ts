/**
 * The base class of max pooling layers.
 *
 * @module
 */

import { maxPoolBackward, type MaxPoolResult } from "../ops/pool_nd.ts";
import type { Tensor } from "../tensor.ts";
import type { Repeatable } from "./forward.ts";
import { checkForward, type ForwardOptions, Layer } from "./layer.ts";

/**
 * The base class of max pooling layers. In training mode they save the positions of the maxima.
 *
 * @internal
 */
export abstract class IndexedPool extends Layer implements Repeatable {
  #indices: Tensor<Int32Array> | undefined;

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    return this.forward === IndexedPool.prototype.forward ? 0 : undefined;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    if (!this.training) return this.maxima(x, out);
    const { output, indices } = this.maximaWithIndices(x, out);
    this.#disposeIndices();
    this.#indices = indices;
    this.saveShape(x);
    return output;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const shape = this.recallShape();
    using indices = this.#indices!;
    this.#indices = undefined;
    return maxPoolBackward(dy, indices, shape);
  }

  /** See {@linkcode Layer.forget}. */
  override forget(): void {
    this.#disposeIndices();
    super.forget();
  }

  /** Computes the maxima. */
  protected abstract maxima(x: Tensor, out: Tensor | undefined): Tensor;

  /** Computes the maxima and their positions. */
  protected abstract maximaWithIndices(x: Tensor, out: Tensor | undefined): MaxPoolResult;

  #disposeIndices(): void {
    this.#indices?.dispose();
    this.#indices = undefined;
  }
}
