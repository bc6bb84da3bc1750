/**
 * How a forward pass in evaluation mode uses memory: values that are never needed at the same time
 * share it.
 *
 * @module
 */

import { sameShape, type Shape } from "../tensor.ts";
import { overridesForward } from "./forward.ts";
import { fuse } from "./fuse.ts";
import { type LeafNode, shapesOf } from "./graph_nodes.ts";
import { type Group, layOut, type Place, type PlannedStep } from "./places.ts";

/** The steps of a forward pass for one input shape, and how they use memory. */
export interface Plan {
  readonly steps: readonly PlannedStep[];
  /** The sizes of the blocks of memory, in elements. */
  readonly sizes: readonly number[];
  /** Where each value lies: the block, and elements from its beginning. */
  readonly blocks: ReadonlyMap<number, { readonly block: number; readonly offset: number }>;
  /** For each output that the caller takes, the index of the value whose memory holds it. */
  readonly roots: ReadonlyMap<number, number>;
}

/**
 * Plans a forward pass for the shape of an input.
 *
 * @param canSplit Whether a tensor can be a part of another one.
 */
export function createPlan(
  nodes: readonly LeafNode[],
  input: Shape,
  outputs: ReadonlySet<number>,
  canSplit: boolean,
): Plan {
  const fused = fuse(nodes, shapesOf(nodes, input), outputs, false);
  const { steps, places } = layOut(fused, input, outputs, canSplit);
  const { sizes, blockOf } = assignBlocks(steps, places);
  const blocks = new Map<number, { block: number; offset: number }>();
  for (const [value, { group, offset }] of places) {
    const block = blockOf.get(group);
    if (block !== undefined) blocks.set(value, { block, offset });
  }
  const roots = new Map([...outputs].map((output) => [output, places.get(output)!.group.root]));
  return { steps, sizes, blocks, roots };
}

/** Chooses a block of memory for each group of values, and returns the sizes of the blocks. */
function assignBlocks(
  steps: readonly PlannedStep[],
  places: ReadonlyMap<number, Place>,
): { sizes: number[]; blockOf: ReadonlyMap<Group, number> } {
  const sizes: number[] = [], free = new Set<number>(), shapes = new Map<number, Shape>();
  const blockOf = new Map<Group, number>(), lastUses = new Map<Group, number>();
  const groupsOf = ({ inputs, residual, output }: PlannedStep) =>
    new Set([...inputs, residual ?? -1, output].map((value) => places.get(value)!.group));
  for (const [i, step] of steps.entries()) {
    for (const group of groupsOf(step)) lastUses.set(group, group.isExternal ? Infinity : i);
  }
  for (const [i, step] of steps.entries()) {
    const { group } = places.get(step.output)!;
    shapes.set(step.output, step.shape);
    if (!group.isExternal && !blockOf.has(group)) {
      // the output may take over the block of an input that no later step reads
      const input = overwritten(step, places, shapes);
      const isDead = input !== undefined && lastUses.get(input) === i;
      const block = (isDead ? blockOf.get(input) : undefined) ??
        bestBlock(sizes, free, group.size);
      sizes[block] = Math.max(sizes[block] ?? 0, group.size);
      blockOf.set(group, block);
      free.delete(block);
    }
    // a block is free after the last use of its group, unless the output took it over and is needed
    for (const read of groupsOf(step)) {
      const block = blockOf.get(read), isOverwritten = block === blockOf.get(group);
      const isNeeded = isOverwritten && lastUses.get(group)! > i;
      if (block !== undefined && lastUses.get(read) === i && !isNeeded) free.add(block);
    }
  }
  return { sizes, blockOf };
}

/** Returns the group that a step may overwrite, provided that no later step reads it. */
function overwritten(
  { layer, inputs, residual, output, shape }: PlannedStep,
  places: ReadonlyMap<number, Place>,
  shapes: ReadonlyMap<number, Shape>,
): Group | undefined {
  const input = residual ?? inputs[0], { group, offset } = places.get(input)!;
  const others = residual === undefined ? inputs.slice(1) : inputs;
  const isAllowed = residual !== undefined ||
    layer.inPlace && !layer.training && !overridesForward(layer);
  const isRead = others.some((input) => places.get(input)!.group === group);
  const fits = sameShape(shapes.get(input) ?? [], shape) && offset === 0;
  return isAllowed && fits && !isRead && !places.get(output)!.group.isJoined ? group : undefined;
}

/** Returns the free block that has to grow least; of several, the smallest; without any, a new one. */
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
