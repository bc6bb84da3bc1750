/**
 * Forward passes in training mode.
 *
 * @module
 */

import type { Shape, Tensor } from "../tensor.ts";
import type { ForwardOptions } from "./forward.ts";
import type { FrozenPart } from "./frozen.ts";
import { fuse, type Step } from "./fuse.ts";
import type { LeafGraph } from "./graph_nodes.ts";

/** The values of a forward pass in training mode. */
export interface TrainingPass {
  readonly x: Tensor;
  readonly steps: readonly Step[];
  readonly output: number;
  /** The tensors that the backward pass needs, without the input and the output. */
  readonly activations: readonly Tensor[];
  /** Whether there are frozen layers before these steps. */
  readonly isFrozen: boolean;
}

/**
 * Runs all layers, and keeps their outputs for the backward pass. Frozen layers before the first
 * trained one run in evaluation mode.
 *
 * @param shapes The shapes of the outputs of all nodes.
 */
export function runTraining(
  { nodes, output }: LeafGraph,
  shapes: readonly Shape[],
  x: Tensor,
  { out, part }: ForwardOptions & { readonly part?: FrozenPart },
): { readonly pass: TrainingPass; readonly result: Tensor } {
  const steps = fuse(nodes, shapes, new Set([output]), true)
    .filter((step) => !part?.frozen.has(step.output));
  const root = rootOf(steps, output);
  const values: Tensor[] = [], activations: Tensor[] = [];
  const valueOf = (index: number) => index < 0 ? x : values[index];
  try {
    for (const [index, value] of part?.run(x) ?? []) {
      values[index] = value;
      if (index !== root) activations.push(value);
    }
    for (const { layer, inputs, output: value, activation } of steps) {
      const options = { activation, out: value === root ? out : undefined };
      values[value] = layer.forwardFrom(inputs.map(valueOf), options);
      if (value !== root && !layer.aliases) activations.push(values[value]);
    }
    const pass = { x, steps, output, activations, isFrozen: part !== undefined };
    const result = valueOf(output);
    return { pass, result: root < 0 ? result : valueOf(root).adopt(result.shape) };
  } catch (error) {
    for (const tensor of activations) tensor.dispose();
    if (!out) values[root]?.dispose();
    throw error;
  }
}

/** Returns the value whose memory holds an output: the one that it is a view of. −1: the input. */
function rootOf(steps: readonly Step[], output: number): number {
  const step = steps.find((step) => step.output === output);
  return step?.layer.aliases ? rootOf(steps, step.inputs[0]) : output;
}
