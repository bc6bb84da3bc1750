/**
 * Forward passes in training mode. Frozen layers that come before all trained ones run in evaluation
 * mode.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import { checkOptions, checkTensor } from "../ops/checks.ts";
import type { RandomGenerator } from "../random.ts";
import { type Shape, type Tensor, withShape } from "../tensor.ts";
import { type ForwardOptions, viewAs } from "./forward.ts";
import { fuse, type Step } from "./fuse.ts";
import type { LeafGraph, LeafNode } from "./graph_nodes.ts";
import type { Layer } from "./layer.ts";
import { outputsOf, PlanCache, runLayer } from "./plan_cache.ts";

/** The values of a forward pass in training mode. */
export interface TrainingPass {
  readonly x: Tensor;
  readonly steps: readonly Step[];
  /** The {@linkcode Layer.passes} of the layer of each step, after it ran. */
  readonly passes: readonly number[];
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
 * @param type The name of the network in error messages.
 * @param shapes The shapes of the outputs of all nodes.
 */
export function runTraining(
  type: string,
  { nodes, output }: LeafGraph,
  shapes: readonly Shape[],
  x: Tensor,
  { out, part }: ForwardOptions & { readonly part?: FrozenPart },
): { readonly pass: TrainingPass; readonly result: Tensor } {
  const steps = fuse(nodes, shapes, new Set([output]), true)
    .filter((step) => !part?.frozen.has(step.output));
  const root = rootOf(steps, output);
  if (out) checkTensor(type, "out", out, x, shapes[output] ?? x.shape);
  if (out && root < 0) viewAs(type, x, x.shape, { out }); // throws
  const values: Tensor[] = [], activations: Tensor[] = [], passes: number[] = [];
  const valueOf = (index: number) => index < 0 ? x : values[index];
  try {
    for (const [index, value] of part?.run(x) ?? []) {
      values[index] = value;
      if (index !== root) activations.push(value);
    }
    for (const { layer, inputs, output: value, activation } of steps) {
      const options = { activation, out: value === root ? out?.view(shapes[root]) : undefined };
      values[value] = runLayer(layer, inputs.map(valueOf), options);
      passes.push(layer.passes);
      if (value !== root && !layer.aliases) activations.push(values[value]);
    }
    const pass = { x, steps, passes, output, activations, isFrozen: part !== undefined };
    const result = output < 0 ? x.view(x.shape) : values[output]; // never x, which the caller keeps
    return { pass, result: out ?? (root < 0 ? result : withShape(valueOf(root), result.shape)) };
  } catch (error) {
    for (const tensor of activations) tensor.dispose();
    if (!out) values[root]?.dispose();
    throw error;
  }
}

/**
 * Checks that no layer has run again since a forward pass. A second run replaces what the layer saved
 * for the backward pass of the first one.
 *
 * @param type The name of the network in the error message.
 * @throws {PembrokeError} When a layer has run again.
 */
export function checkPasses(
  type: string,
  nodes: readonly LeafNode[],
  { steps, passes }: TrainingPass,
): void {
  const again = steps.find(({ layer }, i) => layer.passes !== passes[i])?.layer;
  if (!again) return;
  const [name, other] = nodes.filter(({ layer }) => layer === again).map(({ name }) => name);
  throw new PembrokeError(
    other === undefined
      ? `${type}: layer "${name}" ran again after forward(); call backward() first`
      : `${type}: backward() needs a layer for each node, but "${name}" and "${other}" have the same`,
  );
}

/** Returns the value that an output is a view of, or the output itself. −1 is the input. */
function rootOf(steps: readonly Step[], output: number): number {
  const step = steps.find((step) => step.output === output);
  return step?.layer.aliases ? rootOf(steps, step.inputs[0]) : output;
}

/**
 * Options of {@linkcode Graph.freeze}.
 */
export interface FreezeOptions {
  /** The names of nodes that stay as they are, with all nodes inside, such as "layer4" and "fc". */
  readonly except?: readonly string[];
}

/**
 * Freezes all layers but those with these names, or inside nodes with these names.
 *
 * @throws {ArgumentError} When there is no such node.
 */
export function freezeLeaves(leaves: readonly [string, Layer][], options: FreezeOptions): void {
  checkOptions("freeze", options, ["except"]);
  const { except = [] } = options;
  const isIn = (leaf: string, name: string) => leaf === name || leaf.startsWith(`${name}.`);
  if (!Array.isArray(except)) throw new ArgumentError("freeze", "except", except, "a list");
  for (const name of except) {
    if (leaves.some(([leaf]) => isIn(leaf, name))) continue;
    throw new ArgumentError("freeze", "a name in except", name, "the name of a node");
  }
  for (const [leaf, layer] of leaves) {
    if (!except.some((name) => isIn(leaf, name))) layer.freeze();
  }
}

/**
 * Returns the frozen nodes that depend on no trained node, and the layers without parameters between
 * them. Returns none if nothing is trained: the backward pass then computes the gradient of the input,
 * and needs the values of all layers.
 */
export function frozenNodes({ nodes, output }: LeafGraph): ReadonlySet<number> {
  const frozen = new Set<number>();
  let learned = 0;
  for (const [i, { layer, inputs }] of nodes.entries()) {
    const isFirst = inputs.every((input) => input < 0 || frozen.has(input));
    if (!isFirst || !(layer.frozen || ignoresMode(layer))) continue;
    frozen.add(i);
    learned += [...layer.stateDict().values()].filter(({ isBuffer }) => !isBuffer).length;
  }
  const isUsed = learned > 0 && !frozen.has(output) && nodes.some(isTrained);
  return isUsed ? frozen : new Set();
}

/** Whether a layer computes the same in both modes. */
function ignoresMode(layer: Layer): boolean {
  return !layer.isRandom && !("leaves" in layer) && layer.stateDict().size === 0;
}

function isTrained({ layer }: LeafNode): boolean {
  return [...layer.stateDict().values()].some(({ requiresGrad }) => requiresGrad);
}

/**
 * Puts a layer back into training mode. Another network that shares the layer may have frozen it, and
 * put it into evaluation mode.
 *
 * @param type The name of the network in the error message.
 * @throws {PembrokeError} When the layer is trained: then somebody called its `eval()`.
 */
export function resumeTraining(type: string, node: LeafNode, generator?: RandomGenerator): void {
  if (!isTrained(node)) return void node.layer.train(generator);
  throw new PembrokeError(
    `${type}: layer "${node.name}" is in evaluation mode; call train(), or freeze() it`,
  );
}

/** The frozen nodes of a graph as a graph of their own, whose forward pass is planned. */
export class FrozenPart implements Disposable {
  readonly #plans = new PlanCache();
  readonly #nodes: readonly LeafNode[];
  /** The nodes whose outputs other nodes take: their indices in the whole graph, and in this one. */
  readonly #outputs: readonly (readonly [whole: number, here: number])[];

  /** @param frozen The result of {@linkcode frozenNodes}. */
  constructor({ nodes }: LeafGraph, readonly frozen: ReadonlySet<number>) {
    const order = [...frozen], here = new Map(order.map((index, i) => [index, i]));
    this.#nodes = order.map((index) => {
      const { name, layer, inputs } = nodes[index];
      return { name, layer, inputs: inputs.map((input) => here.get(input) ?? -1) };
    });
    const taken = new Set(nodes.flatMap(({ inputs }, i) => frozen.has(i) ? [] : inputs));
    this.#outputs = order.filter((index) => taken.has(index)).map((i) => [i, here.get(i)!]);
  }

  /** Computes the values that other nodes take, by their indices. The caller disposes of them. */
  run(x: Tensor): Map<number, Tensor> {
    const results = outputsOf(this.#plans, this.#nodes, x, this.#outputs.map(([, here]) => here));
    return new Map(this.#outputs.map(([whole], i) => [whole, results[i]]));
  }

  /** Frees the memory of the plans. */
  [Symbol.dispose](): void {
    this.#plans[Symbol.dispose]();
  }
}
