/**
 * The catalogue of published weights, with their addresses and hashes.
 *
 * @module
 */

import type { Preprocessing } from "../image/preprocess.ts";
import { type ClassName, imagenetClasses } from "../models/imagenet_classes.ts";
import type { NetworkName } from "../models/registry.ts";

/** Published weights. Each entry has a `sha256` or a `gitBlob`, to verify the download. */
export interface CatalogueEntry {
  /** The name for `pull`. */
  readonly name: string;
  /** The network that uses them. */
  readonly architecture: NetworkName;
  /** A description in words. */
  readonly title: string;
  /** The published top-1 accuracy in percent, of ImageNet's validation images. */
  readonly accuracy: number;
  /** The address of the file. */
  readonly url: string;
  /** The size of the file in bytes, if known. */
  readonly bytes?: number;
  /** The SHA-256 of the file in hexadecimal digits, or its first eight digits or more. */
  readonly sha256?: string;
  /** The id of the file in a Git repository: the SHA-1 of `blob <size>\0` and its bytes. */
  readonly gitBlob?: string;
  /** The licence and terms of use. */
  readonly terms: string;
  /** The names of the classes, by index. */
  readonly classes: readonly ClassName[];
  /** The preprocessing of images. Default: the file's, or else the network's. */
  readonly preprocessing?: Preprocessing;
}

/** Torchvision's IMAGENET1K_V1 weights: network, file, and top-1 accuracy in percent. */
const torchvision: readonly (readonly [NetworkName, file: string, accuracy: number])[] = [
  ["alexnet", "alexnet-owt-7be5be79.pth", 56.522],
  ["densenet121", "densenet121-a639ec97.pth", 74.434],
  ["densenet161", "densenet161-8d451a50.pth", 77.138],
  ["densenet169", "densenet169-b2777c0a.pth", 75.6],
  ["densenet201", "densenet201-c1103571.pth", 76.896],
  // Torchvision 0.15 and earlier expect other hashes: the files were replaced.
  ["efficientnet_b0", "efficientnet_b0_rwightman-7f5810bc.pth", 77.692],
  ["efficientnet_b1", "efficientnet_b1_rwightman-bac287d4.pth", 78.642],
  ["efficientnet_b2", "efficientnet_b2_rwightman-c35c1473.pth", 80.608],
  ["efficientnet_b3", "efficientnet_b3_rwightman-b3899882.pth", 82.008],
  ["googlenet", "googlenet-1378be20.pth", 69.778],
  ["mnasnet0_5", "mnasnet0.5_top1_67.823-3ffadce67e.pth", 67.734],
  ["mnasnet1_0", "mnasnet1.0_top1_73.512-f206786ef8.pth", 73.456],
  ["mobilenet_v2", "mobilenet_v2-b0353104.pth", 71.878],
  ["mobilenet_v3_large", "mobilenet_v3_large-8738ca79.pth", 74.042],
  ["mobilenet_v3_small", "mobilenet_v3_small-047dcff4.pth", 67.668],
  ["resnet18", "resnet18-f37072fd.pth", 69.758],
  ["resnet34", "resnet34-b627a593.pth", 73.314],
  ["resnet50", "resnet50-0676ba61.pth", 76.13],
  ["resnet101", "resnet101-63fe2227.pth", 77.374],
  ["resnet152", "resnet152-394f9c45.pth", 78.312],
  ["resnext50_32x4d", "resnext50_32x4d-7cdf4587.pth", 77.618],
  ["shufflenet_v2_x0_5", "shufflenetv2_x0.5-f707e7126e.pth", 60.552],
  ["shufflenet_v2_x1_0", "shufflenetv2_x1-5666bf0f80.pth", 69.362],
  ["squeezenet1_0", "squeezenet1_0-b66bff10.pth", 58.092],
  ["squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", 58.178],
  ["vgg11", "vgg11-8a719046.pth", 69.02],
  ["vgg11_bn", "vgg11_bn-6002323d.pth", 70.37],
  ["vgg13", "vgg13-19584684.pth", 69.928],
  ["vgg13_bn", "vgg13_bn-abd245e5.pth", 71.586],
  ["vgg16", "vgg16-397923af.pth", 71.592],
  ["vgg16_bn", "vgg16_bn-6c64b313.pth", 73.36],
  ["vgg19", "vgg19-dcbb9e9d.pth", 72.376],
  ["vgg19_bn", "vgg19_bn-c79401a0.pth", 74.218],
  ["wide_resnet50_2", "wide_resnet50_2-95faca4d.pth", 78.468],
];

/** The size and whole SHA-256 of a file, whose name has only the first digits of the hash. */
const known: Readonly<Record<string, Pick<CatalogueEntry, "bytes" | "sha256">>> = {
  alexnet: {
    bytes: 244_408_911,
    sha256: "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
  },
};

/** All weights that `pull` can download. */
export const catalogue: readonly CatalogueEntry[] = [
  imagenetEntry("SqueezeNet 1.0, made small with Deep Compression", {
    name: "squeezenet",
    architecture: "squeezenet1_0",
    accuracy: 57.5,
    url: "https://raw.githubusercontent.com/songhan/SqueezeNet-Deep-Compression/master/" +
      "compressed_SqueezeNet.net",
    bytes: 675_763,
    sha256: "e4ab6960ae8cd81505e1c2136921201507e930966c53deaf15862a395b3a3261",
    terms: "BSD, Song Han and the authors of SqueezeNet",
  }),
  imagenetEntry("Caffe's BVLC AlexNet, made small with Deep Compression", {
    name: "alexnet-compressed",
    architecture: "bvlc_alexnet",
    accuracy: 57.2,
    url: "https://raw.githubusercontent.com/songhan/Deep-Compression-AlexNet/master/" +
      "AlexNet_compressed.net",
    gitBlob: "ea0d14e98edfbcbfba995003c94d7259fa23b6cc",
    terms: "BVLC AlexNet, for unrestricted use",
  }),
  ...torchvision.map(([name, file, accuracy]) =>
    imagenetEntry(`torchvision's ${name}, IMAGENET1K_V1`, {
      name,
      architecture: name,
      accuracy,
      url: `https://download.pytorch.org/models/${file}`,
      sha256: /-([\da-f]{8,})\.pth$/.exec(file)![1],
      ...known[name],
      terms: "BSD 3-Clause, torchvision",
    })
  ),
];

/** An entry for weights that were trained on ImageNet. The list of classes is made on demand. */
function imagenetEntry(
  what: string,
  entry: Omit<CatalogueEntry, "title" | "classes">,
): CatalogueEntry {
  return {
    ...entry,
    title: `${what}: ${entry.accuracy.toFixed(1)} % top-1 accuracy on ImageNet`,
    terms: `${entry.terms}; trained on ImageNet, for research and education`,
    get classes() {
      return imagenetClasses();
    },
  };
}

/**
 * Finds an entry of the {@linkcode catalogue}.
 *
 * @param name The name for `pull`.
 * @returns The entry, or undefined if there is none of this name.
 *
 * @example
 * ```ts
 * import { findCatalogueEntry } from "./mod.ts";
 *
 * console.log(findCatalogueEntry("alexnet")?.accuracy); // 56.522
 * ```
 */
export function findCatalogueEntry(name: string): CatalogueEntry | undefined {
  return catalogue.find((entry) => entry.name === name);
}

/**
 * The address of an entry's file: the catalogue's, or on a mirror.
 *
 * @param mirror The address of a folder that has the files of the catalogue under their own names.
 */
export function urlOf({ url }: CatalogueEntry, mirror: string | undefined): string {
  if (mirror === undefined) return url;
  return `${mirror.replace(/\/+$/, "")}/${url.slice(url.lastIndexOf("/") + 1)}`;
}
