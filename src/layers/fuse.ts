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
  const chain = new Chain(context, first);

  let norm: BatchNorm | undefined, residual: number | undefined;
  let activation: FusedActivation | undefined;
  if (isOwn && layer.fusesNorm && !training) {
    norm = normOf(chain.next);
    if (norm) chain.advance();
  }
  if (isOwn && layer.fusesResidual && !training) {
    residual = residualOf(context, chain, first);
    if (residual !== undefined) chain.advance();
  }
  if (isOwn && layer.fusesActivation) {
    activation = activationOf(chain.next, training);
    if (activation) chain.advance();
  }
  const { last: output, computed } = chain;
  const step = { layer, inputs, output, shape: shapes[output], activation, norm, residual };
  return { step, computed };
}

/** The nodes that a step computes, and the next one that it may. */
class Chain {
  /** The nodes behind the first one. */
  readonly computed: number[] = [];
  readonly #context: Context;
  readonly #first: number;
  #next: number | undefined;

  constructor(context: Context, first: number) {
    this.#context = context;
    this.#first = first;
    this.#follow();
  }

  /** The last node. */
  get last(): number {
    return this.computed.at(-1) ?? this.#first;
  }

  /** The node that takes the output of the last one, if no other node needs that. */
  get next(): LeafNode | undefined {
    return this.#next === undefined ? undefined : this.#context.nodes[this.#next];
  }

  /** Adds the next node. */
  advance(): void {
    this.computed.push(this.#next!);
    this.#follow();
  }

  /** Finds the next node, and adds those before it that only pass their input on. */
  #follow(): void {
    this.#next = onlyConsumer(this.#context, this.last);
    while (this.#next !== undefined && isIdentity(this.#context, this.#next)) {
      this.computed.push(this.#next);
      this.#next = onlyConsumer(this.#context, this.last);
    }
  }
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

/** Returns the layer of a node if it is a batch normalisation that a convolution can compute. */
function normOf(node: LeafNode | undefined): BatchNorm | undefined {
  const layer = node?.layer;
  const fits = layer instanceof BatchNorm && !layer.training && !overridesForward(layer);
  return fits ? layer : undefined;
}

/** If the next node adds another value to the last one, returns it, provided it is known before `now`. */
function residualOf({ shapes }: Context, { next, last }: Chain, now: number): number | undefined {
  if (!next?.layer.addsTwo || next.inputs.length !== 2 || overridesForward(next.layer)) {
    return undefined;
  }
  const other = next.inputs[0] === last ? next.inputs[1] : next.inputs[0];
  const isReady = other >= 0 && other < now;
  return isReady && sameShape(shapes[other], shapes[last]) ? other : undefined;
}

/** Returns the activation of a node if the kernels of other layers can apply it. */
function activationOf(node: LeafNode | undefined, training: boolean): FusedActivation | undefined {
  if (!node || overridesForward(node.layer)) return undefined;
  const { fusedAs } = node.layer;
  return training && fusedAs !== "relu" ? undefined : fusedAs;
}
