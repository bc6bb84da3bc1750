/**
 * Fusing: finds the layers of a graph that the kernel of a layer before them can compute, too. A layer
 * whose class overrides the forward pass is never fused.
 *
 * @module
 */

import type { FusedActivation } from "../ops/fused.ts";
import { sameShape, type Shape } from "../tensor.ts";
import { overridesForward } from "./forward.ts";
import type { LeafNode } from "./graph_nodes.ts";
import type { Layer } from "./layer.ts";
import { BatchNorm } from "./norm.ts";

/** A layer, and the layers after it that its kernel computes, too. */
export interface Step {
  readonly layer: Layer;
  /** The indices of its inputs. */
  readonly inputs: readonly number[];
  /** The index of its output: that of the last node that it computes. */
  readonly output: number;
  /** The shape of its output. */
  readonly shape: Shape;
  readonly activation?: FusedActivation;
  readonly norm?: BatchNorm;
  /** The index of the value that is added before the activation. */
  readonly residual?: number;
}

/** What the search for fused layers needs to know. */
interface Context {
  readonly nodes: readonly LeafNode[];
  readonly shapes: readonly Shape[];
  /** For each node, the nodes that take its output. A node that takes it twice is listed twice. */
  readonly consumers: readonly (readonly number[])[];
  /** The nodes whose outputs the caller takes. */
  readonly outputs: ReadonlySet<number>;
  readonly training: boolean;
}

/**
 * Returns the steps of a pass in order.
 *
 * @param shapes The shapes of the outputs of all nodes.
 * @param outputs The nodes whose outputs the caller takes.
 * @param training In training mode, only a ReLU is fused.
 */
export function fuse(
  nodes: readonly LeafNode[],
  shapes: readonly Shape[],
  outputs: ReadonlySet<number>,
  training: boolean,
): Step[] {
  const consumers: number[][] = nodes.map(() => []);
  for (const [i, { inputs }] of nodes.entries()) {
    for (const input of inputs) if (input >= 0) consumers[input].push(i);
  }
  const context = { nodes, shapes, consumers, outputs, training };
  const steps: Step[] = [], fused = new Set<number>();
  for (const i of nodes.keys()) {
    if (fused.has(i)) continue;
    const { step, computed } = stepFrom(context, i);
    steps.push(step);
    for (const index of computed) fused.add(index);
  }
  return steps;
}

/**
 * Returns the step that starts at a node, and the nodes that it also computes: a batch normalisation, an
 * addition and an activation, in this order, each of them optional.
 */
function stepFrom(context: Context, first: number): { step: Step; computed: readonly number[] } {
  const { nodes, shapes } = context, { layer, inputs } = nodes[first];
  const isOwn = !overridesForward(layer);
  const training = context.training || layer.training;
  const computed: number[] = [];
  const last = () => computed.at(-1) ?? first;
  /** Returns the next node that may be fused, behind those that only pass their input on. */
  const follow = () => {
    let next = onlyConsumer(context, last());
    while (next !== undefined && isIdentity(context, next)) {
      computed.push(next);
      next = onlyConsumer(context, last());
    }
    return next;
  };

  let norm: BatchNorm | undefined, residual: number | undefined;
  let next = follow();
  if (next !== undefined && isOwn && layer.fusesNorm && !training) {
    const { layer: follower } = nodes[next];
    if (follower instanceof BatchNorm && !follower.training && !overridesForward(follower)) {
      norm = follower;
      computed.push(next);
      next = follow();
    }
  }
  if (next !== undefined && isOwn && layer.fusesResidual && !training) {
    residual = residualOf(context, next, last(), first);
    if (residual !== undefined) {
      computed.push(next);
      next = follow();
    }
  }
  let activation: FusedActivation | undefined;
  if (next !== undefined && isOwn && layer.fusesActivation) {
    const { layer: follower } = nodes[next], { fusedAs } = follower;
    const isFused = fusedAs === "relu" || fusedAs !== undefined && !training;
    if (isFused && !overridesForward(follower)) {
      activation = fusedAs;
      computed.push(next);
    }
  }
  const step = {
    layer,
    inputs,
    output: last(),
    shape: shapes[last()],
    ...(activation && { activation }),
    ...(norm && { norm }),
    ...(residual !== undefined && { residual }),
  };
  return { step, computed };
}

/** Returns the node that takes this output, if there is only one and nobody else needs it. */
function onlyConsumer(
  { consumers, outputs }: Context,
  node: number,
): number | undefined {
  return outputs.has(node) || consumers[node].length !== 1 ? undefined : consumers[node][0];
}

/** Whether a node only passes its input on, as a dropout does in evaluation mode. */
function isIdentity({ nodes, shapes, training }: Context, node: number): boolean {
  const { layer, inputs: [input] } = nodes[node];
  return !training && layer.aliases && sameShape(shapes[node], shapes[input]);
}

/** If a node adds another value to `value`, returns the other one, provided it is known before `now`. */
function residualOf(
  { nodes, shapes }: Context,
  add: number,
  value: number,
  now: number,
): number | undefined {
  const { layer, inputs } = nodes[add];
  if (!layer.addsTwo || inputs.length !== 2 || overridesForward(layer)) return undefined;
  const other = inputs[0] === value ? inputs[1] : inputs[0];
  const isReady = other >= 0 && other < now;
  return isReady && sameShape(shapes[other], shapes[value]) ? other : undefined;
}
