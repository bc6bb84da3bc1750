/**
 * Weights that others have published: where they are, and how to know that they are the right ones.
 *
 * @module
 */

import { imagenetPreprocessing, type Preprocessing } from "../image/preprocess.ts";
import type { Architecture } from "../models/description.ts";
import { type ClassName, imagenetClasses } from "../models/imagenet_classes.ts";

/** Published weights. */
export interface CatalogueEntry {
  /** What they are called here. */
  readonly name: string;
  /** The network they are for. */
  readonly architecture: Architecture;
  /** What they are, for people. */
  readonly title: string;
  /** Where they are. */
  readonly url: string;
  /** How many bytes there are. */
  readonly bytes: number;
  /** Their SHA-256 in hexadecimal digits. */
  readonly sha256: string;
  /** What may be done with them. */
  readonly terms: string;
  /** The names of the classes, by index. */
  readonly classes: readonly ClassName[];
  /** What happens to an image before the first layer. */
  readonly preprocessing: Preprocessing;
}

/** All that `pull` knows. */
export const catalogue: readonly CatalogueEntry[] = [
  {
    name: "alexnet",
    architecture: "alexnet",
    title: "torchvision's AlexNet_Weights.IMAGENET1K_V1: 56.5 % of ImageNet at the first guess",
    url: "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    bytes: 244_408_911,
    // PyTorch checks the first eight digits, which stand in the file's name
    sha256: "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    terms: "BSD 3-Clause, torchvision; trained on ImageNet, for research and education",
    classes: imagenetClasses,
    preprocessing: imagenetPreprocessing,
  },
];

/** The entry of this name, if there is one. */
export function catalogued(name: string): CatalogueEntry | undefined {
  return catalogue.find((entry) => entry.name === name);
}
