/**
 * The statistics of batch normalisation for images without augmentation.
 *
 * @module
 */

import { type Classifier, RandomGenerator } from "../../mod.ts";
import type { ImageDataset } from "./dataset.ts";

/** A prime number, so that a batch has images of many classes: datasets are sorted by class. */
const stride = 7919;

/**
 * Updates the running statistics of a model from a dataset. They are moving averages;
 * `torch.optim.swa_utils.update_bn` computes the mean of all batches instead.
 *
 * Random crops show objects larger than they are in the images that the model is used with, and shift
 * the statistics (Touvron et al. 2019, "Fixing the train-test resolution discrepancy").
 */
export async function updateStatistics(
  model: Classifier,
  data: ImageDataset,
  batch: number,
): Promise<void> {
  const { length, sampleShape } = data, { backend } = model;
  const size = sampleShape.reduce((a, b) => a * b), values = new Float32Array(batch * size);
  model.train(new RandomGenerator(0)); // dropout, which the statistics do not depend on, needs one
  try {
    for (let step = 0; step < Math.floor(length / batch); step++) {
      for (let i = 0; i < batch; i++) {
        const index = (step * batch + i) * stride % length;
        await data.read(index, values.subarray(i * size, (i + 1) * size));
      }
      using x = backend.upload(values, [batch, ...sampleShape]);
      using _ = model.forward(x);
    }
  } finally {
    model.forget();
    model.eval();
  }
}
