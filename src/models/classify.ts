/**
 * From pixels to the classes a model finds most probable.
 *
 * @module
 */

import { type ClassName, imagenetClasses } from "./imagenet_classes.ts";
import { ArgumentError, PembrokeError } from "../errors.ts";
import type { Layer } from "../layers/layer.ts";
import { LinearWeight } from "../layers/linear_weight.ts";
import type { Sequential } from "../layers/sequential.ts";
import { softmax } from "../ops/activation.ts";
import type { Tensor } from "../tensor.ts";

/** A class and how probable the model holds it. */
export interface Prediction extends ClassName {
  /** The class's number in the model. */
  readonly index: number;
  /** From 0 to 1; all classes together give 1. */
  readonly probability: number;
}

/** The names of a model's classes when nothing else names them: ImageNet's for 1000, or numbers. */
export function classNames(numClasses: number): readonly ClassName[] {
  if (numClasses === imagenetClasses.length) return imagenetClasses;
  return Array.from({ length: numClasses }, (_, i) => ({ wnid: "", label: `class ${i}` }));
}

/**
 * Runs a classifier and picks the `topK` most probable classes of every sample, the lower index
 * first among equals.
 *
 * @param x A batch of preprocessed images, [N, 3, H, W].
 * @param classes A name for every class.
 * @throws {PembrokeError} When the output is not a number, naming the parameter that holds NaN.
 */
export async function topClasses(
  model: Sequential,
  x: Tensor,
  classes: readonly ClassName[],
  topK: number,
): Promise<Prediction[][]> {
  if (!Number.isInteger(topK) || topK < 1) {
    throw new ArgumentError("classify", "topK", topK, "a positive integer");
  }
  if (model.training) {
    throw new PembrokeError(
      `${model.type}: in training mode classes are random; call eval() first`,
    );
  }
  using logits = model.forward(x);
  softmax(logits, -1, { out: logits });
  const probabilities = await logits.read();
  if (probabilities.some(Number.isNaN)) {
    const culprit = await findNonFinite(model);
    const reason = culprit ? `${culprit} holds NaN or infinity` : "its values overflow float32";
    throw new PembrokeError(`the output of ${model.type} is not a number: ${reason}`);
  }
  return Array.from({ length: logits.shape[0] }, (_, n) => {
    const row = probabilities.subarray(n * classes.length, (n + 1) * classes.length);
    return largest(row, topK).map((index) => ({
      index,
      ...classes[index],
      probability: row[index],
    }));
  });
}

/**
 * The first parameter that holds NaN or infinity, by name: what to blame for an output that is not
 * a number. Undefined if there is none.
 */
async function findNonFinite(model: Layer): Promise<string | undefined> {
  for (const [name, parameter] of model.stateDict()) {
    const { quantized, half } = parameter instanceof LinearWeight ? parameter : {};
    const values = await (parameter.tensor ?? quantized?.scale)?.read();
    if (values?.some((value) => !Number.isFinite(value))) return name;
    const bits = await half?.read();
    if (bits?.some((value) => (value & 0x7c00) === 0x7c00)) return name;
  }
  return undefined;
}

/** The indices of the k largest values, the lower index first among equals. */
function largest(values: Float32Array, k: number): number[] {
  return Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b).slice(0, k);
}
