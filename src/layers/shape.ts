/**
 * Flatten and dropout.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { dropout } from "../ops/dropout.ts";
import { checkAnyShape, checkFraction, checkTensor } from "../ops/checks.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { checkForward, type ForwardOptions, Layer, viewAs } from "./layer.ts";
import { View } from "./view.ts";

/**
 * Joins all axes but the first, `torch.nn.Flatten`: [N, …] → [N, features]. The result is a view.
 */
export class Flatten extends View {
  /** The name in `torch.nn`. */
  override readonly type = "Flatten";

  /**
   * Creates the layer.
   *
   * @param startDim The first axis to join: 1. Use {@linkcode Reshape} for others.
   * @param endDim The last one: −1.
   * @throws {ArgumentError} When they are others.
   */
  constructor(startDim = 1, endDim = -1) {
    super();
    if (startDim === 1 && endDim === -1) return;
    const expected = "1 and -1; use Reshape for others";
    throw new ArgumentError("Flatten", "startDim and endDim", [startDim, endDim], expected);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input, 1);
    return [input[0], elements(input.slice(1))];
  }
}

/**
 * Dropout, `torch.nn.Dropout`. In training mode, each element is set to 0 with probability p and
 * divided by 1 − p otherwise. In evaluation mode, the output is a view of the input.
 */
export class Dropout extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "Dropout";
  /** See {@linkcode Layer.isRandom}. */
  override readonly isRandom = true;
  #seed: number | undefined;

  /**
   * Creates the layer.
   *
   * @param p The probability of zeroing an element in training mode.
   * @throws {ArgumentError} When p is not between 0 and 1.
   */
  constructor(readonly p = 0.5) {
    super();
    checkFraction("Dropout", "p", p);
  }

  /**
   * Whether the output is a view of the input: in evaluation mode, or with p = 0. Not in a class that
   * overrides the forward pass.
   */
  override get aliases(): boolean {
    return this.#keepsAll && this.forward === Dropout.prototype.forward;
  }

  get #keepsAll(): boolean {
    return !this.training || this.p === 0;
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input);
    return input;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    checkForward(this.type, x, options);
    this.saveShape(x);
    if (this.#keepsAll) return viewAs(this.type, x, x.shape, options, !this.aliases);
    this.#seed = this.generator!.random();
    return dropout(x, this.p, this.#seed, { out: options.out });
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy, this.recallShape());
    // The same seed drops the same elements.
    return this.#keepsAll ? dy.view(dy.shape) : dropout(dy, this.p, this.#seed!);
  }
}
