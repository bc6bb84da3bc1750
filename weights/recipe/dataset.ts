/**
 * A dataset of images in memory, with optional augmentation.
 *
 * @module
 */

import type { Dataset, Preprocessing } from "../../mod.ts";
import { type Augmentation, drawView, plainView, Renderer } from "./augment.ts";
import type { Images } from "./sheets.ts";

/** Options of {@linkcode imageDataset}. */
export interface ImageDatasetOptions {
  /** The mean and deviation of the colours. */
  readonly statistics: Pick<Preprocessing, "mean" | "std">;
  /** The augmentation for reads with a random generator. Default: none. */
  readonly augmentation?: Augmentation;
  /** Mirrors images that are not augmented. Default false. */
  readonly mirrored?: boolean;
}

/** Creates a dataset of normalised images, [3, size, size]. */
export function imageDataset(images: Images, options: ImageDatasetOptions): Dataset {
  const { size, pixels, labels, length } = images, { augmentation, mirrored = false } = options;
  const renderer = new Renderer(size, options.statistics);
  const fixedView = { ...plainView(size), mirrored }, randomView = plainView(size);
  return {
    length,
    sampleShape: [3, size, size],
    read(index, values, generator) {
      const augments = augmentation !== undefined && generator !== undefined;
      if (augments) drawView(randomView, size, augmentation, generator);
      const view = augments ? randomView : fixedView;
      renderer.render(pixels, index * size * size * 3, view, values);
      return labels[index];
    },
  };
}
