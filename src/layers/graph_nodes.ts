/**
 * The nodes of a graph, checked and with nested graphs expanded.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkObject, checkOptions } from "../ops/checks.ts";
import type { Shape } from "../tensor.ts";
import { graphInput, type GraphNode } from "./graph_builder.ts";
import { Layer } from "./layer.ts";

/**
 * A layer of a graph that contains no graph itself.
 *
 * @internal
 */
export interface LeafNode {
  /** The name in the outermost graph, such as "layer1.0.conv1". */
  readonly name: string;
  readonly layer: Layer;
  /** The indices of the nodes whose outputs it takes; −1 is the input of the graph. */
  readonly inputs: readonly number[];
}

/**
 * The nodes of a graph in order, and which of them computes the output.
 *
 * @internal
 */
export interface LeafGraph {
  readonly nodes: readonly LeafNode[];
  /** −1 if the output is the input. */
  readonly output: number;
}

/** A layer that expands to nodes. */
interface Nested extends Layer {
  readonly isExpanded: boolean;
  expand(): LeafGraph;
}

/** Completes and checks the inputs of nodes. Each may only use the nodes before it. */
export function checkNodes(
  type: string,
  nodes: readonly GraphNode[],
): readonly Required<GraphNode>[] {
  const names = new Set([graphInput]);
  let last = graphInput;
  return Array.from(nodes, (node) => { // map() would skip holes
    if (node instanceof Layer) {
      const expected = "{ name, layer, inputs }; for layers in order, use Sequential";
      throw new ArgumentError(type, "a node", node, expected);
    }
    checkObject(type, "a node", node);
    checkOptions(type, node, ["name", "layer", "inputs"]);
    const { name, layer, inputs = [last] } = node;
    if (typeof name !== "string" || names.has(name)) throw nameTaken(type, name);
    if (!(layer instanceof Layer)) {
      throw new ArgumentError(type, `layer "${name}"`, layer, "a Layer");
    }
    if (!Array.isArray(inputs)) {
      throw new ArgumentError(type, `the inputs of "${name}"`, inputs, "a list of names");
    }
    for (const input of inputs) {
      if (names.has(input)) continue;
      const expected = `"${graphInput}", or the name of a node before it`;
      throw new ArgumentError(type, `an input of "${name}"`, input, expected);
    }
    names.add(name);
    last = name;
    return { name, layer, inputs };
  });
}

/** The nodes of a graph with nested graphs expanded, until one of these gets other nodes. */
export class Expansion {
  readonly leaves: LeafGraph;
  readonly #nested: readonly (readonly [Nested, LeafGraph])[];

  /** @param output The name of the node that computes the output. */
  constructor(nodes: readonly Required<GraphNode>[], readonly output: string) {
    this.leaves = expandNodes(nodes, output);
    this.#nested = nodes.flatMap(({ layer }) => isNested(layer) ? [[layer, layer.expand()]] : []);
  }

  /** Whether all nested graphs have the same nodes as before. */
  get isCurrent(): boolean {
    return this.#nested.every(([graph, leaves]) => graph.expand() === leaves);
  }
}

/** Expands nested graphs, which have one input. */
function expandNodes(nodes: readonly Required<GraphNode>[], output: string): LeafGraph {
  const leaves: LeafNode[] = [], outputs = new Map([[graphInput, -1]]);
  for (const { name, layer, inputs } of nodes) {
    const from = inputs.map((input) => outputs.get(input)!);
    if (!isNested(layer)) {
      outputs.set(name, leaves.push({ name, layer, inputs: from }) - 1);
      continue;
    }
    if (from.length !== 1) {
      throw new ArgumentError(layer.type, "the number of inputs", from.length, "1");
    }
    const inner = layer.expand(), offset = leaves.length;
    const outer = (index: number) => index < 0 ? from[0] : index + offset;
    for (const leaf of inner.nodes) {
      leaves.push({ ...leaf, name: `${name}.${leaf.name}`, inputs: leaf.inputs.map(outer) });
    }
    outputs.set(name, outer(inner.output));
  }
  const names = new Set<string>(); // "a.b" may be a node, and a node "b" inside "a"
  for (const { name } of leaves) {
    if (names.has(name)) throw nameTaken("Graph", name);
    names.add(name);
  }
  return { nodes: leaves, output: outputs.get(output)! };
}

function nameTaken(type: string, name: unknown): ArgumentError {
  return new ArgumentError(type, "the name of a node", name, "a text that no other node has");
}

function isNested(layer: Layer): layer is Nested {
  return "expand" in layer && (layer as Nested).isExpanded;
}

/**
 * Returns the indices of nodes with these names.
 *
 * @param type The name of the network in error messages.
 * @throws {ArgumentError} When there is no such node.
 */
export function indicesOf(
  type: string,
  nodes: readonly LeafNode[],
  names: readonly string[],
): number[] {
  if (!Array.isArray(names)) throw new ArgumentError(type, "names", names, "a list");
  return Array.from(names, (name: string) => { // map() would skip holes
    const index = nodes.findIndex((node) => node.name === name);
    if (index >= 0) return index;
    const inner = nodes.findLast((node) => node.name.startsWith(`${String(name)}.`))?.name;
    const expected = inner
      ? `the name of a layer inside, such as "${inner}"`
      : "the name of a node";
    throw new ArgumentError(type, "the name of an output", name, expected);
  });
}

/**
 * The shapes of the outputs of all nodes.
 *
 * @throws {ArgumentError} When an input does not fit a layer. The message names the node.
 */
export function shapesOf(nodes: readonly LeafNode[], input: Shape): Shape[] {
  const shapes: Shape[] = [];
  for (const { name, layer, inputs } of nodes) {
    try {
      shapes.push(layer.outputShapeOf(inputs.map((i) => i < 0 ? input : shapes[i])));
    } catch (error) {
      if (!(error instanceof ArgumentError)) throw error;
      const { op, parameter, value, expected, found } = error;
      const place = `${expected}, in layer ${JSON.stringify(name)}`;
      throw new ArgumentError(op, parameter, value, place, found);
    }
  }
  return shapes;
}
