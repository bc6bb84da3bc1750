/**
 * The network in an ONNX file: onnx.proto's ModelProto and what is in it.
 *
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (numbers of fields)
 *
 * @module
 */

import type { Extent } from "../layout.ts";
import { type OnnxTensor, readTensor } from "./tensor.ts";
import type { Field, ProtoReader } from "./protobuf.ts";
import { shown } from "../io/quote.ts";

/** What an attribute holds; undefined what no layer has (graphs, lists of texts). */
export type OnnxValue = number | string | readonly number[] | OnnxTensor | undefined;

/** One operation; names of tensors connect it with others. */
export interface OnnxNode {
  readonly op: string;
  readonly name: string;
  /** Empty for ONNX's own operations. */
  readonly domain: string;
  /** An empty name stands for one that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxValue>;
}

/** An input or output of the network. */
export interface OnnxPort {
  readonly name: string;
  /** Undefined for a size that is known only when it runs. */
  readonly shape: readonly (number | undefined)[];
}

/** A network: its operations in order, and its tensors by name. */
export interface OnnxGraph {
  readonly nodes: OnnxNode[];
  readonly tensors: Map<string, OnnxTensor>;
  /** In old files also one for each initialiser. */
  readonly inputs: OnnxPort[];
  readonly outputs: OnnxPort[];
}

/**
 * Reads a ModelProto: everything but the elements of its tensors.
 *
 * @throws {FileError} When it is damaged, or its tensors are not in it.
 */
export async function readGraph(reader: ProtoReader): Promise<OnnxGraph> {
  const graph: OnnxGraph = { nodes: [], tensors: new Map(), inputs: [], outputs: [] };
  let found = false;
  for await (const field of reader.fields({ start: 0, length: reader.source.size })) {
    if (field.number !== 7) continue;
    if (found) throw reader.bad("has two graphs: damaged");
    found = true;
    for await (const part of reader.fields(reader.extent(field))) {
      await readPart(reader, part, graph);
    }
  }
  if (!found) throw reader.bad("is ONNX without a graph: damaged");
  return graph;
}

async function readPart(reader: ProtoReader, field: Field, graph: OnnxGraph): Promise<void> {
  if (field.number === 1) graph.nodes.push(await readNode(reader, reader.extent(field)));
  else if (field.number === 5) {
    const tensor = await readTensor(reader, reader.extent(field)), { name } = tensor;
    if (name === "") throw reader.bad("has a tensor without a name: damaged");
    if (graph.tensors.has(name)) throw reader.bad(`has ${shown(name)} twice: damaged`);
    graph.tensors.set(name, tensor);
  } else if (field.number === 11) graph.inputs.push(await readPort(reader, reader.extent(field)));
  else if (field.number === 12) graph.outputs.push(await readPort(reader, reader.extent(field)));
  else if (field.number === 15) throw reader.bad("has sparse tensors, which are not read");
}

async function readNode(reader: ProtoReader, extent: Extent): Promise<OnnxNode> {
  const inputs: string[] = [], outputs: string[] = [], attributes = new Map<string, OnnxValue>();
  let name = "", op = "", domain = "";
  for await (const field of reader.fields(extent)) {
    if (field.number === 1) inputs.push(await reader.text(field));
    else if (field.number === 2) outputs.push(await reader.text(field));
    else if (field.number === 3) name = await reader.text(field);
    else if (field.number === 4) op = await reader.text(field);
    else if (field.number === 5) {
      attributes.set(...await readAttribute(reader, reader.extent(field)));
    } else if (field.number === 7) domain = await reader.text(field);
  }
  return { op, name, domain: domain === "ai.onnx" ? "" : domain, inputs, outputs, attributes };
}

/** AttributeProto.AttributeType, by what a value is that was left out for being 0 or empty. */
const emptyValues: Readonly<Record<number, OnnxValue>> = { 1: 0, 2: 0, 3: "", 6: [], 7: [] };

async function readAttribute(reader: ProtoReader, extent: Extent): Promise<[string, OnnxValue]> {
  let name = "", type = 0, value: OnnxValue;
  const append = (more: readonly number[]) => {
    value = Array.isArray(value) ? value.concat(more) : more;
  };
  for await (const field of reader.fields(extent)) {
    if (field.number === 1) name = await reader.text(field);
    else if (field.number === 2) [value] = await reader.floats(field);
    else if (field.number === 3) value = reader.integer(field);
    else if (field.number === 4) value = await reader.text(field);
    else if (field.number === 5) value = await readTensor(reader, reader.extent(field));
    else if (field.number === 7) append(await reader.floats(field));
    else if (field.number === 8) append(await reader.integers(field));
    else if (field.number === 20) type = reader.integer(field);
  }
  return [name, value ?? emptyValues[type]];
}

/** ValueInfoProto: a name, and a type that is a tensor's with sizes. */
async function readPort(reader: ProtoReader, extent: Extent): Promise<OnnxPort> {
  const shape: (number | undefined)[] = [];
  let name = "";
  for await (const field of reader.fields(extent)) {
    if (field.number === 1) name = await reader.text(field);
    else if (field.number === 2) {
      const dimensions = descend(reader, [field], [1, 2, 1]); // tensor_type, shape, dim
      for await (const dimension of dimensions) {
        let size: number | undefined;
        for await (const part of reader.fields(reader.extent(dimension))) {
          if (part.number === 1) size = reader.integer(part);
        }
        shape.push(size);
      }
    }
  }
  return { name, shape };
}

/** The fields that a path of numbers leads to. */
async function* descend(
  reader: ProtoReader,
  fields: Iterable<Field> | AsyncIterable<Field>,
  [number, ...path]: readonly number[],
): AsyncGenerator<Field> {
  for await (const field of fields) {
    for await (const inner of reader.fields(reader.extent(field))) {
      if (inner.number !== number) continue;
      if (path.length === 0) yield inner;
      else yield* descend(reader, [inner], path);
    }
  }
}
