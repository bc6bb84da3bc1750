/**
 * The activation functions of single elements: their parameters, and what their gradients need.
 *
 * @module
 */

import type { Activation } from "../backend/geometry.ts";
import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import {
  checkNonNegative,
  checkNumber,
  checkOptions,
  checkTensor,
  type OutOptions,
  produce,
} from "./checks.ts";

/** What the gradient of each kind is computed from, besides dy: the output y or the input x. */
const saves: Readonly<Record<Activation["kind"], "x" | "y">> = {
  relu: "y",
  leakyRelu: "x",
  hardtanh: "y",
  hardsigmoid: "y",
  hardswish: "x",
  sigmoid: "y",
  tanh: "y",
  silu: "x",
  gelu: "x",
  softplus: "x",
  elu: "y",
  fakeQuantize: "x",
};

/** Each function from its parameters, which are checked. */
export const activations = {
  relu: (): Activation => ({ kind: "relu", a: 0, b: 0 }),
  relu6: (): Activation => ({ kind: "hardtanh", a: 0, b: 6 }),
  hardswish: (): Activation => ({ kind: "hardswish", a: 0, b: 0 }),
  sigmoid: (): Activation => ({ kind: "sigmoid", a: 0, b: 0 }),
  tanh: (): Activation => ({ kind: "tanh", a: 0, b: 0 }),
  silu: (): Activation => ({ kind: "silu", a: 1, b: 0 }),

  leakyRelu(op: string, negativeSlope: number): Activation {
    return { kind: "leakyRelu", a: checkNumber(op, "negativeSlope", negativeSlope), b: 0 };
  },

  hardtanh(op: string, minVal: number, maxVal: number): Activation {
    if (typeof minVal !== "number" || Number.isNaN(minVal)) {
      throw new ArgumentError(op, "minVal", minVal, "a number");
    }
    if (typeof maxVal !== "number" || !(maxVal >= minVal)) {
      throw new ArgumentError(op, "maxVal", maxVal, `a number of at least minVal, ${minVal}`);
    }
    return { kind: "hardtanh", a: minVal, b: maxVal };
  },

  hardsigmoid(op: string, alpha: number, beta: number): Activation {
    const a = checkNumber(op, "alpha", alpha), b = checkNumber(op, "beta", beta);
    return { kind: "hardsigmoid", a, b };
  },

  gelu(op: string, approximate: "none" | "tanh"): Activation {
    if (approximate === "none") return { kind: "gelu", a: 0, b: 0 };
    if (approximate !== "tanh") {
      throw new ArgumentError(op, "approximate", approximate, '"none" or "tanh"');
    }
    // (1 + tanh(u)) / 2 is the sigmoid of 2u
    const a = 2 * Math.sqrt(2 / Math.PI);
    return { kind: "silu", a, b: 0.044715 * a };
  },

  softplus(op: string, beta: number, threshold: number): Activation {
    if (checkNumber(op, "beta", beta) === 0) {
      throw new ArgumentError(op, "beta", beta, "a number other than 0");
    }
    return { kind: "softplus", a: beta, b: checkNumber(op, "threshold", threshold) };
  },

  elu(op: string, alpha: number): Activation {
    return { kind: "elu", a: checkNonNegative(op, "alpha", alpha), b: 0 };
  },
};

/** Whether the gradient is computed from the output of the forward pass, not from its input. */
export function savesOutput({ kind }: Activation): boolean {
  return saves[kind] === "y";
}

/** Computes an activation function of each element. `out` may be x. */
export function activate(op: string, x: Tensor, f: Activation, options: OutOptions): Tensor {
  checkTensor(op, "x", x, x);
  checkOptions(op, options);
  const target = { shape: x.shape, out: options.out, inPlace: true };
  return produce(op, x, target, (y) => kernelsOf(x).activation(y, x, f));
}

/** Computes the gradient of an activation function. `out` may be dy. */
export function activateBackward(
  op: string,
  dy: Tensor,
  saved: Tensor,
  f: Activation,
  options: OutOptions,
): Tensor {
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, saves[f.kind], saved, dy, dy.shape);
  checkOptions(op, options);
  const target = { shape: dy.shape, out: options.out, reads: [saved], inPlace: true };
  return produce(op, dy, target, (dx) => kernelsOf(dy).activationBackward(dx, dy, saved, f));
}
