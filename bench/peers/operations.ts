/**
 * Networks as lists of plain operations. Adapters build them in other libraries.
 *
 * @module
 */

import {
  AdaptiveAvgPool2d,
  AvgPool2d,
  BatchNorm2d,
  ChannelShuffle,
  Concat,
  Conv2d,
  type Graph,
  Hardsigmoid,
  type Layer,
  Linear,
  MaxPool2d,
  Slice,
} from "../../mod.ts";
import type { Conv2dGeometry, Pool2dGeometry } from "../../src/backend/geometry.ts";
import { convGeometry } from "../../src/ops/conv_geometry.ts";
import { poolGeometry } from "../../src/ops/pool_geometry.ts";

/** The name of a network's input. */
export const inputName = "input";

/** The shape of a value for one image: [1, C, H, W] or [1, features]. */
export type Shape = readonly number[];

/** An activation function without parameters. */
export type ActivationName = "relu" | "relu6" | "hardswish" | "sigmoid" | "silu";

/** What an operation computes. Weights are names of parameters. */
export type Computation =
  | {
    readonly op: "conv";
    readonly g: Conv2dGeometry;
    readonly weight: string;
    readonly bias?: string;
  }
  | {
    readonly op: "norm";
    readonly weight: string;
    readonly bias: string;
    readonly mean: string;
    readonly variance: string;
    readonly eps: number;
  }
  | { readonly op: "activation"; readonly name: ActivationName }
  | { readonly op: "hardsigmoid"; readonly alpha: number; readonly beta: number }
  | { readonly op: "maxPool"; readonly g: Pool2dGeometry }
  | { readonly op: "avgPool"; readonly g: Pool2dGeometry }
  /** The mean of each channel, [N, C, 1, 1]. */
  | { readonly op: "mean" }
  | { readonly op: "add" }
  | { readonly op: "mul" }
  /** Joins channels. */
  | { readonly op: "concat" }
  /** Takes the channels from `start` to before `end`. */
  | { readonly op: "slice"; readonly start: number; readonly end: number }
  | { readonly op: "shuffle"; readonly groups: number }
  | { readonly op: "flatten" }
  | { readonly op: "linear"; readonly weight: string; readonly bias?: string };

/** An operation of a network. */
export type Operation = Computation & {
  /** The name of its output. */
  readonly output: string;
  /** The names of its inputs: outputs of earlier operations, or {@linkcode inputName}. */
  readonly inputs: readonly string[];
  /** The shape of its output. */
  readonly shape: Shape;
};

/** Layers that do nothing in inference. */
const doNothing = ["Dropout", "StochasticDepth", "Identity"];

/** Activations without parameters, by the type of their layer. */
const activations: Readonly<Record<string, ActivationName>> = {
  ReLU: "relu",
  ReLU6: "relu6",
  Hardswish: "hardswish",
  Sigmoid: "sigmoid",
  SiLU: "silu",
};

/** Other layers without parameters, by their type. */
const plainLayers = { Add: "add", Mul: "mul", Flatten: "flatten" } as const;

/** Returns the operations of a network for images of this shape. The last one computes its output. */
export function operationsOf(graph: Graph, image: Shape): Operation[] {
  const { nodes } = graph.expand(), shapes = graph.shapes(image);
  const names: string[] = [], operations: Operation[] = [];
  const shapeOf = (index: number) => index < 0 ? image : shapes[index];
  for (const [i, { name, layer, inputs }] of nodes.entries()) {
    const from = inputs.map((index) => index < 0 ? inputName : names[index]);
    const x = shapeOf(inputs[0]), shape = shapes[i];
    if (doesNothing(layer, x, shape)) {
      names.push(from[0]);
      continue;
    }
    names.push(name);
    operations.push({ ...computation(layer, name, x, shape), output: name, inputs: from, shape });
  }
  return operations;
}

function doesNothing(layer: Layer, x: Shape, y: Shape): boolean {
  return doNothing.includes(layer.type) ||
    (layer instanceof AdaptiveAvgPool2d && x[2] === y[2] && x[3] === y[3]);
}

/** Describes a layer with an input of shape x and an output of shape y. */
function computation(layer: Layer, name: string, x: Shape, y: Shape): Computation {
  const { type } = layer;
  const weights = {
    weight: `${name}.weight`,
    ...(layer.parameters.bias && { bias: `${name}.bias` }),
  };
  if (type in activations) return { op: "activation", name: activations[type] };
  if (type in plainLayers) return { op: plainLayers[type as keyof typeof plainLayers] };
  if (layer instanceof Hardsigmoid) {
    return { op: "hardsigmoid", alpha: layer.alpha, beta: layer.beta };
  }
  if (layer instanceof Conv2d) {
    const { g } = convGeometry(type, 2, x, layer.parameters.weight.shape, layer.options);
    return { op: "conv", g, ...weights };
  }
  if (layer instanceof Linear) return { op: "linear", ...weights };
  if (layer instanceof BatchNorm2d && layer.parameters.weight) {
    return {
      op: "norm",
      weight: `${name}.weight`,
      bias: `${name}.bias`,
      mean: `${name}.running_mean`,
      variance: `${name}.running_var`,
      eps: layer.options.eps ?? 1e-5,
    };
  }
  if (layer instanceof MaxPool2d) return { op: "maxPool", g: padded(layer, x) };
  if (layer instanceof AvgPool2d && isPlain(layer)) return { op: "avgPool", g: padded(layer, x) };
  if (layer instanceof AdaptiveAvgPool2d && y[2] === 1 && y[3] === 1) return { op: "mean" };
  if (layer instanceof Concat && layer.dim === 1) return { op: "concat" };
  if (layer instanceof Slice && layer.dim === 1 && (layer.options.step ?? 1) === 1) {
    const start = layer.start < 0 ? x[1] + layer.start : layer.start;
    return { op: "slice", start, end: start + y[1] };
  }
  if (layer instanceof ChannelShuffle) return { op: "shuffle", groups: layer.groups };
  throw new Error(`the benchmark has no operation for ${name}, ${type}`);
}

/** The geometry of a pooling, with padding in place of `ceilMode`. */
function padded({ type, options }: MaxPool2d | AvgPool2d, x: Shape): Pool2dGeometry {
  const { g } = poolGeometry(type, 2, x, options);
  const spanH = g.dilationH * (g.kh - 1) + 1, spanW = g.dilationW * (g.kw - 1) + 1;
  return {
    ...g,
    bottom: Math.max(g.bottom, (g.oh - 1) * g.strideH + spanH - g.h - g.top),
    right: Math.max(g.right, (g.ow - 1) * g.strideW + spanW - g.w - g.left),
  };
}

/** Whether each output is the mean of as many elements. */
function isPlain({ options: { padding = 0, ceilMode, divisorOverride } }: AvgPool2d): boolean {
  return [padding].flat().every((size) => size === 0) && !ceilMode && divisorOverride === undefined;
}
