/**
 * The layers of AlexNet in torchvision's version with a single tower. Adapters build the network from
 * this list in other libraries.
 *
 * @module
 */

/** A convolution, then ReLU. */
export interface Convolution {
  readonly op: "conv";
  readonly name: string;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

/** Max pooling, window 3, stride 2, no padding. */
export interface Pooling {
  readonly op: "pool";
}

/** A fully connected layer, then ReLU except after the last. */
export interface Linear {
  readonly op: "linear";
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly relu: boolean;
}

const pool: Pooling = { op: "pool" };

/**
 * The layers in order. The adaptive average pool is left out, because it maps 6×6 to 6×6 for images of
 * 224×224. Dropout is left out, because it does nothing in inference.
 */
export const ALEXNET: readonly (Convolution | Pooling | Linear)[] = [
  conv("features.0", 3, 64, 11, 4, 2),
  pool,
  conv("features.3", 64, 192, 5, 1, 2),
  pool,
  conv("features.6", 192, 384, 3, 1, 1),
  conv("features.8", 384, 256, 3, 1, 1),
  conv("features.10", 256, 256, 3, 1, 1),
  pool,
  linear("classifier.1", 9216, 4096, true),
  linear("classifier.4", 4096, 4096, true),
  linear("classifier.6", 4096, 1000, false),
];

/** A convolution with the side lengths of its square input and output planes. */
export interface SizedConvolution {
  readonly layer: Convolution;
  readonly size: number;
  readonly outSize: number;
}

/** The five convolutions with their sizes for images of 224×224. */
export const CONVOLUTIONS: readonly SizedConvolution[] = sized(224);

/** Multiply-accumulates of a convolution of one image. */
export function convolutionMacs({ layer, outSize }: SizedConvolution): number {
  return outSize ** 2 * layer.outChannels * layer.inChannels * layer.kernel ** 2;
}

/** Multiply-accumulates of the forward pass of one image. */
export const FORWARD_MACS: number = [
  ...CONVOLUTIONS.map(convolutionMacs),
  ...ALEXNET.map((layer) => layer.op === "linear" ? layer.inFeatures * layer.outFeatures : 0),
].reduce((a, b) => a + b);

/** Multiply-accumulates of a training step: forward, and both gradients of each layer except the image's. */
export const TRAINING_MACS: number = 3 * FORWARD_MACS - convolutionMacs(CONVOLUTIONS[0]);

/** The shape of the pooled features before they are flattened, in PyTorch's order. */
export const FEATURES = { channels: 256, height: 6, width: 6 };

/** The shape of one input image. */
export const IMAGE: readonly [number, number, number] = [3, 224, 224];

export const CLASSES = 1000;

/** A parameter of the network. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** The number of inputs that one output sums over. */
  readonly fanIn: number;
}

/** The parameters in torchvision's order. */
export const PARAMETERS: readonly Parameter[] = ALEXNET.flatMap((layer) => {
  if (layer.op === "pool") return [];
  const shape = layer.op === "conv"
    ? [layer.outChannels, layer.inChannels, layer.kernel, layer.kernel]
    : [layer.outFeatures, layer.inFeatures];
  const fanIn = shape.slice(1).reduce((a, b) => a * b);
  return [
    { name: `${layer.name}.weight`, shape, fanIn },
    { name: `${layer.name}.bias`, shape: shape.slice(0, 1), fanIn },
  ];
});

/** Size of all parameters in bytes. */
export const WEIGHT_BYTES: number = PARAMETERS.reduce(
  (sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b),
  0,
);

function conv(
  name: string,
  inChannels: number,
  outChannels: number,
  kernel: number,
  stride: number,
  padding: number,
): Convolution {
  return { op: "conv", name, inChannels, outChannels, kernel, stride, padding };
}

function linear(name: string, inFeatures: number, outFeatures: number, relu: boolean): Linear {
  return { op: "linear", name, inFeatures, outFeatures, relu };
}

function sized(size: number): SizedConvolution[] {
  const convolutions: SizedConvolution[] = [];
  for (const layer of ALEXNET) {
    if (layer.op === "linear") break;
    const { kernel, stride, padding } = layer.op === "pool"
      ? { kernel: 3, stride: 2, padding: 0 }
      : layer;
    const outSize = Math.floor((size + 2 * padding - kernel) / stride) + 1;
    if (layer.op === "conv") convolutions.push({ layer, size, outSize });
    size = outSize;
  }
  return convolutions;
}
