/**
 * ONNX: a network and its weights as one protocol buffer. Only its description is read when it is
 * opened; what it computes is for {@linkcode OnnxFile.graph}'s reader to judge.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { StoredTensor } from "../layout.ts";
import { foldConstants } from "./constants.ts";
import { type OnnxGraph, readGraph } from "./graph.ts";
import { ProtoReader } from "./protobuf.ts";
import { type ByteSource, unknownSize } from "../io/source.ts";
import { TensorFile, type WeightsFile } from "../tensor_file.ts";

/** How a layer's parameter comes out of a file's tensor. */
export interface Arrangement {
  /** The tensor's name in the file. */
  readonly tensor: string;
  /** The parameter's shape, of as many elements. */
  readonly shape: readonly number[];
  /** Whether the file has the rows of a matrix as columns. */
  readonly transposed?: boolean;
  /** Multiplies every element. */
  readonly factor?: number;
}

/** An open ONNX file: its initialisers and constants as weights, and the network they are for. */
export class OnnxFile extends TensorFile {
  readonly #file: ByteSource;

  constructor(source: ByteSource, readonly graph: OnnxGraph) {
    super(source, "onnx", graph.tensors);
    this.#file = source;
  }

  /** An error about the file. */
  bad(reason: string): FileError {
    return new FileError(this.name, reason);
  }

  /**
   * The same file with the names and layouts that a network's layers have. Closing it closes this.
   *
   * @param parameters Where each parameter comes from; what the file lacks is left out.
   */
  arranged(parameters: ReadonlyMap<string, Arrangement>): WeightsFile {
    const tensors = new Map<string, StoredTensor>();
    for (const [name, { tensor, shape, transposed, factor }] of parameters) {
      const found = this.graph.tensors.get(tensor);
      if (!found) continue;
      const strides = transposed ? [1, shape[0]] : undefined;
      tensors.set(name, { ...found, name, shape, strides, factor });
    }
    return new TensorFile(this.#file, "onnx", tensors);
  }
}

/**
 * Opens an ONNX file.
 *
 * @throws {FileError} When it is damaged, keeps its weights elsewhere, or has none.
 */
export async function openOnnx(source: ByteSource): Promise<OnnxFile> {
  if (source.size === unknownSize) { // it goes on to the end, wherever that is
    throw new FileError(source.name, "is ONNX from a stream of unknown length: download it first");
  }
  const reader = new ProtoReader(source);
  const graph = await foldConstants(reader, await readGraph(reader));
  if (graph.tensors.size === 0) throw new FileError(source.name, "holds no tensors");
  return new OnnxFile(source, graph);
}
