/**
 * Images in memory as a dataset: as they are, or another view at each reading.
 *
 * @module
 */

import type { Dataset, Preprocessing } from "../../mod.ts";
import { type Augmentation, drawView, plainView, Renderer } from "./augment.ts";
import type { Images } from "./sheets.ts";

/** How images are shown. */
export interface ImageDatasetOptions {
  /** Mean and deviation of the colours. */
  readonly statistics: Pick<Preprocessing, "mean" | "std">;
  /** Views for training; without it images are always shown as they are. */
  readonly augmentation?: Augmentation;
  /** Shows them mirrored, where nothing is drawn. Default false. */
  readonly mirrored?: boolean;
}

/** A dataset of normalised images, [3, size, size]. */
export function imageDataset(images: Images, options: ImageDatasetOptions): Dataset {
  const { size, pixels, labels, length } = images, { augmentation, mirrored = false } = options;
  const renderer = new Renderer(size, options.statistics);
  const plain = { ...plainView(size), mirrored }, drawn = plainView(size);
  return {
    length,
    sampleShape: [3, size, size],
    read(index, values, generator) {
      const drawing = augmentation !== undefined && generator !== undefined;
      if (drawing) drawView(drawn, size, augmentation, generator);
      renderer.render(pixels, index * size * size * 3, drawing ? drawn : plain, values);
      return labels[index];
    },
  };
}
