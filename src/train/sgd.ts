/**
 * Stochastic gradient descent.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import { checkBoolean, checkNonNegative } from "../ops/checks.ts";
import { checkOptions } from "../options.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { Optimizer, type OptimizerSettings, parametersOf, type Trainable } from "./optimizer.ts";

/** Options of {@linkcode SGD}, with PyTorch's names. */
export interface SGDOptions {
  /** Learning rate. */
  readonly lr: number;
  /** The share of the velocity that the next step keeps. Default: 0. */
  readonly momentum?: number;
  /**
   * The factor of the weights that is added to the gradient. A function returns it for each
   * parameter, like PyTorch's parameter groups. Default: 0.
   */
  readonly weightDecay?: number | ((name: string, shape: Shape) => number);
  /** Uses Nesterov momentum (Sutskever et al. 2013). Default: false. */
  readonly nesterov?: boolean;
}

/**
 * Stochastic gradient descent, `torch.optim.SGD`. With g = dw + weightDecay·w and v = momentum·v +
 * g, a step is w −= lr·v, or w −= lr·(g + momentum·v) with Nesterov momentum.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Linear } from "../layers/mod.ts";
 * import { SGD } from "./sgd.ts";
 *
 * using backend = await createBackend();
 * using layer = new Linear(1, 1, { bias: false }).init(backend).train();
 * using optimizer = new SGD(layer, { lr: 0.1 });
 * using x = backend.upload([1], [1, 1]);
 * using y = layer.forward(x);
 * layer.backwardParameters(x); // dw = dy · x = 1
 * const [before] = await layer.parameters.weight.read();
 * optimizer.step();
 * const [after] = await layer.parameters.weight.read();
 * console.log(before - after); // 0.1
 * ```
 */
export class SGD extends Optimizer {
  /** The weight decay of each parameter. */
  readonly #decays = new Map<string, number>();

  /**
   * Creates an optimiser of all parameters that require gradients.
   *
   * @param trainable A model, or parameters by name.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(trainable: Trainable, readonly options: SGDOptions) {
    checkOptions("SGD", options, ["lr", "momentum", "weightDecay", "nesterov"]);
    super(trainable, checkNonNegative("SGD", "lr", options.lr));
    const { momentum = 0, weightDecay = 0, nesterov = false } = options;
    checkBoolean("SGD", "nesterov", nesterov);
    checkNonNegative("SGD", "momentum", momentum);
    for (const [name, { shape, isBuffer }] of parametersOf("SGD", trainable)) {
      if (isBuffer) continue; // frozen parameters may be trained later
      const decay = typeof weightDecay === "function" ? weightDecay(name, shape) : weightDecay;
      this.#decays.set(name, checkNonNegative("SGD", "weightDecay", decay));
    }
    if (nesterov && momentum === 0) {
      throw new ArgumentError("SGD", "momentum", momentum, "above 0 with nesterov");
    }
  }

  /** See {@linkcode Optimizer.settings}. */
  override get settings(): OptimizerSettings {
    const { momentum = 0, nesterov = false } = this.options;
    return { type: "SGD", momentum, nesterov };
  }

  /** See {@linkcode Optimizer.stateKinds}. */
  protected override get stateKinds(): readonly string[] {
    const { momentum = 0 } = this.options;
    return momentum === 0 ? [] : ["velocity"];
  }

  /** See {@linkcode Optimizer.update}. */
  protected override update(name: string, w: Tensor, dw: Tensor): void {
    const { momentum = 0, nesterov = false } = this.options;
    const weightDecay = this.#decays.get(name)!;
    const velocity = momentum === 0 ? null : this.state("velocity", name, w); // at first 0
    kernelsOf(w).sgdStep(w, dw, velocity, { lr: this.lr, momentum, weightDecay, nesterov });
  }
}
