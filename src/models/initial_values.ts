/**
 * The distributions of `torch.nn.init`, for the initial values of networks.
 *
 * @module
 */

import { Conv } from "../layers/conv.ts"; // not layers/mod.ts: see resnet_tiny.ts
import type { Layer } from "../layers/layer.ts";
import { Linear } from "../layers/linear.ts";
import type { Parameter } from "../layers/parameter.ts";
import { elements, type Shape } from "../tensor.ts";

/** Writes initial values to a chunk of a parameter. */
export type Fill = Parameter["fill"];

/**
 * How a network draws its values again, after those of its layers. PyTorch's generator has advanced
 * by then, and so does ours.
 */
export interface InitialValues {
  /** The weights of convolutions. Default: as the layer draws them. */
  readonly conv?: (shape: Shape, name: string) => Fill;
  /** The weights of fully connected layers. Default: as the layer draws them. */
  readonly linear?: (shape: Shape) => Fill;
  /** Sets the biases of both to 0. Default: as the layer draws them. */
  readonly zeroBias?: boolean;
}

/** Returns the values that a layer of a network draws again, by parameter. */
export function redrawn(layer: Layer, name: string, values: InitialValues): Map<string, Fill> {
  const { conv, linear, zeroBias } = values;
  const fills = new Map<string, Fill>();
  if (layer instanceof Conv && conv) {
    fills.set("weight", conv(layer.parameters.weight.shape, name));
  }
  if (layer instanceof Linear && linear) {
    fills.set("weight", linear(layer.parameters.weight.shape));
  }
  if (layer.parameters.bias && zeroBias) fills.set("bias", (values) => values.fill(0));
  return fills;
}

/** The inputs of each output. */
function fanIn(shape: Shape): number {
  return elements(shape.slice(1));
}

/** The outputs that each input goes to. As in PyTorch, it ignores the groups of convolutions. */
function fanOut([outputs, , ...kernel]: Shape): number {
  return outputs * elements(kernel);
}

/** `normal_(0, std)` */
export function normal(std: number): Fill {
  return (values, generator) => generator.normal(values, 0, std);
}

/** `kaiming_normal_(mode="fan_out")`, for layers before a ReLU. */
export function kaimingNormal(shape: Shape, mode: "fan_in" | "fan_out" = "fan_out"): Fill {
  return normal(Math.SQRT2 / Math.sqrt(mode === "fan_in" ? fanIn(shape) : fanOut(shape)));
}

/** `uniform_(-bound, bound)` */
export function uniform(bound: number): Fill {
  return (values, generator) => generator.uniform(values, -bound, bound);
}

/** `kaiming_uniform_()`, for layers before a ReLU. */
export function kaimingUniform(shape: Shape): Fill {
  return uniform(Math.sqrt(3) * Math.SQRT2 / Math.sqrt(fanIn(shape)));
}

/** `kaiming_uniform_(mode="fan_out", nonlinearity="sigmoid")` */
export function kaimingUniformSigmoid(shape: Shape): Fill {
  return uniform(Math.sqrt(3) / Math.sqrt(fanOut(shape)));
}

/** `trunc_normal_(0, std, -2, 2)`, for a small deviation: nothing but infinities is cut off. */
export function truncatedNormal(std: number): Fill {
  return (values, generator) => {
    generator.uniform(values, -1, 1);
    for (let i = 0; i < values.length; i++) {
      const value = inverseErf(values[i]) * std * Math.SQRT2;
      values[i] = Math.max(-2, Math.min(2, value));
    }
  };
}

/** The coefficients of {@linkcode inverseErf} near 0, from the highest power. */
const central = [
  2.81022636e-08,
  3.43273939e-07,
  -3.5233877e-06,
  -4.39150654e-06,
  0.00021858087,
  -0.00125372503,
  -0.00417768164,
  0.246640727,
  1.50140941,
];
/** Those near ±1. */
const tail = [
  -0.000200214257,
  0.000100950558,
  0.00134934322,
  -0.00367342844,
  0.00573950773,
  -0.0076224613,
  0.00943887047,
  1.00167406,
  2.83297682,
];

/** The inverse error function, in float32 (Giles, "Approximating the erfinv function", 2010). */
function inverseErf(x: number): number {
  if (Math.abs(x) === 1) return x * Infinity;
  const w = -Math.log((1 - x) * (1 + x)), isCentral = w < 5;
  const t = isCentral ? w - 2.5 : Math.sqrt(w) - 3;
  return x * (isCentral ? central : tail).reduce((sum, coefficient) => sum * t + coefficient, 0);
}
