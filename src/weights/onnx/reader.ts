/**
 * Opens ONNX files: a network and its weights in one protocol buffer.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { elements } from "../../tensor.ts";
import type { RelatedFiles } from "../io/related_files.ts";
import { SharedElements, type StoredTensor } from "../layout.ts";
import { foldConstants, maxConstantBytes } from "./constants.ts";
import { type OnnxGraph, readGraph } from "./graph.ts";
import { ProtoReader } from "./protobuf.ts";
import { quantizeOps } from "./quantization.ts";
import { isFloat } from "../dtype.ts";
import { type ByteSource, readBytes, unknownSize } from "../io/source.ts";
import { TensorFile, type WeightsFile } from "../tensor_file.ts";
import {
  integersOf,
  type OnnxTensor,
  reciprocalSource,
  repeatingSource,
  tensorFromNumbers,
} from "./tensor.ts";

/** Where a layer's parameter comes from: a tensor in the file, or numbers. */
export type ParameterMapping = StoredParameter | NumberParameter;

/** A parameter that is a tensor in the file, in the same or another layout. */
export interface StoredParameter {
  /** The tensor's name in the file. */
  readonly tensor: string;
  /** The tensor itself, if the import of the graph computed it. */
  readonly computed?: OnnxTensor;
  /** The parameter's shape, which has as many elements as the tensor. */
  readonly shape: readonly number[];
  /** The strides of the parameter's axes in the tensor, in elements. Default: row-major order. */
  readonly strides?: readonly number[];
  /** A factor for every element. */
  readonly factor?: number;
  /** Whether the parameter holds the reciprocals of the elements. */
  readonly isReciprocal?: boolean;
}

/** A parameter that is not in the file, because the graph computes it. */
interface NumberParameter {
  /** The parameter's shape. */
  readonly shape: readonly number[];
  /** The elements; a single number stands for all. */
  readonly numbers: readonly number[];
}

/** An open ONNX file: its initialisers and constants as weights, and the graph that uses them. */
export class OnnxFile extends TensorFile {
  readonly #file: ByteSource;
  readonly #files: RelatedFiles;
  constructor(source: ByteSource, readonly graph: OnnxGraph, files: RelatedFiles) {
    super(source, "onnx", weightsOf(graph), graph.metadata);
    this.#file = source;
    this.#files = files;
  }

  override close(): void {
    super.close();
    this.#files.close();
  }

  /** The bytes of the file, and of those with external data. */
  get fileBytes(): number {
    return this.#file.size + this.#files.size;
  }

  /** Creates an error for the file. */
  bad(reason: string): FileError {
    return new FileError(this.name, reason);
  }

  /** Reads a tensor as float32, perhaps in another layout. */
  async readFloats(
    tensor: OnnxTensor,
    { shape, strides, factor }: Omit<StoredParameter, "tensor">,
  ): Promise<Float32Array> {
    const stored = { ...tensor, shape, count: elements(shape), strides, factor };
    const floats = new Float32Array(stored.count);
    await new TensorFile(this.#file, "onnx", new Map([["", stored]]))
      .read("", (values, offset) => floats.set(values, offset));
    return floats;
  }

  /** Reads a tensor of integers. */
  async readIntegers({ dtype, source = this.#file, start, span }: OnnxTensor) {
    return integersOf(dtype, (await readBytes(source, start, span)).buffer) ?? [];
  }

  /**
   * A view of the file with the names and layouts of a network's parameters. Closing it closes the
   * file.
   *
   * @param parameters The source of each parameter. Those that the file lacks are left out.
   */
  mapParameters(parameters: ReadonlyMap<string, ParameterMapping>): WeightsFile {
    const tensors = new Map<string, StoredTensor>();
    for (const [name, mapping] of parameters) {
      const tensor = "numbers" in mapping
        ? numberTensor(name, mapping)
        : this.#storedTensor(name, mapping);
      if (tensor) tensors.set(name, tensor);
    }
    return new TensorFile(this.#file, "onnx", tensors);
  }

  #storedTensor(
    name: string,
    { tensor, shape, strides, factor, isReciprocal }: StoredParameter,
  ): StoredTensor | undefined {
    const stored = this.graph.tensors.get(tensor);
    if (!stored) return undefined;
    if (!isReciprocal || !isFloat(stored.dtype)) {
      return { ...stored, name, shape, count: elements(shape), strides, factor };
    }
    const source = reciprocalSource(stored, stored.source ?? this.#file);
    const span = source.size, start = 0;
    return { ...stored, name, shape, strides, factor, dtype: "F32", source, start, span };
  }
}

/**
 * The tensors of a graph, without those that are only parts of quantised ones. A quantised tensor
 * gets back the name that it had before, if no other has it: onnxruntime appends "_quantized".
 */
function weightsOf({ tensors, parts, nodes, outputs }: OnnxGraph): Map<string, OnnxTensor> {
  if (parts.size === 0) return tensors;
  const used = new Set(outputs.map(({ name }) => name));
  for (const { op, inputs } of nodes) {
    for (const name of quantizeOps.includes(op) ? inputs.slice(0, 1) : inputs) used.add(name);
  }
  const weights = new Map<string, OnnxTensor>();
  const isShown = (name: string) => tensors.has(name) && (!parts.has(name) || used.has(name));
  for (const [name, tensor] of tensors) {
    if (!isShown(name)) continue;
    const plain = tensor.computedFrom?.replace(/_quantized$/, "") ?? name;
    weights.set(isShown(plain) || weights.has(plain) ? name : plain, tensor);
  }
  return weights;
}

/** Creates the tensor of a parameter from its numbers. */
function numberTensor(name: string, { shape, numbers }: NumberParameter): StoredTensor {
  if (numbers.length !== 1) return tensorFromNumbers(name, "F32", shape, numbers);
  const count = elements(shape), span = 4 * count;
  const source = repeatingSource(new Uint8Array(Float32Array.from(numbers).buffer), span);
  return { name, dtype: "F32", shape, count, start: 0, span, source };
}

/**
 * Opens an ONNX file. Only the descriptions of the graph and its tensors are read.
 *
 * @throws {FileError} When it is damaged or has no weights, or a file with external data is
 * missing.
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
  if (graph.tensors.size === 0 && graph.nodes.length === 0) {
    throw new FileError(source.name, "holds no tensors");
  }
  const size = source.size + files.size + maxConstantBytes;
  const shared = new SharedElements({ name: source.name, size });
  for (const tensor of graph.tensors.values()) shared.add(tensor);
  return new OnnxFile(source, graph, files);
}
