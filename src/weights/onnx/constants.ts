/**
 * Constant folding for ONNX graphs: replaces nodes that only hold, create, rename or quantise a
 * tensor.
 *
 * @module
 */

import { isFloat, itemSize } from "../dtype.ts";
import { elementCount } from "../layout.ts";
import { isTensor, type OnnxGraph, type OnnxNode } from "./graph.ts";
import {
  type OnnxTensor,
  readElements,
  repeatingSource,
  tensorBytes,
  tensorFromNumbers,
} from "./tensor.ts";
import type { ProtoReader } from "./protobuf.ts";
import { foldQuantization, quantizeOps } from "./quantization.ts";
import { escapeText } from "../io/quote.ts";

/**
 * The most bytes of all ConstantOfShape tensors, which take no space in the file: a little more
 * than the 244 MB of AlexNet.
 */
export const maxConstantBytes = 1 << 28;

/** The most elements of a ConstantOfShape tensor that are kept as numbers. */
const maxNumbers = 64;

/** TensorProto.DataType.FLOAT */
const floatType = 1;

/**
 * Replaces the constant nodes of a graph by tensors.
 *
 * @throws {FileError} When two tensors share a name, or the constants are too large.
 */
export async function foldConstants(reader: ProtoReader, graph: OnnxGraph): Promise<OnnxGraph> {
  const tensors = new Map(graph.tensors), nodes: OnnxNode[] = [];
  const scales = new Map<string, Float32Array>();
  const add = (tensor: OnnxTensor) => {
    if (tensors.has(tensor.name)) {
      throw reader.bad(`has two tensors named ${escapeText(tensor.name)}: damaged`);
    }
    tensors.set(tensor.name, tensor);
  };
  for (const tensor of graph.constants) add(tensor);
  let createdBytes = 0;
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    const isStandard = node.domain === "" && output !== undefined;
    let tensor: OnnxTensor | undefined;
    if (isStandard && quantizeOps.includes(node.op)) {
      for (const [i, name] of node.inputs.entries()) {
        if (i > 0 || tensors.has(name)) graph.parts.add(name);
      }
      tensor = await foldQuantization(reader, node, tensors, scales);
    } else if (isStandard) tensor = await foldNode(reader, node, output, tensors);
    if (!tensor) {
      nodes.push(node);
      continue;
    }
    reader.budget.spend(tensorBytes);
    add(tensor);
    if (node.op === "ConstantOfShape") createdBytes += tensor.span;
    if (createdBytes > maxConstantBytes) {
      throw reader.bad(`creates more than ${maxConstantBytes} bytes of constants`);
    }
  }
  return { ...graph, nodes, tensors, createdBytes };
}

/** The tensor that a node outputs; undefined if it is not constant. */
async function foldNode(
  reader: ProtoReader,
  { op, inputs: [input], attributes }: OnnxNode,
  name: string,
  tensors: ReadonlyMap<string, OnnxTensor>,
): Promise<OnnxTensor | undefined> {
  const tensor = tensors.get(input);
  // Tensors are read as float32 whatever their type, so a cast to float changes nothing.
  const isRenamed = op === "Identity" || op === "Cast" && attributes.get("to") === floatType &&
      tensor !== undefined && isFloat(tensor.dtype);
  if (isRenamed) return tensor && { ...tensor, name };
  if (op === "ConstantOfShape" && tensor?.numbers && tensor.dtype === "I64") {
    const value = attributes.get("value") ?? tensorFromNumbers(name, "F32", [1], [0]);
    if (isTensor(value) && value.count === 1) {
      return await filledTensor(reader, name, tensor.numbers, value);
    }
  }
  return undefined;
}

/** The tensor of a ConstantOfShape node, whose elements all have one value. */
async function filledTensor(
  reader: ProtoReader,
  name: string,
  shape: readonly number[],
  value: OnnxTensor,
): Promise<OnnxTensor> {
  const { dtype, numbers: [number] = [] } = value;
  const count = elementCount(shape, name, reader.source.name), span = count * itemSize(dtype);
  const isShort = number !== undefined && count <= maxNumbers;
  return {
    name,
    dtype,
    shape,
    count,
    start: 0,
    span,
    source: repeatingSource(await readElements(reader, value), span),
    numbers: isShort ? Array<number>(count).fill(number) : undefined,
  };
}
