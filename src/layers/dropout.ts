/**
 * Layers that drop elements or samples at random in training mode.
 *
 * @module
 */

import { mul } from "../ops/arithmetic.ts";
import { checkAnyShape, checkFraction, checkTensor } from "../ops/checks.ts";
import { dropout } from "../ops/dropout.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkForward, type ForwardOptions, Layer, viewAs } from "./layer.ts";

/**
 * The base class of layers that drop parts of their input in training mode.
 *
 * @internal
 */
abstract class RandomDrop extends Layer {
  /** See {@linkcode Layer.isRandom}. */
  override readonly isRandom = true;

  constructor(type: string, readonly p: number) {
    super();
    checkFraction(type, "p", p);
  }

  /**
   * Whether the output is a view of the input: in evaluation mode, or with p = 0. Not in a class that
   * overrides the forward pass.
   */
  override get aliases(): boolean {
    return this.#keepsAll && this.forward === RandomDrop.prototype.forward;
  }

  get #keepsAll(): boolean {
    return !this.training || this.p === 0;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    this.outputShape(x.shape);
    this.saveShape(x);
    if (this.#keepsAll) return viewAs(this.type, x, x.shape, options, !this.aliases);
    return this.drop(x, out);
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy, this.recallShape());
    return this.#keepsAll ? dy.view(dy.shape) : this.dropAgain(dy);
  }

  /** Chooses at random which parts to drop, and drops them. */
  protected abstract drop(x: Tensor, out: Tensor | undefined): Tensor;

  /** Drops the same parts of dy as the last forward pass did of its input. */
  protected abstract dropAgain(dy: Tensor): Tensor;
}

/**
 * Dropout, `torch.nn.Dropout`. In training mode, each element is set to 0 with probability p and
 * divided by 1 − p otherwise. In evaluation mode, the output is a view of the input.
 */
export class Dropout extends RandomDrop {
  /** The name in `torch.nn`. */
  override readonly type = "Dropout";
  #seed = 0;

  /**
   * Creates the layer.
   *
   * @param p The probability of zeroing an element in training mode. Default: 0.5.
   * @throws {ArgumentError} When p is not between 0 and 1.
   */
  constructor(p = 0.5) {
    super("Dropout", p);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input);
    return input;
  }

  /** Draws a seed, and drops elements. */
  protected override drop(x: Tensor, out: Tensor | undefined): Tensor {
    this.#seed = this.generator!.random();
    return dropout(x, this.p, this.#seed, { out });
  }

  /** Drops the same elements of dy, because the seed is the same. */
  protected override dropAgain(dy: Tensor): Tensor {
    return dropout(dy, this.p, this.#seed);
  }
}

/**
 * Stochastic depth, `torchvision.ops.StochasticDepth` in mode "row": in training mode, each sample is
 * set to 0 with probability p and divided by 1 − p otherwise. In evaluation mode, the output is a
 * view of the input.
 */
export class StochasticDepth extends RandomDrop {
  /** The name in `torchvision.ops`. */
  override readonly type = "StochasticDepth";
  /** The factor of each sample in the last pass. */
  #factors: Tensor | undefined;

  /**
   * Creates the layer.
   *
   * @param p The probability of zeroing a sample in training mode.
   * @throws {ArgumentError} When p is not between 0 and 1.
   */
  constructor(p: number) {
    super("StochasticDepth", p);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input, 1);
    return input;
  }

  /** Draws the factors, and multiplies the samples by them. */
  protected override drop(x: Tensor, out: Tensor | undefined): Tensor {
    this.#forgetFactors();
    const samples = x.shape[0], factors = new Float32Array(samples);
    this.generator!.uniform(factors, 0, 1);
    const scaled = factors.map((value) => value < this.p ? 0 : 1 / (1 - this.p));
    this.#factors = x.backend.upload(scaled, [samples, ...x.shape.slice(1).map(() => 1)]);
    return mul(x, this.#factors, { out });
  }

  /** Multiplies dy by the same factors, and frees them. */
  protected override dropAgain(dy: Tensor): Tensor {
    using factors = this.#factors!;
    this.#factors = undefined;
    return mul(dy, factors);
  }

  /** See {@linkcode Layer.forget}. */
  override forget(): void {
    this.#forgetFactors();
    super.forget();
  }

  #forgetFactors(): void {
    this.#factors?.dispose();
    this.#factors = undefined;
  }
}
