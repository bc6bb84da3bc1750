/**
 * The layers of a network and their costs.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { Conv } from "../layers/conv.ts";
import { Linear } from "../layers/linear.ts";
import type { Layer } from "../layers/layer.ts";
import { Graph } from "../layers/graph.ts";
import { graphInput } from "../layers/graph_builder.ts";
import { learnedCount, type Parameter } from "../layers/parameter.ts";
import { isShape, type Shape } from "../tensor.ts";

/**
 * A layer in a summary.
 */
export interface LayerSummary {
  /** The name in the network, such as "features.0". */
  readonly name: string;
  /** The type of layer, such as "Conv2d". */
  readonly type: string;
  /** The names of the layers whose outputs it takes. Missing if that is the layer before it. */
  readonly inputs?: readonly string[];
  /** The shape of its output. */
  readonly outputShape: Shape;
  /** Number of learned parameters. Those that layers share count in the first one. */
  readonly parameters: number;
  /** Multiply-accumulates of one forward pass. */
  readonly macs: number;
}

/**
 * The summary of a network.
 */
export interface ModelSummary {
  /** The type of network, such as "alexnet". */
  readonly model: string;
  /** The input shape. */
  readonly inputShape: Shape;
  /** The layers in order. */
  readonly layers: readonly LayerSummary[];
  /** Number of learned parameters of all layers. */
  readonly parameters: number;
  /** Multiply-accumulates of one forward pass. */
  readonly macs: number;
  /** The layer that gives the classes: the last fully connected one, or the last convolution. */
  readonly lastLayer?: {
    /** The name in the network. */
    readonly name: string;
    /** Features of its input. */
    readonly inFeatures: number;
    /** Features of its output. */
    readonly outFeatures: number;
  };
}

/**
 * Summarises a network: the output shape, parameters and costs of each layer, and where branches
 * start and end. It needs no weights and no backend.
 *
 * @param model A network, with or without values.
 * @param inputShape The shape of its input, such as `model.inputShape(1)`.
 * @returns `layers`, with the name, type, shape and cost of each; the sums `parameters` and `macs`
 * (multiply-adds); `lastLayer`.
 * @throws {ArgumentError} When the model is no graph, or does not support the input shape.
 *
 * @example
 * ```ts
 * import { AlexNet } from "./alexnet.ts";
 * import { summarize } from "./summary.ts";
 *
 * const summary = summarize(new AlexNet(), [1, 3, 224, 224]);
 * console.log(summary.parameters, summary.lastLayer); // 61100840, 4096 → 1000
 * ```
 */
export function summarize(model: Graph, inputShape: Shape): ModelSummary {
  if (!(model instanceof Graph)) throw new ArgumentError("summarize", "model", model, "a Graph");
  if (!isShape(inputShape)) {
    throw new ArgumentError("summarize", "inputShape", inputShape, "a list of positive integers");
  }
  const { nodes } = model.expand(), shapes = model.shapes(inputShape);
  const counted = new Set<Parameter>();
  const layers = nodes.map(({ name, layer, inputs }, i) => ({
    name,
    type: layer.type,
    ...(inputs.join() !== `${i - 1}` && {
      inputs: inputs.map((input) => nodes[input]?.name ?? graphInput),
    }),
    outputShape: shapes[i],
    parameters: learnedCount(layer, counted),
    macs: layer.macsOf(inputs.map((input) => shapes[input] ?? inputShape)),
  }));
  const isLast = (layer: Layer) => layer instanceof Linear || layer instanceof Conv;
  const last = model.leaves().findLast(([, layer]) => isLast(layer));
  return {
    model: model.type,
    inputShape,
    layers,
    parameters: layers.reduce((sum, layer) => sum + layer.parameters, 0),
    macs: layers.reduce((sum, layer) => sum + layer.macs, 0),
    lastLayer: last && lastLayer(last[0], last[1] as Linear | Conv),
  };
}

function lastLayer(name: string, layer: Linear | Conv) {
  const [inFeatures, outFeatures] = layer instanceof Conv
    ? [layer.inChannels, layer.outChannels]
    : [layer.inFeatures, layer.outFeatures];
  return { name, inFeatures, outFeatures };
}
