/**
 * Gradient clipping.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import { parametersOf, type Trainable } from "./optimizer.ts";

/**
 * Scales all gradients so that the norm of all of them together is at most `maxNorm`,
 * `torch.nn.utils.clip_grad_norm_` (Pascanu et al. 2013). Call it after the backward pass and before
 * the optimiser's step. A {@linkcode Trainer} does so if it has the option `clipNorm`.
 *
 * @param trainable A model, or parameters by name. Parameters without a gradient are skipped.
 * @param maxNorm The largest norm: the root of the sum of all squared gradients.
 * @returns The norm before scaling.
 * @throws {ArgumentError} When `maxNorm` is not above 0.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Linear } from "../layers/mod.ts";
 * import { clipGradNorm } from "./clip.ts";
 *
 * using backend = await createBackend();
 * using layer = new Linear(2, 1, { bias: false }).init(backend).train();
 * using x = backend.upload([3, 4], [1, 2]), dy = backend.upload([1], [1, 1]);
 * using _y = layer.forward(x);
 * layer.backwardParameters(dy); // the gradient of the weights is dy · x
 * console.log(await clipGradNorm(layer, 1)); // 5
 * console.log(await layer.parameters.weight.grad!.read()); // 0.6, 0.8
 * ```
 */
export async function clipGradNorm(trainable: Trainable, maxNorm: number): Promise<number> {
  if (typeof maxNorm !== "number" || !(maxNorm > 0)) {
    throw new ArgumentError("clipGradNorm", "maxNorm", maxNorm, "above 0");
  }
  const all = parametersOf("clipGradNorm", trainable);
  const gradients = [...all.values()].flatMap(({ grad }) => grad ?? []);
  const squares = await Promise.all(gradients.map((grad) => kernelsOf(grad).squaredNorm(grad)));
  const norm = Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  const factor = maxNorm / (norm + 1e-6);
  if (factor < 1) { for (const grad of gradients) kernelsOf(grad).axpby(grad, grad, factor, 0); }
  return norm;
}
