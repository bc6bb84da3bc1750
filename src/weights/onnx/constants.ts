/**
 * Operations of an ONNX network that compute nothing from its input: they hold a tensor, make one or
 * give it another name.
 *
 * @module
 */

import { isFloat, itemSize } from "../dtype.ts";
import { elementCount } from "../layout.ts";
import type { OnnxGraph, OnnxNode, OnnxValue } from "./graph.ts";
import { type OnnxTensor, repeated, tensorOf } from "./tensor.ts";
import type { ProtoReader } from "./protobuf.ts";
import { shown } from "../io/quote.ts";

/** Bytes that ConstantOfShape may make in all, AlexNet's 244 MB and little more: the file has none of them. */
const maxMade = 1 << 28;

/** TensorProto.DataType.FLOAT */
const FLOAT = 1;

/** Takes such operations out of a graph, and puts their tensors among its others. */
export async function foldConstants(reader: ProtoReader, graph: OnnxGraph): Promise<OnnxGraph> {
  const tensors = new Map(graph.tensors), nodes: OnnxNode[] = [];
  let made = 0;
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    const known = node.domain === "" && output !== undefined;
    const tensor = known ? await constant(reader, node, output, tensors) : undefined;
    if (!tensor) nodes.push(node);
    else if (tensors.has(output)) throw reader.bad(`has ${shown(output)} twice: damaged`);
    else tensors.set(output, tensor);
    if (tensor && node.op === "ConstantOfShape") made += tensor.span;
    if (made > maxMade) throw reader.bad(`makes more than ${maxMade} bytes of nothing`);
  }
  return { ...graph, nodes, tensors };
}

async function constant(
  reader: ProtoReader,
  { op, inputs: [input], attributes }: OnnxNode,
  name: string,
  tensors: ReadonlyMap<string, OnnxTensor>,
): Promise<OnnxTensor | undefined> {
  const known = tensors.get(input);
  // A tensor is read as float32, whatever it is stored as.
  const same = op === "Identity" || op === "Cast" && attributes.get("to") === FLOAT &&
      known !== undefined && isFloat(known.dtype);
  if (same) return known && { ...known, name };
  const [first] = attributes;
  if (op === "Constant" && first) return held(reader, name, ...first);
  if (op === "ConstantOfShape" && known?.numbers && known.dtype === "I64") {
    const value = attributes.get("value") ?? tensorOf(name, "F32", [1], [0]);
    if (!isTensor(value) || value.count !== 1) return undefined;
    const count = elementCount(known.numbers, name, reader.source.name);
    const extent = { start: value.start, length: value.span };
    const element = new Uint8Array(value.span);
    if (value.source) await value.source.read(value.start, element);
    else element.set(await reader.bytes(extent));
    const span = count * itemSize(value.dtype);
    return {
      ...{ name, dtype: value.dtype, shape: known.numbers, count, start: 0, span },
      ...{ strides: undefined, source: repeated(element, span) },
    };
  }
  return undefined;
}

function held(
  reader: ProtoReader,
  name: string,
  key: string,
  value: OnnxValue,
): OnnxTensor {
  if (isTensor(value)) return { ...value, name };
  const dtype = key === "value_float" || key === "value_floats" ? "F32" : "I64";
  if (typeof value === "number") return tensorOf(name, dtype, [], [value]);
  if (Array.isArray(value)) return tensorOf(name, dtype, [value.length], value);
  throw reader.bad(`${shown(name)} is a constant of no known kind (${shown(key)})`);
}

/** Whether an attribute holds a tensor. */
export function isTensor(value: OnnxValue): value is OnnxTensor {
  return typeof value === "object" && "dtype" in value;
}
