/**
 * The plans of the last shapes that a graph computed, the memory that they share, and forward passes
 * that follow them.
 *
 * @module
 */

import { canSplit, type ComputeBackend, partOf } from "../backend/interface.ts";
import { PembrokeError } from "../errors.ts";
import { checkResult } from "../ops/checks.ts";
import { type Tensor, withShape } from "../tensor.ts";
import type { ForwardOptions } from "./forward.ts";
import type { LeafNode } from "./graph_nodes.ts";
import type { Layer } from "./layer.ts";
import { MergeLayer } from "./merge_layer.ts";
import type { PlannedStep } from "./places.ts";
import { createPlan, type Plan } from "./plan.ts";
import { RecordedStep } from "./recorded_step.ts";

/** Blocks of memory on a backend. */
class Arena implements Disposable {
  /** Grows when blocks are freed: tensors in them must not be used any more. */
  generation = 0;
  #blocks: Tensor[] = [];

  constructor(readonly backend: Tensor["backend"]) {}

  /** Returns blocks of at least these sizes. Blocks that are too small are replaced. */
  reserve(sizes: readonly number[]): readonly Tensor[] {
    try {
      for (const [i, size] of sizes.entries()) {
        if (i < this.#blocks.length && this.#blocks[i].size >= size) continue;
        this.generation++;
        this.#blocks[i]?.dispose();
        this.#blocks[i] = this.backend.empty([size]);
      }
      return this.#blocks;
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Frees the memory of all blocks. */
  [Symbol.dispose](): void {
    this.generation++;
    for (const block of this.#blocks) block.dispose();
    this.#blocks = [];
  }
}

/** A plan, and the tensors that its values are written to. */
export interface BoundPlan extends Plan {
  /**
   * The tensor of each value. Undefined for outputs that the caller takes, and for views of them or of
   * the input.
   */
  readonly tensors: readonly (Tensor | undefined)[];
  /** The recording of each step. Undefined for steps that were not recorded. */
  readonly recorded: (RecordedStep | undefined)[];
  /** That of the arena when the tensors were placed. */
  readonly generation: number;
}

/** A plan, and its tensors as long as their blocks exist. */
interface Entry {
  readonly plan: Plan;
  bound?: BoundPlan;
}

/** The most plans that a graph keeps. */
const maxPlans = 4;

/**
 * Plans by the shape of the input and the modes of the layers, so that alternating batch sizes need no
 * new ones.
 */
export class PlanCache implements Disposable {
  readonly #entries = new Map<string, Entry>();
  #arena: Arena | undefined;

  /** Returns the plan for an input, and creates it if necessary. */
  get(nodes: readonly LeafNode[], x: Tensor, outputs: ReadonlySet<number>): BoundPlan {
    if (this.#arena?.backend !== x.backend) this[Symbol.dispose]();
    const arena = this.#arena ??= new Arena(x.backend);
    let training = ""; // the layers that the caller put into training mode, such as a dropout
    for (let i = 0; i < nodes.length; i++) if (nodes[i].layer.training) training += `${i},`;
    const key = `${x.shape.join()}:${[...outputs].join()}:${training}`;
    const create = () => createPlan(nodes, x.shape, outputs, canSplit(x.backend));
    const entry = this.#entries.get(key) ?? { plan: create() };
    this.#entries.delete(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < maxPlans) break;
      this.#entries.delete(oldest);
    }
    this.#entries.set(key, entry); // at the end, as the last one used
    if (entry.bound?.generation !== arena.generation) entry.bound = bind(entry.plan, arena);
    return entry.bound;
  }

  /** Forgets all plans, and frees their memory. */
  [Symbol.dispose](): void {
    this.#arena?.[Symbol.dispose]();
    this.#arena = undefined;
    this.#entries.clear();
  }
}

/** Throws if a layer has parameters without values, as after dispose(). */
function checkValues(layer: Layer): void {
  if (layer.stateDict().size > 0) void layer.backend; // the getter throws
}

/** Places the values of a plan in the blocks of an arena. */
function bind(plan: Plan, arena: Arena): BoundPlan {
  for (const { layer, norm } of plan.steps) {
    for (const part of norm ? [layer, norm] : [layer]) checkValues(part); // before memory is taken
  }
  const blocks = arena.reserve(plan.sizes), tensors: (Tensor | undefined)[] = [];
  for (const { output, shape } of plan.steps) {
    const place = plan.blocks.get(output);
    if (place) tensors[output] = partOf(blocks[place.block], place.offset, shape);
  }
  return { ...plan, tensors, recorded: [], generation: arena.generation };
}

/**
 * Runs a layer of a graph.
 *
 * @throws {PembrokeError} When it returns no tensor, or ignores the option `out`, as a layer by
 * somebody else may.
 */
export function runLayer(
  layer: Layer,
  inputs: readonly Tensor[],
  options: ForwardOptions,
): Tensor {
  const result = layer instanceof MergeLayer
    ? layer.forward(inputs, options) // which a class may override
    : layer.forwardFrom(inputs, options);
  const y = checkResult(layer.type, "forward", result);
  const { out } = options;
  if (!out || y.storage === out.storage) return y;
  throw new PembrokeError(`${layer.type}: forward() must write its result to the option out`);
}

/** Runs a plan, and returns the tensors of all values. */
export function run(
  plan: BoundPlan,
  x: Tensor,
  results: ReadonlyMap<number, Tensor>,
): readonly Tensor[] {
  const { steps, tensors, recorded } = plan, values: Tensor[] = [];
  const backend = x.backend as ComputeBackend;
  for (let i = 0; i < steps.length; i++) { // not entries(): passes of small networks take so little time
    const step = steps[i], { output } = step;
    const result = results.get(output)?.view(step.shape), out = result ?? tensors[output];
    if (recorded[i]?.repeat({ x, result })) {
      values[output] = out!;
      continue;
    }
    const compute = () => {
      values[output] = runStep(step, out, (value) => value < 0 ? x : values[value]);
    };
    if (out && isPlanned(plan, step)) {
      recorded[i] = RecordedStep.record(backend, step, { x, result }, compute);
    } else compute();
  }
  return values;
}

/** Computes a step, in `out` if there is one. */
function runStep(
  { layer, inputs, shape, activation, norm, residual, viewOffset }: PlannedStep,
  out: Tensor | undefined,
  valueOf: (value: number) => Tensor,
): Tensor {
  if (viewOffset !== undefined) return out ?? partOf(valueOf(inputs[0]), viewOffset, shape);
  const added = residual === undefined ? undefined : valueOf(residual);
  return runLayer(layer, inputs.map(valueOf), { out, activation, norm, residual: added });
}

/** Whether a step reads the input and tensors of the plan alone, which are the same in each pass. */
function isPlanned({ tensors }: BoundPlan, { inputs, residual }: PlannedStep): boolean {
  if (residual !== undefined && tensors[residual] === undefined) return false;
  return inputs.every((value) => value < 0 || tensors[value] !== undefined);
}

/** Computes the outputs of some nodes. The first one of views of the same memory owns it. */
export function outputsOf(
  plans: PlanCache,
  nodes: readonly LeafNode[],
  x: Tensor,
  indices: readonly number[],
): Tensor[] {
  const plan = plans.get(nodes, x, new Set(indices));
  const results = new Map<number, Tensor>();
  try {
    for (const { output, shape } of plan.steps) {
      if ([...plan.roots.values()].includes(output)) results.set(output, x.backend.empty(shape));
    }
    const values = run(plan, x, results);
    return indices.map((index) => {
      const root = plan.roots.get(index)!, result = results.get(root);
      results.delete(root); // the first output owns the memory, others are views of it
      return result ? withShape(result, values[index].shape) : values[index];
    });
  } catch (error) {
    for (const tensor of results.values()) tensor.dispose();
    throw error;
  }
}
