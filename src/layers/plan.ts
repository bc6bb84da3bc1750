/**
 * How a forward pass in evaluation mode uses memory: values that are never needed at the same time
 * share it.
 *
 * @module
 */

import { elements, sameShape, type Shape, type Tensor } from "../tensor.ts";
import { fuse, type Step } from "./fuse.ts";
import { type LeafNode, shapesOf } from "./graph_nodes.ts";

/** The steps of a forward pass for one input shape, and its memory. */
export interface Plan extends Disposable {
  readonly steps: readonly Step[];
  /**
   * The tensors that outputs are written to, by index. Undefined for outputs that the caller takes,
   * and for views of them or of the input.
   */
  readonly tensors: readonly (Tensor | undefined)[];
  /** For each output that the caller takes, the index of the value whose memory holds it. */
  readonly roots: ReadonlyMap<number, number>;
}

/** The values that share memory because they are views of each other. */
interface Group {
  /** The index of the value that is computed; −1 for views of the input. */
  readonly root: number;
  /** The last step that reads them; infinite for outputs. */
  lastUse: number;
  /** The block of memory; undefined for the input and for outputs. */
  block?: number;
}

/** Plans a forward pass for an input. */
export function createPlan(
  nodes: readonly LeafNode[],
  x: Tensor,
  outputs: ReadonlySet<number>,
): Plan {
  const steps = fuse(nodes, shapesOf(nodes, x.shape), outputs, false);
  const groups = groupViews(steps, outputs);
  const sizes = assignBlocks(steps, groups);
  const arena = allocateArena(x.backend, sizes);

  const tensors: (Tensor | undefined)[] = [];
  for (const { output, shape } of steps) {
    const { block } = groups.get(output)!;
    tensors[output] = block === undefined ? undefined : arena[block].view(shape);
  }
  const roots = new Map([...outputs].map((output) => [output, groups.get(output)?.root ?? -1]));
  return { steps, tensors, roots, [Symbol.dispose]: () => disposeAll(arena) };
}

/** Finds the values that are views of each other, and when they are read for the last time. */
function groupViews(steps: readonly Step[], outputs: ReadonlySet<number>): Map<number, Group> {
  const groups = new Map<number, Group>([[-1, { root: -1, lastUse: Infinity }]]);
  for (const [i, { layer, inputs, output, residual }] of steps.entries()) {
    for (const input of [...inputs, residual ?? -1]) {
      const group = groups.get(input)!;
      group.lastUse = Math.max(group.lastUse, i);
    }
    const lastUse = outputs.has(output) ? Infinity : i;
    const source = layer.aliases ? groups.get(inputs[0])! : { root: output, lastUse };
    source.lastUse = Math.max(source.lastUse, lastUse);
    groups.set(output, source);
  }
  return groups;
}

/** Chooses a block of memory for each value, and returns the sizes of the blocks. */
function assignBlocks(steps: readonly Step[], groups: ReadonlyMap<number, Group>): number[] {
  const sizes: number[] = [], free = new Set<number>(), shapes = new Map<number, Shape>();
  for (const [i, step] of steps.entries()) {
    const group = groups.get(step.output)!, size = elements(step.shape);
    shapes.set(step.output, step.shape);
    if (group.root === step.output && group.lastUse !== Infinity) {
      const reused = overwritten(step, i, groups, shapes);
      group.block = reused ?? bestBlock(sizes, free, size);
      sizes[group.block] = Math.max(sizes[group.block] ?? 0, size);
      free.delete(group.block);
    }
    const read = [...step.inputs, step.residual ?? -1, step.output].map((v) => groups.get(v)!);
    for (const { block, lastUse } of read) {
      const isTaken = block === group.block && group.lastUse > i;
      if (block !== undefined && lastUse <= i && !isTaken) free.add(block);
    }
  }
  return sizes;
}

/** Returns the block of an input that a step may overwrite, because nobody reads it afterwards. */
function overwritten(
  { layer, inputs, residual, shape }: Step,
  i: number,
  groups: ReadonlyMap<number, Group>,
  shapes: ReadonlyMap<number, Shape>,
): number | undefined {
  const input = residual ?? inputs[0], target = groups.get(input)!;
  const others = residual === undefined ? inputs.slice(1) : inputs;
  const isAllowed = residual === undefined ? layer.inPlace : true;
  const isRead = others.some((input) => groups.get(input) === target);
  const fits = sameShape(shapes.get(input) ?? [], shape);
  return isAllowed && fits && !isRead && target.lastUse === i ? target.block : undefined;
}

/** Returns the free block that has to grow least, of these the smallest; else a new one. */
function bestBlock(sizes: readonly number[], free: ReadonlySet<number>, size: number): number {
  let best = sizes.length, growth = size, waste = 0;
  for (const block of free) {
    const grows = Math.max(0, size - sizes[block]), wastes = Math.max(0, sizes[block] - size);
    if (grows < growth || grows === growth && wastes < waste) {
      [best, growth, waste] = [block, grows, wastes];
    }
  }
  return best;
}

/** Allocates all blocks, or none. */
function allocateArena(backend: Tensor["backend"], sizes: readonly number[]): readonly Tensor[] {
  const blocks: Tensor[] = [];
  try {
    for (const size of sizes) blocks.push(backend.empty([size]));
    return blocks;
  } catch (error) {
    disposeAll(blocks);
    throw error;
  }
}

function disposeAll(tensors: readonly Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}

/** The plans of the last shapes that a graph computed, so that alternating batches need no new ones. */
export class PlanCache implements Disposable {
  readonly #plans = new Map<string, { readonly backend: Tensor["backend"]; readonly plan: Plan }>();

  /** @param limit The most plans that are kept. */
  constructor(readonly limit = 4) {}

  /** Returns the plan for an input, and creates it if necessary. */
  get(nodes: readonly LeafNode[], x: Tensor, outputs: ReadonlySet<number>): Plan {
    const key = `${x.shape.join()}:${[...outputs].join()}`, old = this.#plans.get(key);
    this.#plans.delete(key);
    if (old?.backend === x.backend) {
      this.#plans.set(key, old); // the last one used
      return old.plan;
    }
    old?.plan[Symbol.dispose]();
    for (const [oldest, { plan }] of this.#plans) {
      if (this.#plans.size < this.limit) break;
      plan[Symbol.dispose]();
      this.#plans.delete(oldest);
    }
    const plan = createPlan(nodes, x, outputs);
    this.#plans.set(key, { backend: x.backend, plan });
    return plan;
  }

  /** Frees the memory of all plans. */
  [Symbol.dispose](): void {
    for (const { plan } of this.#plans.values()) plan[Symbol.dispose]();
    this.#plans.clear();
  }
}
