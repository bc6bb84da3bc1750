/**
 * What a network is made of, and what it costs.
 *
 * @module
 */

import { Linear } from "../layers/linear.ts";
import { parameterCount } from "../layers/layer.ts";
import type { Sequential } from "../layers/sequential.ts";
import type { Shape } from "../tensor.ts";

/**
 * One layer of a network.
 *
 * @internal
 */
export interface LayerSummary {
  /** Its name in the network: "features.0". */
  readonly name: string;
  /** Its kind: "Conv2d". */
  readonly type: string;
  /** What it makes of the input. */
  readonly outputShape: Shape;
  /** Number of its parameters. */
  readonly parameters: number;
  /** Multiply-accumulates of one forward pass. */
  readonly macs: number;
}

/**
 * A network's layers and their sums.
 *
 * @internal
 */
export interface ModelSummary {
  /** The network's name. */
  readonly model: string;
  /** The input that shapes and costs are for. */
  readonly inputShape: Shape;
  /** The layers in order. */
  readonly layers: readonly LayerSummary[];
  /** Parameters of all layers. */
  readonly parameters: number;
  /** Multiply-accumulates of all layers. */
  readonly macs: number;
  /** The last fully connected layer, if there is one. */
  readonly lastLayer?: {
    /** Its name in the network. */
    readonly name: string;
    /** Features it takes. */
    readonly inFeatures: number;
    /** Features it gives. */
    readonly outFeatures: number;
  };
}

/**
 * Describes a network for an input shape. Needs no weights and no backend.
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
export function summarize(model: Sequential, inputShape: Shape): ModelSummary {
  let shape = inputShape;
  const leaves = model.leaves();
  const layers = leaves.map(([name, layer]) => {
    const macs = layer.macs(shape);
    shape = layer.outputShape(shape);
    return { name, type: layer.type, outputShape: shape, parameters: parameterCount(layer), macs };
  });
  const last = leaves.findLast(([, layer]) => layer instanceof Linear);
  return {
    model: model.type,
    inputShape,
    layers,
    parameters: layers.reduce((sum, layer) => sum + layer.parameters, 0),
    macs: layers.reduce((sum, layer) => sum + layer.macs, 0),
    lastLayer: last && lastLayer(last[0], last[1] as Linear),
  };
}

function lastLayer(name: string, { inFeatures, outFeatures }: Linear) {
  return { name, inFeatures, outFeatures };
}
