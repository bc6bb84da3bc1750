/**
 * Adam with decoupled weight decay.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import { checkNonNegative } from "../ops/checks.ts";
import { checkOptions } from "../options.ts";
import type { Tensor } from "../tensor.ts";
import { Optimizer, type OptimizerSettings, type Trainable } from "./optimizer.ts";

/** Options of {@linkcode AdamW}, with PyTorch's names and defaults. */
export interface AdamWOptions {
  /** Learning rate. Default: 1e-3. */
  readonly lr?: number;
  /**
   * Decay rates of the running means of the gradient and of its square, from 0 to below 1. Default:
   * [0.9, 0.999].
   */
  readonly betas?: readonly [number, number];
  /** Added to the divisor to avoid division by 0. Default: 1e-8. */
  readonly eps?: number;
  /** Weight decay: each step multiplies the weights by 1 − lr · weightDecay. Default: 0.01. */
  readonly weightDecay?: number;
}

/**
 * Adam with decoupled weight decay, `torch.optim.AdamW` (Loshchilov & Hutter 2019). It keeps two
 * tensors for each parameter: the running means of the gradient and of its square.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Linear } from "../layers/mod.ts";
 * import { AdamW } from "./adamw.ts";
 *
 * using backend = await createBackend();
 * using layer = new Linear(1, 1, { bias: false }).init(backend).train();
 * using optimizer = new AdamW(layer, { lr: 0.1, weightDecay: 0 });
 * using x = backend.upload([1], [1, 1]);
 * using _y = layer.forward(x);
 * layer.backwardParameters(x);
 * const [before] = await layer.parameters.weight.read();
 * optimizer.step();
 * const [after] = await layer.parameters.weight.read();
 * console.log((before - after).toFixed(4)); // 0.1000: the first step is lr, whatever the gradient is
 * ```
 */
export class AdamW extends Optimizer {
  readonly #options: Required<AdamWOptions>;

  /**
   * Creates an optimiser of all parameters that require gradients.
   *
   * @param trainable A model, or parameters by name.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(trainable: Trainable, options: AdamWOptions = {}) {
    checkOptions("AdamW", options, ["lr", "betas", "eps", "weightDecay"]);
    const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 } = options;
    super(trainable, checkNonNegative("AdamW", "lr", lr));
    const isShare = (beta: unknown) => typeof beta === "number" && beta >= 0 && beta < 1;
    if (!Array.isArray(betas) || betas.length !== 2 || ![...betas].every(isShare)) {
      throw new ArgumentError("AdamW", "betas", betas, "two numbers from 0 to below 1");
    }
    checkNonNegative("AdamW", "eps", eps);
    checkNonNegative("AdamW", "weightDecay", weightDecay);
    this.#options = { lr, betas, eps, weightDecay };
  }

  /** See {@linkcode Optimizer.settings}. */
  override get settings(): OptimizerSettings {
    return { type: "AdamW", betas: this.#options.betas };
  }

  /** See {@linkcode Optimizer.stateKinds}. */
  protected override get stateKinds(): readonly string[] {
    return ["mean", "square"];
  }

  /** See {@linkcode Optimizer.update}. */
  protected override update(name: string, w: Tensor, dw: Tensor): void {
    const { betas: [beta1, beta2], eps, weightDecay } = this.#options;
    const mean = this.state("mean", name, w), square = this.state("square", name, w);
    // as in PyTorch, each parameter counts its own steps
    const steps = Math.max(1, this.steps - (this.missed.get(name) ?? 0));
    kernelsOf(w).adamwStep(w, dw, mean, square, {
      shrink: 1 - this.lr * weightDecay,
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      step: this.lr / (1 - beta1 ** steps),
      root: Math.sqrt(1 - beta2 ** steps),
      eps,
    });
  }
}
