/**
 * Fits the temperature of a model to images that it was not trained on.
 *
 * @module
 */

import type { Classifier } from "../../mod.ts";
import type { ImageDataset } from "./dataset.ts";

/** Images in a forward pass. */
const batch = 64;

/** Fits the temperature of a model to the images of a dataset. */
export async function temperatureFor(model: Classifier, data: ImageDataset): Promise<number> {
  const logits = new Float32Array(data.length * model.numClasses), labels: number[] = [];
  for (let start = 0; start < data.length; start += batch) {
    const n = Math.min(batch, data.length - start), [, ...sample] = model.inputShape();
    const size = sample.reduce((a, b) => a * b), values = new Float32Array(n * size);
    for (let i = 0; i < n; i++) {
      labels.push(await data.read(start + i, values.subarray(i * size, (i + 1) * size)));
    }
    using x = model.backend.upload(values, [n, ...sample]);
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
export function fitTemperature(logits: Float32Array, labels: readonly number[]): number {
  let [low, high] = [0.01, 100];
  for (let i = 0; i < 60; i++) {
    const beta = Math.sqrt(low * high);
    if (slopeAt(beta, logits, labels) < 0) low = beta;
    else high = beta;
  }
  return Number((1 / Math.sqrt(low * high)).toPrecision(4));
}

/** The derivative of the summed cross-entropy with respect to β. */
function slopeAt(beta: number, logits: Float32Array, labels: readonly number[]): number {
  const classes = logits.length / labels.length;
  let slope = 0;
  for (const [n, label] of labels.entries()) {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    const largest = row.reduce((a, b) => Math.max(a, b));
    let sum = 0, weighted = 0;
    for (const logit of row) {
      const power = Math.exp(beta * (logit - largest));
      sum += power;
      weighted += power * logit;
    }
    slope += weighted / sum - row[label];
  }
  return slope;
}
