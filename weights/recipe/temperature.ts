/**
 * Fits the temperature of a model to images that it was not trained on.
 *
 * @module
 */

import type { Classifier } from "../../mod.ts";
import type { Images } from "./sheets.ts";

/** Images in a forward pass. */
const batch = 64;

/** Fits the temperature of a model to images, which are preprocessed like photos. */
export async function temperatureFor(
  model: Classifier,
  { length, size, pixels, labels }: Images,
): Promise<number> {
  const logits = new Float32Array(length * model.numClasses), bytes = size * size * 3;
  for (let start = 0; start < length; start += batch) {
    const n = Math.min(batch, length - start), shape = model.inputShape(n);
    const count = shape.reduce((a, b) => a * b) / n, values = new Float32Array(n * count);
    for (let i = 0; i < n; i++) {
      const data = pixels.subarray((start + i) * bytes, (start + i + 1) * bytes);
      values.set(model.preprocess({ width: size, height: size, data }), i * count);
    }
    using x = model.backend.upload(values, shape);
    using y = model.forward(x);
    logits.set(await y.read(), start * model.numClasses);
  }
  return fitTemperature(logits, labels);
}

/**
 * Returns the temperature that logits are to be divided by for the smallest mean cross-entropy, from
 * 1/100 to 100, rounded to four digits.
 *
 * The cross-entropy is a convex function of β = 1 / temperature. Its derivative is the mean of
 * Σ softmax(β · logits) · logits − the logit of the label.
 */
export function fitTemperature(logits: Float32Array, labels: ArrayLike<number>): number {
  let [low, high] = [0.01, 100];
  for (let i = 0; i < 60; i++) {
    const beta = Math.sqrt(low * high);
    if (slopeAt(beta, logits, labels) < 0) low = beta;
    else high = beta;
  }
  return Number((1 / Math.sqrt(low * high)).toPrecision(4));
}

/** The derivative of the summed cross-entropy with respect to β. */
function slopeAt(beta: number, logits: Float32Array, labels: ArrayLike<number>): number {
  const classes = logits.length / labels.length;
  let slope = 0;
  for (let n = 0; n < labels.length; n++) {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    const largest = row.reduce((a, b) => Math.max(a, b));
    let sum = 0, weighted = 0;
    for (const logit of row) {
      const power = Math.exp(beta * (logit - largest));
      sum += power;
      weighted += power * logit;
    }
    slope += weighted / sum - row[labels[n]];
  }
  return slope;
}
