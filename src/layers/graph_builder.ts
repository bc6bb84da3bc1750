/**
 * Building the nodes of a graph.
 *
 * @module
 */

import type { Layer } from "./layer.ts";

/** A layer of a graph, and where its inputs come from. */
export interface GraphNode {
  /** The name in the graph: the prefix of its parameters in the state dict. */
  readonly name: string;
  /** The layer. To train the graph, each node needs a layer of its own. */
  readonly layer: Layer;
  /**
   * The names of the nodes whose outputs it takes; "input" is the input of the graph. Default: the
   * node before it, or the input of the graph for the first one.
   */
  readonly inputs?: readonly string[];
}

/** The name of a graph's input in {@linkcode GraphNode.inputs}. */
export const graphInput = "input";

/** Collects the nodes of a graph in order. */
export class GraphBuilder {
  readonly #nodes: GraphNode[] = [];

  /** The nodes added so far. */
  get nodes(): readonly GraphNode[] {
    return this.#nodes;
  }

  /** The name of the last node, or of the input of the graph. */
  get last(): string {
    return this.#nodes.at(-1)?.name ?? graphInput;
  }

  /**
   * Adds a layer.
   *
   * @param name The name of the node.
   * @param inputs The names of its inputs. Default: the node before it.
   * @returns The name, for the inputs of other nodes.
   */
  add(name: string, layer: Layer, ...inputs: string[]): string {
    this.#nodes.push({ name, layer, inputs: inputs.length > 0 ? inputs : [this.last] });
    return name;
  }
}
