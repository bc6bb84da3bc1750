/**
 * Other shapes for the same elements.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkAnyShape, checkInteger, checkTensor } from "../ops/checks.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { checkForward, type ForwardOptions, Layer, viewAs } from "./layer.ts";

/**
 * Gives each sample another shape, like `x.view(N, …)` in PyTorch: [N, …] → [N, ...sizes]. The result
 * is a view.
 *
 * @internal
 */
export class View extends Layer {
  /** The name of the method in PyTorch. */
  override readonly type = "View";

  /**
   * Creates the layer.
   *
   * @param sizes The shape of a sample.
   * @throws {ArgumentError} When a size is not a positive integer.
   */
  constructor(readonly sizes: readonly number[]) {
    super();
    for (const size of sizes) checkInteger(this.type, "a size", size, 1);
  }

  /** Always true: the output is a view of the input. */
  override get aliases(): boolean {
    return true;
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input, 1);
    if (elements(input.slice(1)) === elements(this.sizes)) return [input[0], ...this.sizes];
    const expected = `[N, …] with ${elements(this.sizes)} elements in each sample`;
    throw new ArgumentError(this.type, "the shape of x", input, expected);
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    checkForward(this.type, x, options);
    this.saveShape(x);
    return viewAs(this.type, x, this.outputShape(x.shape), options);
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy);
    return dy.view(this.recallShape());
  }
}
