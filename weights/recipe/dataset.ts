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
}

/** A dataset whose samples, [3, side, side], can have another size in each epoch. */
export interface ImageDataset extends Dataset {
  /** Height and width of the samples. Initially those of the images. */
  side: number;
}

/** Creates a dataset of normalised images. */
export function imageDataset(images: Images, options: ImageDatasetOptions): ImageDataset {
  const { size, pixels, labels, length } = images, { augmentation } = options;
  let renderer = new Renderer(size, options.statistics);
  const plain = plainView(size), randomView = plainView(size);
  return {
    length,
    get side() {
      return renderer.side;
    },
    set side(side) {
      if (side !== renderer.side) renderer = new Renderer(size, options.statistics, side);
    },
    get sampleShape() {
      return [3, renderer.side, renderer.side];
    },
    read(index, values, generator) {
      const augments = augmentation !== undefined && generator !== undefined;
      if (augments) drawView(randomView, size, augmentation, generator);
      renderer.render(pixels, index * size * size * 3, augments ? randomView : plain, values);
      return labels[index];
    },
  };
}
