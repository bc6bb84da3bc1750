/**
 * The sizes of AlexNet's layers, in torchvision's version with a single tower.
 *
 * @module
 */

/** A convolution with a square kernel. */
export interface Convolution {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

/** A convolution with the side lengths of its square input and output planes. */
export interface SizedConvolution {
  readonly name: string;
  readonly layer: Convolution;
  readonly size: number;
  readonly outSize: number;
}

/** A fully connected layer. */
export interface FullyConnected {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** The five convolutions for images of 224×224. */
export const convolutions: readonly SizedConvolution[] = [
  sized("features.0", [3, 64], { kernel: 11, stride: 4, padding: 2 }, 224),
  sized("features.3", [64, 192], { kernel: 5, stride: 1, padding: 2 }, 27),
  sized("features.6", [192, 384], { kernel: 3, stride: 1, padding: 1 }, 13),
  sized("features.8", [384, 256], { kernel: 3, stride: 1, padding: 1 }, 13),
  sized("features.10", [256, 256], { kernel: 3, stride: 1, padding: 1 }, 13),
];

/** The three fully connected layers. */
export const fullyConnected: readonly FullyConnected[] = [
  { name: "classifier.1", inFeatures: 9216, outFeatures: 4096 },
  { name: "classifier.4", inFeatures: 4096, outFeatures: 4096 },
  { name: "classifier.6", inFeatures: 4096, outFeatures: 1000 },
];

/** The size of all parameters in float32, in bytes. */
export const weightBytes = 4 * 61_100_840;

/** Multiply-accumulates of a convolution of one image. */
export function convolutionMacs({ layer, outSize }: SizedConvolution): number {
  return outSize ** 2 * layer.outChannels * layer.inChannels * layer.kernel ** 2;
}

function sized(
  name: string,
  [inChannels, outChannels]: readonly [number, number],
  window: Pick<Convolution, "kernel" | "stride" | "padding">,
  size: number,
): SizedConvolution {
  const { kernel, stride, padding } = window;
  const outSize = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  return { name, layer: { inChannels, outChannels, ...window }, size, outSize };
}
