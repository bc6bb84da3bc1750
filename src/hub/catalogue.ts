/**
 * The catalogue of published weights, with their addresses and checksums.
 *
 * @module
 */

import { imagenetPreprocessing, type Preprocessing } from "../image/preprocess.ts";
import { type ClassName, imagenetClasses } from "../models/imagenet_classes.ts";
import type { NetworkName } from "../models/registry.ts";

/** Published weights. */
export interface CatalogueEntry {
  /** The name for `pull`. */
  readonly name: string;
  /** The network that uses them. */
  readonly architecture: NetworkName;
  /** A description in words. */
  readonly title: string;
  /** The address of the file. */
  readonly url: string;
  /** The size of the file in bytes. */
  readonly bytes: number;
  /** The SHA-256 of the file in hexadecimal digits. */
  readonly sha256: string;
  /** The licence and terms of use. */
  readonly terms: string;
  /** The names of the classes, by index. */
  readonly classes: readonly ClassName[];
  /** The preprocessing of images. */
  readonly preprocessing: Preprocessing;
}

/** All weights that `pull` can download. */
export const catalogue: readonly CatalogueEntry[] = [
  {
    name: "alexnet",
    architecture: "alexnet",
    title: "torchvision's AlexNet_Weights.IMAGENET1K_V1: 56.5 % top-1 accuracy on ImageNet",
    url: "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    bytes: 244_408_911,
    // PyTorch checks the first eight digits, which are part of the file name.
    sha256: "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    terms: "BSD 3-Clause, torchvision; trained on ImageNet, for research and education",
    classes: imagenetClasses,
    preprocessing: imagenetPreprocessing,
  },
];

/** Finds an entry by name. */
export function findCatalogueEntry(name: string): CatalogueEntry | undefined {
  return catalogue.find((entry) => entry.name === name);
}
