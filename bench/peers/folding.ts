/**
 * Folds batch normalisations and activations into the operations before them, for libraries that do
 * not do this themselves. TensorFlow.js's converter does the same.
 *
 * @module
 */

import type { Network, Weight } from "./network.ts";
import type { ActivationName, Operation } from "./operations.ts";
import type { Values } from "./peer.ts";
import { product } from "./random.ts";

/** An operation, with those that follow it and that it computes too. */
export interface FoldedOperation<Fused> {
  readonly operation: Operation;
  /** The name of the output of the last of them. */
  readonly output: string;
  readonly activation?: Fused;
  /** The weights of a convolution or fully connected layer. */
  readonly weight?: Weight;
  readonly bias?: Values;
}

/** Factor and offset of each channel. */
export interface Affine {
  readonly scale: Values;
  readonly shift: Values;
}

/**
 * Returns the operations of a network without those that others compute too.
 *
 * @param fused The activations that convolutions and fully connected layers can compute.
 */
export function fold<Fused extends ActivationName>(
  network: Network,
  fused: readonly Fused[],
): FoldedOperation<Fused>[] {
  const { operations } = network, done = new Set<Operation>();
  const users = Map.groupBy(
    operations.flatMap((user) => user.inputs.map((input) => ({ input, user }))),
    ({ input }) => input,
  );
  const onlyUser = (output: string) => {
    const list = users.get(output) ?? [];
    return list.length === 1 ? list[0].user : undefined;
  };
  return operations.flatMap((operation): FoldedOperation<Fused>[] => {
    if (done.has(operation)) return [];
    let { output } = operation;
    if (operation.op !== "conv" && operation.op !== "linear") return [{ operation, output }];
    let { weight, bias } = weightsOf(network, operation);
    let next = onlyUser(output);
    if (operation.op === "conv" && next?.op === "norm") {
      ({ weight, bias } = scaled(weight, bias, affine(network, next)));
      done.add(next);
      next = onlyUser(output = next.output);
    }
    const activation = fused.find((name) => next?.op === "activation" && next.name === name);
    if (next && activation) {
      done.add(next);
      output = next.output;
    }
    return [{ operation, output, activation, weight, bias }];
  });
}

/** A batch normalisation as a factor and an offset of each channel. */
export function affine(
  { parameters }: Network,
  norm: Extract<Operation, { op: "norm" }>,
): Affine {
  const [weight, bias, mean, variance] = [norm.weight, norm.bias, norm.mean, norm.variance].map(
    (name) => parameters.get(name)!.values,
  );
  const scale = weight.map((value, c) => value / Math.sqrt(variance[c] + norm.eps));
  return { scale, shift: bias.map((value, c) => value - mean[c] * scale[c]) };
}

function weightsOf(
  { parameters }: Network,
  { weight, bias }: Extract<Operation, { op: "conv" | "linear" }>,
): { weight: Weight; bias?: Values } {
  return {
    weight: parameters.get(weight)!,
    bias: bias === undefined ? bias : parameters.get(bias)!.values,
  };
}

/** Scales the output channels of a convolution. */
function scaled(
  { shape, values }: Weight,
  bias: Values | undefined,
  { scale, shift }: Affine,
): { weight: Weight; bias: Values } {
  const size = product(shape.slice(1));
  return {
    weight: { shape, values: values.map((value, i) => value * scale[Math.floor(i / size)]) },
    bias: shift.map((value, c) => value + (bias?.[c] ?? 0) * scale[c]),
  };
}
