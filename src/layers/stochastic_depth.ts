/**
 * Stochastic depth.
 *
 * @module
 */

import { mul } from "../ops/arithmetic.ts";
import { checkAnyShape, checkFraction, checkTensor } from "../ops/checks.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkForward, type ForwardOptions, Layer, viewAs } from "./layer.ts";

/**
 * Stochastic depth, `torchvision.ops.StochasticDepth` in mode "row": in training mode, each sample is
 * set to 0 with probability p and divided by 1 − p otherwise. In evaluation mode, the output is a
 * view of the input.
 */
export class StochasticDepth extends Layer {
  /** The name in `torchvision.ops`. */
  override readonly type = "StochasticDepth";
  /** See {@linkcode Layer.isRandom}. */
  override readonly isRandom = true;
  /** The factor of each sample in the last pass. */
  #factors: Tensor | undefined;

  /**
   * Creates the layer.
   *
   * @param p The probability of zeroing a sample in training mode.
   * @throws {ArgumentError} When p is not between 0 and 1.
   */
  constructor(readonly p: number) {
    super();
    checkFraction("StochasticDepth", "p", p);
  }

  /**
   * Whether the output is a view of the input: in evaluation mode, or with p = 0. Not in a class that
   * overrides the forward pass.
   */
  override get aliases(): boolean {
    return this.#keepsAll && this.forward === StochasticDepth.prototype.forward;
  }

  get #keepsAll(): boolean {
    return !this.training || this.p === 0;
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input, 1);
    return input;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    this.outputShape(x.shape);
    this.saveShape(x);
    if (this.#keepsAll) return viewAs(this.type, x, x.shape, options, !this.aliases);
    this.#forgetFactors();
    const samples = x.shape[0], factors = new Float32Array(samples);
    this.generator!.uniform(factors, 0, 1);
    const scaled = factors.map((value) => value < this.p ? 0 : 1 / (1 - this.p));
    this.#factors = x.backend.upload(scaled, [samples, ...x.shape.slice(1).map(() => 1)]);
    return mul(x, this.#factors, { out });
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy, this.recallShape());
    if (this.#keepsAll) return dy.view(dy.shape);
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
