/**
 * Predictions of a classifier.
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

/** A class and its probability. */
export interface Prediction extends ClassName {
  /** The index of the class in the model. */
  readonly index: number;
  /** The softmax of the logits: from 0 to 1, and the sum over all classes is 1. */
  readonly probability: number;
}

/** Returns the default names of classes: ImageNet's for 1000, else "class 0", "class 1", … */
export function classNames(numClasses: number): readonly ClassName[] {
  if (numClasses === imagenetClasses.length) return imagenetClasses;
  return Array.from({ length: numClasses }, (_, i) => ({ wnid: "", label: `class ${i}` }));
}

/**
 * Runs a classifier and returns the `topK` most probable classes of every sample. Of equally
 * probable classes, the lower index comes first.
 *
 * @param x A batch of preprocessed images, [N, 3, H, W].
 * @param classes The names of the classes.
 * @throws {ArgumentError} When `topK` is not a positive integer.
 * @throws {PembrokeError} When the model is in training mode, or its output is NaN. The message
 * names the parameter that holds NaN.
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
    throw new PembrokeError(`${model.type}: cannot classify in training mode; call eval() first`);
  }
  using logits = model.forward(x);
  softmax(logits, -1, { out: logits });
  const probabilities = await logits.read();
  if (probabilities.some(Number.isNaN)) {
    const parameter = await findNonFinite(model);
    const reason = parameter ? `${parameter} holds NaN or infinity` : "its values overflow float32";
    throw new PembrokeError(`the output of ${model.type} is not a number: ${reason}`);
  }
  return Array.from({ length: logits.shape[0] }, (_, n) => {
    const row = probabilities.subarray(n * classes.length, (n + 1) * classes.length);
    return largestIndices(row, topK).map((index) => ({
      index,
      ...classes[index],
      probability: row[index],
    }));
  });
}

/** Returns the name of the first parameter that holds NaN or infinity, if there is one. */
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

/** Returns the indices of the k largest values. Of equal values, the lower index comes first. */
function largestIndices(values: Float32Array, k: number): number[] {
  return Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b).slice(0, k);
}
