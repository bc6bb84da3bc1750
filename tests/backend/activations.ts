/** Every activation function of single elements, with and without arguments, for tests. */

import * as ops from "../../src/ops/mod.ts";
import type { OutOptions } from "../../src/ops/mod.ts";
import type { Tensor } from "../../src/tensor.ts";
import { type Elementwise, elementwise } from "../reference.ts";

/** The names of the functions. */
export type ActivationName = keyof typeof elementwise;

/** The functions whose gradients are computed from the input. The others need the output. */
const fromInput: readonly ActivationName[] = ["leakyRelu", "silu", "hardswish", "gelu", "softplus"];

/** A function with arguments. */
export interface ActivationCase {
  /** The call: "elu(0.3)". */
  readonly name: string;
  readonly op: ActivationName;
  readonly args: readonly unknown[];
  readonly reference: Elementwise;
  readonly forward: (x: Tensor, options?: OutOptions) => Tensor;
  /** Takes the input and the output, and uses one of them. */
  readonly backward: (dy: Tensor, x: Tensor, y: Tensor, options?: OutOptions) => Tensor;
}

/** A function by its name, with all of its arguments. */
export function activationCase(name: ActivationName, ...args: unknown[]): ActivationCase {
  type Call = (...args: unknown[]) => Tensor;
  const forward = ops[name] as Call, backward = ops[`${name}Backward`] as Call;
  // a backend has the arguments in float32
  const rounded = args.map((v) => typeof v === "number" ? Math.fround(v) : v);
  return {
    name: `${name}(${args})`,
    op: name,
    args,
    reference: (elementwise[name] as (...args: unknown[]) => Elementwise)(...rounded),
    forward: (x, options = {}) => forward(x, ...args, options),
    backward: (dy, x, y, options = {}) =>
      backward(dy, fromInput.includes(name) ? x : y, ...args, options),
  };
}

/** The cases. */
export const activationCases: readonly ActivationCase[] = [
  activationCase("relu"),
  activationCase("relu6"),
  activationCase("leakyRelu", 0.01),
  activationCase("leakyRelu", -2.5),
  activationCase("sigmoid"),
  activationCase("tanh"),
  activationCase("silu"),
  activationCase("hardswish"),
  activationCase("hardsigmoid", 1 / 6, 0.5),
  activationCase("hardsigmoid", 0.2, 0.4),
  activationCase("gelu", "none"),
  activationCase("gelu", "tanh"),
  activationCase("softplus", 1, 20),
  activationCase("softplus", 2.5, 4),
  activationCase("hardtanh", -1, 1),
  activationCase("hardtanh", -Infinity, 2),
  activationCase("hardtanh", -0.5, Infinity),
  activationCase("elu", 1),
  activationCase("elu", 0.3),
];
