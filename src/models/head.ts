/**
 * The head of a classifier: the last layer with weights, whose outputs are the classes.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import type { Graph } from "../layers/graph.ts";
import { GraphBuilder, graphInput, type GraphNode } from "../layers/graph_builder.ts";
import type { LeafNode } from "../layers/graph_nodes.ts";
import { Conv2d } from "../layers/conv.ts";
import { ReLU, Sigmoid } from "../layers/activation.ts";
import { Linear } from "../layers/linear.ts";
import { AdaptiveAvgPool2d, AvgPool2d } from "../layers/pool.ts";
import type { Precision } from "../layers/precision.ts";
import { RoundedWeight } from "../layers/rounded_weight.ts";
import { Flatten } from "../layers/view.ts";
import { elements, type Shape } from "../tensor.ts";
import { checkLoaded, keepsValues } from "./classify.ts";

/** The head of a classifier. */
export interface Head {
  /** Its name in {@linkcode Graph.leaves}. */
  readonly name: string;
  /** The layer: a `Linear`, or a 1×1 convolution whose outputs are averaged over the image. */
  readonly layer: Linear | Conv2d;
  /** The index of the value that it takes; −1 is the input of the network. */
  readonly input: number;
  /** Features of each sample. */
  readonly featureCount: number;
}

/**
 * Finds the head of a classifier.
 *
 * @param inputShape A shape of its input.
 * @throws {PembrokeError} When the network ends in other layers.
 */
export function findHead(model: Graph, inputShape: Shape): Head {
  const { nodes, output } = model.expand(), shapes = model.shapes(inputShape);
  let isAveraged = false;
  for (let i = output; i >= 0;) {
    const { name, layer, inputs: [input] } = nodes[i];
    if (layer instanceof Linear && !isAveraged && shapes[i].length === 2) {
      return { name, layer, input, featureCount: layer.inFeatures };
    }
    const isPoint = elements(shapes[i].slice(2)) === 1;
    if (layer instanceof Conv2d && (isAveraged || isPoint) && isPointwise(layer)) {
      return { name, layer, input, featureCount: layer.inChannels };
    }
    const averages = layer instanceof AdaptiveAvgPool2d || layer instanceof AvgPool2d;
    if (averages && isPoint) isAveraged = true;
    else if (!keepsValues(layer) && !isActivation(layer, isAveraged)) break;
    i = input;
  }
  throw new PembrokeError(
    `${model.type}: has no head to replace: it must end in a Linear, or in a 1×1 Conv2d and an ` +
      "average over the image",
  );
}

/**
 * The nodes of a network with another head: a `Linear` with the name of the old one. Nodes that
 * depend on the old head are left out. Nested graphs are expanded, which keeps all names.
 *
 * @param precision How its weights will be stored. Default: as in the old head.
 */
export function nodesWithHead(
  model: Graph,
  head: Head,
  outFeatures: number,
  precision?: Precision,
): readonly GraphNode[] {
  checkLoaded(model);
  const { nodes } = model.expand(), { name, layer, input } = head, { weight } = layer.parameters;
  const removed = dependents(nodes, nodes.findIndex((node) => node.name === name));
  const nameOf = (index: number) => nodes[index]?.name ?? graphInput;
  const builder = new GraphBuilder();
  for (const [i, node] of nodes.entries()) {
    if (!removed.has(i)) builder.add(node.name, node.layer, ...node.inputs.map(nameOf));
  }
  let last = nameOf(input);
  if (layer instanceof Conv2d) {
    last = builder.add(`${name}.pool`, new AdaptiveAvgPool2d(1), last);
    last = builder.add(`${name}.flatten`, new Flatten(), last);
  }
  const stored = precision ?? (weight instanceof RoundedWeight ? weight.precision : "f32");
  builder.add(name, new Linear(head.featureCount, outFeatures, { precision: stored }), last);
  return builder.nodes;
}

/** A node, and all that depend on it. */
function dependents(nodes: readonly LeafNode[], first: number): ReadonlySet<number> {
  const found = new Set([first]);
  for (const [i, { inputs }] of nodes.entries()) {
    if (inputs.some((input) => found.has(input))) found.add(i);
  }
  return found;
}

/** Whether a layer makes probabilities of its input, or follows a convolution as in SqueezeNet. */
function isActivation(layer: LeafNode["layer"], isAveraged: boolean): boolean {
  return layer instanceof Sigmoid || layer instanceof ReLU && isAveraged;
}

/** Whether a convolution computes each pixel from the same pixel of its input, as a `Linear` does. */
function isPointwise({ kernelSize, options }: Conv2d): boolean {
  const { stride = 1, padding = 0, groups = 1 } = options;
  const all = (value: unknown, expected: number) =>
    [value].flat(2).every((size) => size === expected || typeof size === "string");
  return all(kernelSize, 1) && all(stride, 1) && all(padding, 0) && groups === 1;
}
