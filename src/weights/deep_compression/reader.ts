/**
 * Opens weights that "Deep Compression" made small: most are pruned, and the others share a
 * codebook. There is no header. All numbers are little-endian:
 *
 * - for each layer, the number of its stored weights as a uint32;
 * - then for each layer: the codebook (256 or 16 float32), the bias (float32), the codes of the
 *   stored weights (8 or 4 bits), and the gaps before them (4 bits, at most 15).
 *
 * The lower half of a byte comes first. A weight that is not stored has code 0. Where a gap is
 * longer than 15, weights with code 0 are stored in between.
 *
 * Source: Han, Mao, Dally, Deep Compression, ICLR 2016, https://arxiv.org/abs/1510.00149, and
 * `decode.py` in https://github.com/songhan/SqueezeNet-Deep-Compression.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { elements } from "../../tensor.ts";
import type { StoredTensor } from "../layout.ts";
import { type ByteSource, readStart, unknownSize } from "../io/source.ts";
import { TensorFile } from "../tensor_file.ts";
import { DecodedWeights } from "./decoded_weights.ts";
import { type CompressedNetwork, layerParts, recognizeCompressed } from "./networks.ts";

/** An open file of compressed weights. */
export class DeepCompressedFile extends TensorFile {
  constructor(
    source: ByteSource,
    tensors: ReadonlyMap<string, StoredTensor>,
    /** The network that the weights belong to. */
    readonly network: CompressedNetwork,
  ) {
    super(source, "deep-compression", tensors);
  }
}

/**
 * Opens compressed weights. Only the counts are read; a tensor is decoded while it is read.
 *
 * @throws {FileError} When the file has another size than its counts say.
 */
export async function openDeepCompression(source: ByteSource): Promise<DeepCompressedFile> {
  const file = recognizeCompressed(await readStart(source), source.size);
  if (!file) throw new FileError(source.name, "is not a file of compressed weights");
  const { network, layers, counts, size } = file;
  if (source.size !== size && source.size !== unknownSize) {
    throw new FileError(
      source.name,
      `starts like the compressed weights of ${network}, but has ${source.size} bytes instead of ` +
        `${size}: truncated or damaged`,
    );
  }
  const tensors = new Map<string, StoredTensor>();
  let at = counts.byteLength;
  for (const [i, layer] of layers.entries()) {
    const { codebook, bias, codes, gaps } = layerParts(layer, counts[i]);
    const add = (key: string, shape: readonly number[], start: number, source?: ByteSource) => {
      const name = `${layer.name}.${key}`, count = elements(shape), span = 4 * count;
      tensors.set(name, { name, dtype: "F32", shape, count, start, span, source });
    };
    add("weight", layer.shape, at, new DecodedWeights(source, layer, counts[i], at));
    add("bias", [layer.shape[0]], at + codebook);
    at += codebook + bias + codes + gaps;
  }
  return new DeepCompressedFile(source, tensors, network);
}
