/**
 * The two networks that were published in the format of "Deep Compression". A file names neither
 * its network nor its layers.
 *
 * Sources: https://github.com/songhan/SqueezeNet-Deep-Compression and
 * https://github.com/songhan/Deep-Compression-AlexNet, the networks (`.prototxt`) and `decode.py`.
 *
 * @module
 */

import { elements } from "../../tensor.ts";

/** The networks: SqueezeNet 1.0 as in torchvision, and Caffe's BVLC AlexNet. */
export type CompressedNetwork = "squeezenet1_0" | "bvlc_alexnet";

/** A layer of a network. */
export interface CompressedLayer {
  readonly name: string;
  /** The shape of its weights, output channels first. */
  readonly shape: readonly number[];
  /** Bits of a code: 8 for convolutions, 4 for fully connected layers. */
  readonly bits: 4 | 8;
}

/** The layers of both networks, in the order of their files. */
export const compressedNetworks: ReadonlyMap<CompressedNetwork, readonly CompressedLayer[]> =
  new Map([
    ["squeezenet1_0", [
      conv("features.0", 96, 3, 7),
      ...fire("features.3", 96, 16, 64),
      ...fire("features.4", 128, 16, 64),
      ...fire("features.5", 128, 32, 128),
      ...fire("features.7", 256, 32, 128),
      ...fire("features.8", 256, 48, 192),
      ...fire("features.9", 384, 48, 192),
      ...fire("features.10", 384, 64, 256),
      ...fire("features.12", 512, 64, 256),
      conv("classifier.1", 1000, 512, 1),
    ]],
    ["bvlc_alexnet", [
      conv("conv1", 96, 3, 11),
      conv("conv2", 256, 48, 5), // two groups, as conv4 and conv5
      conv("conv3", 384, 256, 3),
      conv("conv4", 384, 192, 3),
      conv("conv5", 256, 192, 3),
      { name: "fc6", shape: [4096, 256 * 6 * 6], bits: 4 },
      { name: "fc7", shape: [4096, 4096], bits: 4 },
      { name: "fc8", shape: [1000, 4096], bits: 4 },
    ]],
  ]);

/** A convolution with a square kernel. */
function conv(name: string, outputs: number, inputs: number, side: number): CompressedLayer {
  return { name, shape: [outputs, inputs, side, side], bits: 8 };
}

/** A fire module of SqueezeNet: three convolutions. */
function fire(name: string, inputs: number, squeeze: number, expand: number): CompressedLayer[] {
  return [
    conv(`${name}.squeeze`, squeeze, inputs, 1),
    conv(`${name}.expand1x1`, expand, squeeze, 1),
    conv(`${name}.expand3x3`, expand, squeeze, 3),
  ];
}

/** The sizes of a layer's parts in bytes, in the order of the file. */
interface LayerParts {
  readonly codebook: number;
  readonly bias: number;
  readonly codes: number;
  readonly gaps: number;
}

/** The sizes of the parts of a layer that stores some of its weights. */
export function layerParts({ shape, bits }: CompressedLayer, storedCount: number): LayerParts {
  return {
    codebook: 4 * 2 ** bits,
    bias: 4 * shape[0],
    codes: Math.ceil(storedCount * bits / 8),
    gaps: Math.ceil(storedCount / 2),
  };
}

/** The network of a file and the number of stored weights of each layer. */
interface CompressedFile {
  readonly network: CompressedNetwork;
  readonly layers: readonly CompressedLayer[];
  readonly counts: Uint32Array;
  /** The size of the file in bytes, which follows from the counts. */
  readonly size: number;
}

/**
 * Recognises a file by its first bytes, the counts of one of the networks: no layer can store more
 * weights than it has. No other format starts like this. A damaged file may have another size.
 *
 * @param start The first bytes, 104 or more of them.
 * @param size The size of the file in bytes. It decides when the counts suit both networks.
 */
export function recognizeCompressed(start: Uint8Array, size: number): CompressedFile | undefined {
  const suitable = [...compressedNetworks].flatMap(([network, layers]) => {
    const counts = readCounts(start, layers);
    if (!counts) return [];
    const expected = layers.reduce((sum, layer, i) => {
      const { codebook, bias, codes, gaps } = layerParts(layer, counts[i]);
      return sum + codebook + bias + codes + gaps;
    }, counts.byteLength);
    return [{ network, layers, counts, size: expected }];
  });
  // SqueezeNet comes first. It has more counts, so they are less likely to fit by coincidence.
  return suitable.find((file) => file.size === size) ?? suitable[0];
}

/** The counts at the start of a file; undefined if a layer would have none or too many. */
function readCounts(
  start: Uint8Array,
  layers: readonly CompressedLayer[],
): Uint32Array | undefined {
  if (start.length < 4 * layers.length) return undefined;
  const view = new DataView(start.buffer, start.byteOffset);
  const counts = Uint32Array.from(layers, (_, i) => view.getUint32(4 * i, true));
  const fits = layers.every(({ shape }, i) => counts[i] > 0 && counts[i] <= elements(shape));
  return fits ? counts : undefined;
}
