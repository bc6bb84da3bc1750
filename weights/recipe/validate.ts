/**
 * How good the network is on images it never learned from.
 *
 * @module
 */

import { kernelsOf } from "../../src/backend/interface.ts";
import type { Layer } from "../../src/layers/mod.ts";
import { crossEntropy } from "../../src/ops/mod.ts";
import { ranksOf } from "../../src/train/evaluate.ts";
import { type Dataset, readBatch } from "../../src/train/mod.ts";

/** What validation finds. */
export interface Validation {
  /** Mean cross-entropy. */
  readonly loss: number;
  /** Share of images whose class was found most probable. */
  readonly top1: number;
  /** Share of images whose class was among the five most probable. */
  readonly top5: number;
  /** As `top1`, for the mean of an image's logits and those of its mirror image. */
  readonly top1Mirrored: number;
}

/** Runs the network in evaluation mode over images and over the same images mirrored. */
export async function validate(
  model: Layer,
  images: Dataset,
  mirrored: Dataset,
  batchSize: number,
): Promise<Validation> {
  model.eval();
  let loss = 0, top1 = 0, top5 = 0, top1Mirrored = 0;
  for (let start = 0; start < images.length; start += batchSize) {
    const n = Math.min(batchSize, images.length - start);
    const indices = Array.from({ length: n }, (_, i) => start + i);
    const batch = await readBatch(images, indices), other = await readBatch(mirrored, indices);
    using x = model.backend.upload(batch.values, batch.shape);
    using logits = model.forward(x);
    const result = crossEntropy(logits, batch.labels);
    result.gradient.dispose();
    using mean = result.loss;
    model.backend.write(x, other.values);
    using otherLogits = model.forward(x);
    const ranks = ranksOf(await logits.read(), batch.labels);
    kernelsOf(logits).axpby(otherLogits, logits, 1, 1); // the sum ranks as the mean does
    const ranksOfBoth = ranksOf(await otherLogits.read(), batch.labels);
    loss += (await mean.read())[0] * n;
    top1 += ranks.filter((rank) => rank < 1).length;
    top5 += ranks.filter((rank) => rank < 5).length;
    top1Mirrored += ranksOfBoth.filter((rank) => rank < 1).length;
  }
  const share = (sum: number) => sum / images.length;
  return {
    loss: share(loss),
    top1: share(top1),
    top5: share(top5),
    top1Mirrored: share(top1Mirrored),
  };
}
