/**
 * How a forward pass in evaluation mode uses memory: values that are never needed at the same time
 * share it.
 *
 * @module
 */

import { elements, sameShape, type Shape } from "../tensor.ts";
import { fuse, type Step } from "./fuse.ts";
import { type LeafNode, shapesOf } from "./graph_nodes.ts";

/** The steps of a forward pass for one input shape, and how they use memory. */
export interface Plan {
  readonly steps: readonly Step[];
  /** The sizes of the blocks of memory, in elements. */
  readonly sizes: readonly number[];
  /** The block that each value is written to. Values that are views of others have the same. */
  readonly blocks: ReadonlyMap<number, number>;
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

/** Plans a forward pass for the shape of an input. */
export function createPlan(
  nodes: readonly LeafNode[],
  input: Shape,
  outputs: ReadonlySet<number>,
): Plan {
  const steps = fuse(nodes, shapesOf(nodes, input), outputs, false);
  const groups = groupViews(steps, outputs), sizes = assignBlocks(steps, groups);
  const blocks = new Map(
    steps.flatMap(({ output }) => {
      const { block } = groups.get(output)!;
      return block === undefined ? [] : [[output, block]];
    }),
  );
  const roots = new Map([...outputs].map((output) => [output, groups.get(output)?.root ?? -1]));
  return { steps, sizes, blocks, roots };
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
