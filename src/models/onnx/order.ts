/**
 * The order in which the nodes of an ONNX graph are computed.
 *
 * @module
 */

import type { OnnxNode } from "../../weights/onnx/graph.ts";
import { escapeText } from "../../weights/io/quote.ts";
import type { OnnxFile } from "../../weights/onnx/reader.ts";
import { NodeError } from "./node.ts";

/** The nodes that compute each name. */
type Producers = ReadonlyMap<string, OnnxNode>;

/**
 * Returns the nodes that the outputs need, each after those whose outputs it takes. Otherwise they
 * keep the order of the file.
 *
 * @param input The name of the graph's input.
 * @throws {FileError} When a name is missing or stands for two tensors, or the graph has a cycle.
 */
export function orderNodes(file: OnnxFile, input: string): OnnxNode[] {
  const producers = findProducers(file, input);
  const needed = findNeeded(file, input, producers);
  const ordered = new Set<OnnxNode>();
  const waiting = new Map<OnnxNode, OnnxNode[]>(), missing = new Map<OnnxNode, number>();
  /** Adds a node, and those that waited for nothing else. */
  const add = (first: OnnxNode) => {
    for (const ready = [first]; ready.length > 0;) {
      const node = ready.pop()!;
      ordered.add(node);
      for (const next of waiting.get(node)?.toReversed() ?? []) {
        const count = missing.get(next)! - 1;
        missing.set(next, count);
        if (count === 0) ready.push(next);
      }
    }
  };
  for (const node of file.graph.nodes) {
    if (!needed.has(node)) continue;
    const before = new Set<OnnxNode>();
    for (const name of node.inputs) {
      const producer = producers.get(name);
      if (!producer || ordered.has(producer) || before.has(producer)) continue;
      before.add(producer);
      const others = waiting.get(producer);
      if (others) others.push(node);
      else waiting.set(producer, [node]);
    }
    missing.set(node, before.size);
    if (before.size === 0) add(node);
  }
  for (const node of needed) {
    if (!ordered.has(node)) {
      throw new NodeError(file.name, node, "its input depends on its output: damaged");
    }
  }
  return [...ordered];
}

function findProducers(file: OnnxFile, input: string): Producers {
  const { nodes, tensors } = file.graph, producers = new Map<string, OnnxNode>();
  for (const node of nodes) {
    for (const name of node.outputs) {
      if (name === "") continue;
      const tensor = tensors.get(name); // an import before this one may have computed it
      if (producers.has(name) || name === input || tensor && !tensor.isComputed) {
        throw file.bad(`has two tensors named ${escapeText(name)}: damaged`);
      }
      producers.set(name, node);
    }
  }
  return producers;
}

/** Finds the nodes that the outputs depend on. Others, of training for example, are left out. */
function findNeeded(file: OnnxFile, input: string, producers: Producers): Set<OnnxNode> {
  const { tensors, outputs } = file.graph, needed = new Set<OnnxNode>();
  const isKnown = (name: string) => name === "" || name === input || tensors.has(name);
  const visit = (name: string) => {
    const node = producers.get(name);
    if (node && !needed.has(node)) {
      needed.add(node);
      stack.push(node);
    }
    return node !== undefined || isKnown(name);
  };
  const stack: OnnxNode[] = [];
  for (const { name } of outputs) {
    if (!visit(name)) throw file.bad(`its output ${escapeText(name)} is not computed: damaged`);
  }
  for (let node = stack.pop(); node; node = stack.pop()) {
    for (const name of node.inputs) {
      if (visit(name)) continue;
      throw new NodeError(
        file.name,
        node,
        `its input ${escapeText(name)} is not computed: damaged`,
      );
    }
  }
  return needed;
}
