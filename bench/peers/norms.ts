/**
 * Random batch normalisations.
 *
 * @module
 */

import type { Classifier } from "../../mod.ts";
import { BatchNorm } from "../../src/layers/mod.ts";
import { randomImages, uniform } from "./random.ts";

/** The number of images for the statistics. */
const batch = 2;

/** How far values deviate from those of a plain normalisation. */
const deviation = 0.2;

/**
 * Gives batch normalisations the statistics of random images, and random deviations from them. So
 * activations stay in the usual range, and a program that confuses any values computes other logits.
 */
export async function randomiseNorms(model: Classifier, seed: number): Promise<void> {
  const norms = model.leaves().map(([, layer]) => layer).filter((l) => l instanceof BatchNorm);
  if (norms.length === 0) return;
  let nextSeed = seed;
  const deviations = (size: number) => uniform(size, deviation, nextSeed++);
  for (const { parameters: { weight, bias, running_mean, running_var }, numFeatures } of norms) {
    weight!.write(deviations(numFeatures).map((d) => 1 + d));
    bias!.write(deviations(numFeatures));
    running_mean.write(new Float32Array(numFeatures));
    running_var.write(new Float32Array(numFeatures));
  }
  measureStatistics(model, nextSeed++);
  for (const { parameters: { running_mean, running_var }, options, numFeatures } of norms) {
    // The running statistics started at 0, so they are those of the batch times the momentum.
    const { momentum = 0.1 } = options;
    const mean = (await running_mean.tensor!.read()).map((v) => v / momentum);
    const variance = (await running_var.tensor!.read()).map((v) => v / momentum);
    const shifts = deviations(numFeatures), factors = deviations(numFeatures);
    running_mean.write(mean.map((v, c) => v + shifts[c] * Math.sqrt(variance[c])));
    running_var.write(variance.map((v, c) => v * (1 + factors[c])));
  }
}

/** Runs one batch in training mode, which updates the running statistics. */
function measureStatistics(model: Classifier, seed: number): void {
  const shape = model.inputShape(batch);
  model.train();
  using x = model.backend.upload(randomImages(batch, seed, shape.slice(1)), shape);
  using _y = model.forward(x);
  model.eval();
}
