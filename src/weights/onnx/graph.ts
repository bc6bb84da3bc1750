/**
 * Reads the graph of an ONNX file, the ModelProto of onnx.proto.
 *
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (field numbers)
 *
 * @module
 */

import type { ByteRange } from "../io/source.ts";
import { maxDimensions } from "../layout.ts";
import { readPair } from "./pair.ts";
import { type OnnxTensor, readTensor, tensorBytes, tensorFromNumbers } from "./tensor.ts";
import type { Field, ProtoReader } from "./protobuf.ts";
import { escapeText } from "../io/quote.ts";

/** The value of an attribute; undefined for types that no layer uses (graphs, lists of strings). */
export type OnnxValue = number | string | readonly number[] | OnnxTensor | undefined;

/** An operation. The names of its tensors connect it with other nodes. */
export interface OnnxNode {
  readonly op: string;
  readonly name: string;
  /** Empty for the standard operations. */
  readonly domain: string;
  /** An empty name stands for an omitted input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whether it belongs to a branch of If, so that it may never run. */
  readonly isBranch?: boolean;
  readonly attributes: ReadonlyMap<string, OnnxValue>;
}

/** What the parts of a graph count against the budget: their memory in bytes. */
const cost = { node: 600, attribute: 200, port: 200 } as const;

/** An input or output of the graph. */
export interface OnnxPort {
  readonly name: string;
  /** The type of its elements, a TensorProto.DataType; 0 if the file does not say. */
  readonly type: number;
  /** The sizes; undefined for an axis of any size. */
  readonly shape: readonly (number | undefined)[];
}

/** A graph: its nodes in order, and its tensors by name. */
export interface OnnxGraph {
  readonly nodes: OnnxNode[];
  readonly tensors: Map<string, OnnxTensor>;
  /** The tensors of Constant nodes, which are not among the nodes. */
  readonly constants: OnnxTensor[];
  /** In old files these include the initialisers. */
  readonly inputs: OnnxPort[];
  readonly outputs: OnnxPort[];
  /** The metadata_props of the model. */
  readonly metadata: Map<string, string>;
  /** The version of the standard operations. */
  readonly opset: number;
  /** The names of tensors that are parts of quantised ones: integers, scales and zero points. */
  readonly parts: Set<string>;
  /** The bytes of all ConstantOfShape tensors, which take no space in the file. */
  readonly createdBytes: number;
}

/** The version if a file names none: the oldest that all tools still read. */
const defaultOpset = 7;

/**
 * Reads a ModelProto, except for the elements of its tensors.
 *
 * @throws {FileError} When it is damaged, has sparse tensors, or lacks a file with external data.
 */
export async function readGraph(reader: ProtoReader): Promise<OnnxGraph> {
  const graph: OnnxGraph = {
    nodes: [],
    tensors: new Map(),
    constants: [],
    inputs: [],
    outputs: [],
    metadata: new Map(),
    opset: defaultOpset,
    parts: new Set(),
    createdBytes: 0,
  };
  let hasGraph = false, opset: number | undefined;
  for await (const field of reader.fields({ start: 0, length: reader.source.size })) {
    if (field.number === 14) graph.metadata.set(...await readPair(reader, reader.range(field)));
    if (field.number === 8) opset = await readOpset(reader, reader.range(field)) ?? opset;
    if (field.number !== 7) continue;
    if (hasGraph) throw reader.bad("has two graphs: damaged");
    hasGraph = true;
    for await (const part of reader.fields(reader.range(field))) {
      await readPart(reader, part, graph);
    }
  }
  if (!hasGraph) throw reader.bad("is an ONNX file without a graph: damaged");
  return { ...graph, opset: opset ?? defaultOpset };
}

/** Reads an OperatorSetIdProto. Returns undefined for operations other than the standard ones. */
async function readOpset(reader: ProtoReader, range: ByteRange): Promise<number | undefined> {
  let domain = "", version = defaultOpset;
  for await (const field of reader.fields(range)) {
    if (field.number === 1) domain = await reader.text(field);
    else if (field.number === 2) version = reader.integer(field);
  }
  return domain === "" || domain === "ai.onnx" ? version : undefined;
}

/** Reads a field of a GraphProto into the graph. Those without a use here are skipped. */
async function readPart(
  reader: ProtoReader,
  field: Field,
  graph: OnnxGraph,
  isBranch = false,
): Promise<void> {
  if (field.number === 1) {
    const node = await readNode(reader, reader.range(field), isBranch ? undefined : graph);
    const constant = constantOf(reader, node);
    if (constant) graph.constants.push(constant);
    else graph.nodes.push(isBranch ? { ...node, isBranch } : node);
  } else if (field.number === 5) {
    const tensor = await readTensor(reader, reader.range(field)), { name } = tensor;
    if (name === "") throw reader.bad("has a tensor without a name: damaged");
    if (graph.tensors.has(name)) {
      throw reader.bad(`has two tensors named ${escapeText(name)}: damaged`);
    }
    graph.tensors.set(name, tensor);
  } else if (field.number === 11) graph.inputs.push(await readPort(reader, reader.range(field)));
  else if (field.number === 12) graph.outputs.push(await readPort(reader, reader.range(field)));
  else if (field.number === 15) throw reader.bad("has sparse tensors, which are not supported");
}

/** The tensor of a Constant node. Most nodes are constants: their memory is freed at once. */
function constantOf(
  reader: ProtoReader,
  { op, domain, outputs: [output], attributes }: OnnxNode,
): OnnxTensor | undefined {
  const [first] = attributes;
  if (op !== "Constant" || domain !== "" || output === undefined || !first) return undefined;
  const [key, value] = first, bytes = isTensor(value) ? 0 : tensorBytes; // that of a tensor counts
  reader.budget.spend(bytes - cost.node - cost.attribute);
  return constantTensor(reader, output, key, value);
}

/** The tensor of a Constant node, from its attribute. */
function constantTensor(
  reader: ProtoReader,
  name: string,
  key: string,
  value: OnnxValue,
): OnnxTensor {
  if (isTensor(value)) return { ...value, name };
  const holdsFloats = key === "value_float" || key === "value_floats";
  const holdsIntegers = key === "value_int" || key === "value_ints";
  const numbers = typeof value === "number" ? [value] : Array.isArray(value) ? value : undefined;
  if (numbers && (holdsFloats || holdsIntegers && numbers.every(Number.isInteger))) {
    const shape = typeof value === "number" ? [] : [numbers.length];
    return tensorFromNumbers(name, holdsFloats ? "F32" : "I64", shape, numbers);
  }
  throw reader.bad(`${escapeText(name)} is an unsupported kind of constant (${escapeText(key)})`);
}

/** Whether an attribute is a tensor. */
export function isTensor(value: OnnxValue): value is OnnxTensor {
  return typeof value === "object" && "dtype" in value;
}

const noAttributes: ReadonlyMap<string, OnnxValue> = new Map();

/**
 * Reads a NodeProto. The outputs of both branches of If become inputs of the node.
 *
 * @param graph Takes the nodes and tensors of branches. Missing for a node of a branch, which may
 * not have branches.
 */
async function readNode(
  reader: ProtoReader,
  range: ByteRange,
  graph?: OnnxGraph,
): Promise<OnnxNode> {
  reader.budget.spend(cost.node);
  const branches = new Map<string, readonly string[]>();
  const inputs: string[] = [], outputs: string[] = [];
  let attributes: Map<string, OnnxValue> | undefined;
  let name = "", op = "", domain = "";
  for await (const field of reader.fields(range)) {
    if (field.number === 1) inputs.push(await reader.text(field));
    else if (field.number === 2) outputs.push(await reader.text(field));
    else if (field.number === 3) name = await reader.text(field);
    else if (field.number === 4) op = await reader.text(field);
    else if (field.number === 5) {
      const [name, value, branch] = await readAttribute(reader, reader.range(field), graph);
      if (branch) branches.set(name, branch);
      else (attributes ??= new Map()).set(name, value);
    } else if (field.number === 7) domain = await reader.text(field);
  }
  inputs.push(...branches.get("then_branch") ?? [], ...branches.get("else_branch") ?? []);
  if (domain === "ai.onnx") domain = ""; // another name of the standard operations
  return { op, name, domain, inputs, outputs, attributes: attributes ?? noAttributes };
}

/** The values that a file may omit, by AttributeProto.AttributeType. */
const emptyValues: Readonly<Record<number, OnnxValue>> = { 1: 0, 2: 0, 3: "", 6: [], 7: [] };

/** Reads an AttributeProto. If it is a branch of If, returns the names of the branch's outputs. */
async function readAttribute(
  reader: ProtoReader,
  range: ByteRange,
  graph: OnnxGraph | undefined,
): Promise<[name: string, value: OnnxValue, branch?: readonly string[]]> {
  reader.budget.spend(cost.attribute);
  let name = "", type = 0, value: OnnxValue;
  const list: number[] = [];
  let branch: string[] | undefined;
  for await (const field of reader.fields(range)) {
    if (field.number === 1) name = await reader.text(field);
    else if (field.number === 2) value = await reader.float(field);
    else if (field.number === 3) value = reader.integer(field);
    else if (field.number === 4) value = await reader.text(field);
    else if (field.number === 5) value = await readTensor(reader, reader.range(field));
    else if (field.number === 6 && graph) {
      branch = await readBranch(reader, reader.range(field), graph);
    } else if (field.number === 7) await reader.floats(field, list);
    else if (field.number === 8) await reader.integers(field, list);
    else if (field.number === 20) type = reader.integer(field);
  }
  return [name, list.length > 0 ? list : value ?? emptyValues[type], branch];
}

/** Adds the nodes and tensors of a GraphProto to a graph. Returns the names of its outputs. */
async function readBranch(
  reader: ProtoReader,
  range: ByteRange,
  graph: OnnxGraph,
): Promise<string[]> {
  const branch = { ...graph, inputs: [], outputs: [] as OnnxPort[] };
  for await (const part of reader.fields(range)) await readPart(reader, part, branch, true);
  return branch.outputs.map(({ name }) => name);
}

/** Reads a ValueInfoProto: a name, and the shape of a tensor. */
async function readPort(reader: ProtoReader, range: ByteRange): Promise<OnnxPort> {
  reader.budget.spend(cost.port);
  const shape: (number | undefined)[] = [];
  let name = "", type = 0;
  for await (const field of reader.fields(range)) {
    if (field.number === 1) name = await reader.text(field);
    else if (field.number === 2) {
      // tensor_type.elem_type
      for await (const part of nestedFields(reader, [field], [1, 1])) type = reader.integer(part);
      const dimensions = nestedFields(reader, [field], [1, 2, 1]); // tensor_type, shape, dim
      for await (const dimension of dimensions) {
        let size: number | undefined;
        for await (const part of reader.fields(reader.range(dimension))) {
          if (part.number === 1) size = reader.integer(part);
        }
        shape.push(size);
        if (shape.length > maxDimensions) throw reader.bad("has an impossible shape: damaged");
      }
    }
  }
  return { name, type, shape };
}

/** The fields at a path of field numbers inside other fields. */
async function* nestedFields(
  reader: ProtoReader,
  fields: Iterable<Field> | AsyncIterable<Field>,
  [number, ...path]: readonly number[],
): AsyncGenerator<Field> {
  for await (const field of fields) {
    for await (const inner of reader.fields(reader.range(field))) {
      if (inner.number !== number) continue;
      if (path.length === 0) yield inner;
      else yield* nestedFields(reader, [inner], path);
    }
  }
}
