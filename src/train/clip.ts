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
 * `torch.nn.utils.clip_grad_norm_` (Pascanu et al. 2013).
 *
 * @param trainable A model, or parameters by name.
 * @returns The norm before scaling.
 * @throws {ArgumentError} When `maxNorm` is not above 0.
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
