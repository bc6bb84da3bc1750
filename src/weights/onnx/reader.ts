/**
 * Opens ONNX files: a network and its weights in one protocol buffer.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { RelatedFiles } from "../io/related_files.ts";
import { SharedElements, type StoredTensor } from "../layout.ts";
import { foldConstants, maxConstantBytes } from "./constants.ts";
import { type OnnxGraph, readGraph } from "./graph.ts";
import { ProtoReader } from "./protobuf.ts";
import { type ByteSource, unknownSize } from "../io/source.ts";
import { TensorFile, type WeightsFile } from "../tensor_file.ts";

/** Where a layer's parameter comes from in a file. */
export interface ParameterMapping {
  /** The tensor's name in the file. */
  readonly tensor: string;
  /** The parameter's shape, which has as many elements as the tensor. */
  readonly shape: readonly number[];
  /** Whether the tensor is the transposed matrix of the parameter. */
  readonly transposed?: boolean;
  /** A factor for every element. */
  readonly factor?: number;
}

/** An open ONNX file: its initialisers and constants as weights, and the graph that uses them. */
export class OnnxFile extends TensorFile {
  readonly #file: ByteSource;
  readonly #files: RelatedFiles;

  constructor(source: ByteSource, readonly graph: OnnxGraph, files: RelatedFiles) {
    super(source, "onnx", graph.tensors, graph.metadata);
    this.#file = source;
    this.#files = files;
  }

  override close(): void {
    super.close();
    this.#files.close();
  }

  /** Bytes of all tensors. */
  get storedBytes(): number {
    return [...this.graph.tensors.values()].reduce((sum, { span }) => sum + span, 0);
  }

  /** Creates an error for the file. */
  bad(reason: string): FileError {
    return new FileError(this.name, reason);
  }

  /**
   * A view of the file with the names and layouts of a network's parameters. Closing it closes the
   * file.
   *
   * @param parameters The source of each parameter. Those that the file lacks are left out.
   */
  mapParameters(parameters: ReadonlyMap<string, ParameterMapping>): WeightsFile {
    const tensors = new Map<string, StoredTensor>();
    for (const [name, { tensor, shape, transposed, factor }] of parameters) {
      const stored = this.graph.tensors.get(tensor);
      if (!stored) continue;
      const strides = transposed ? [1, shape[0]] : undefined;
      tensors.set(name, { ...stored, name, shape, strides, factor });
    }
    return new TensorFile(this.#file, "onnx", tensors);
  }
}

/**
 * Opens an ONNX file. Only the descriptions of the graph and its tensors are read.
 *
 * @throws {FileError} When it is damaged or has no weights, or a file with external data is missing.
 */
export async function openOnnx(source: ByteSource, files: RelatedFiles): Promise<OnnxFile> {
  if (source.size === unknownSize) { // the graph extends to the end of the file
    throw new FileError(
      source.name,
      "ONNX cannot be read from a stream of unknown length: download it first",
    );
  }
  const reader = new ProtoReader(source, files);
  const graph = await foldConstants(reader, await readGraph(reader));
  if (graph.tensors.size === 0) throw new FileError(source.name, "holds no tensors");
  const size = source.size + files.size + maxConstantBytes;
  const shared = new SharedElements({ name: source.name, size });
  for (const tensor of graph.tensors.values()) shared.add(tensor);
  return new OnnxFile(source, graph, files);
}
