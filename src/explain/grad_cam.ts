/**
 * Grad-CAM.
 *
 * @module
 */

import type { Classifier } from "../models/classifier.ts";
import type { Tensor } from "../tensor.ts";
import { featureMapIndex, scoresIndex } from "./feature_map.ts";
import { GradientGraph } from "./gradient_graph.ts";
import { type HeatMap, normalised } from "./heat_map.ts";

/**
 * Computes where the network found each class (Selvaraju et al. 2017): ReLU(Σ w[k] · A[k]), with A the
 * last map of features, and w[k] the mean of the gradient of the class's score with respect to A[k].
 * The largest value becomes 1.
 *
 * @param x A preprocessed image, [1, C, H, W].
 * @param classes The indices of classes.
 * @returns A map for each class, in the size of A: 13×13 for SqueezeNet, 7×7 for ResNet.
 * @throws {PembrokeError} When the network is in training mode, or has no such map.
 */
export async function gradCam(
  model: Classifier,
  x: Tensor,
  classes: readonly number[],
): Promise<HeatMap[]> {
  const { nodes } = model.expand(), from = featureMapIndex(model);
  using graph = await GradientGraph.make(nodes, from, scoresIndex(model));
  using outputs = model.outputsOf(x, [nodes[from].name]);
  const [features] = outputs;
  const [, channels, height, width] = features.shape;
  const activations = await features.read(), maps: HeatMap[] = [];
  for (const index of classes) {
    using gradient = graph.gradient(features, index);
    const sums = weightedSum(activations, await gradient.read(), channels);
    maps.push({ width, height, heat: normalised(sums, sums.reduce((a, b) => Math.max(a, b), 0)) });
  }
  return maps;
}

/** The sum of all channels, each times the mean of its gradient. */
function weightedSum(
  activations: Float32Array,
  gradients: Float32Array,
  channels: number,
): Float32Array {
  const size = activations.length / channels, sums = new Float32Array(size);
  for (let c = 0; c < channels; c++) {
    const plane = activations.subarray(c * size, (c + 1) * size);
    const weight = gradients.subarray(c * size, (c + 1) * size).reduce((a, b) => a + b, 0) / size;
    for (let i = 0; i < size; i++) sums[i] += weight * plane[i];
  }
  return sums;
}
