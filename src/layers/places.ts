/**
 * Where the values of a forward pass lie: which of them are views or parts of others.
 *
 * @module
 */

import { elements, type Shape } from "../tensor.ts";
import { Concat, Slice } from "./concat.ts";
import type { Step } from "./fuse.ts";

/** Values that share memory, because they are views or parts of each other. */
export interface Group {
  /** The index of the value that covers the memory; −1 for the input. */
  readonly root: number;
  /** Elements. */
  readonly size: number;
  /** Whether the caller owns the memory: that of the input or of an output. */
  isExternal: boolean;
  /** Whether several steps write to it. */
  isJoined: boolean;
}

/** Where a value lies in the memory of a group. */
export interface Place {
  readonly group: Group;
  /** Elements before it. */
  readonly offset: number;
}

/** A step of a plan. */
export interface PlannedStep extends Step {
  /**
   * Set for steps that compute nothing, because their output is a view of their input: the elements of
   * the input before it.
   */
  readonly viewOffset?: number;
}

/** The steps of a forward pass, and the places of all values. */
export interface Layout {
  readonly steps: readonly PlannedStep[];
  readonly places: ReadonlyMap<number, Place>;
}

/**
 * Finds the values that need no memory of their own.
 *
 * @param input The shape of the input.
 * @param outputs The values that the caller takes.
 * @param canSplit Whether a tensor can be a part of another one. Then a slice is a view, and layers
 * write to their places in a concatenation, provided that these are contiguous: the channels of a
 * single sample are.
 */
export function layOut(
  steps: readonly Step[],
  input: Shape,
  outputs: ReadonlySet<number>,
  canSplit: boolean,
): Layout {
  const shapes = new Map<number, Shape>([[-1, input]]);
  for (const { output, shape } of steps) shapes.set(output, shape);
  const whole = wholeValues(steps, outputs);
  const planned = steps.map((step): PlannedStep => {
    const { layer, inputs, output } = step;
    if (layer.aliases) return { ...step, viewOffset: 0 };
    if (!canSplit || whole.has(output) || !(layer instanceof Slice)) return step;
    const viewOffset = layer.viewOffset(shapes.get(inputs[0])!);
    return viewOffset === undefined ? step : { ...step, viewOffset };
  });
  const places = placeViews(planned, elements(input), outputs);
  return canSplit ? joinParts(planned, shapes, places) : { steps: planned, places };
}

/**
 * The outputs, and the values that they are views of. None may be a slice of another value: a tensor
 * that the caller takes begins with its memory.
 */
function wholeValues(steps: readonly Step[], outputs: ReadonlySet<number>): ReadonlySet<number> {
  const whole = new Set(outputs);
  for (const { layer, inputs, output } of steps.toReversed()) {
    if (layer.aliases && whole.has(output)) whole.add(inputs[0]);
  }
  return whole;
}

/** Places views in the memory of their input, and other values in memory of their own. */
function placeViews(
  steps: readonly PlannedStep[],
  inputSize: number,
  outputs: ReadonlySet<number>,
): Map<number, Place> {
  const input = { root: -1, size: inputSize, isExternal: true, isJoined: false };
  const places = new Map<number, Place>([[-1, { group: input, offset: 0 }]]);
  for (const { inputs, output, shape, viewOffset } of steps) {
    const { group, offset } = viewOffset === undefined
      ? { group: { ...input, root: output, size: elements(shape), isExternal: false }, offset: 0 }
      : places.get(inputs[0])!;
    if (outputs.has(output)) group.isExternal = true;
    places.set(output, { group, offset: offset + (viewOffset ?? 0) });
  }
  return places;
}

/**
 * Places the inputs of concatenations in their outputs. It visits the last concatenation first, because
 * the outputs of others may be among its inputs. An input that cannot be placed there is copied.
 */
function joinParts(
  steps: readonly PlannedStep[],
  shapes: ReadonlyMap<number, Shape>,
  places: Map<number, Place>,
): Layout {
  const joined: PlannedStep[] = [];
  let last = Math.max(...places.keys());
  for (const step of steps.toReversed()) {
    const { layer, inputs, output } = step, place = places.get(output)!;
    const inputShapes = inputs.map((input) => shapes.get(input)!);
    const offsets = layer instanceof Concat ? layer.partOffsets(inputShapes) : undefined;
    if (!offsets || place.group.isExternal) {
      joined.push(step);
      continue;
    }
    joined.push({ ...step, viewOffset: 0 });
    const parts = inputs.map((input) => places.get(input)!);
    if (areInOrder(parts, offsets, place)) {
      move(places, place.group, parts[0]);
      continue;
    }
    let copies = 0;
    for (const [i, input] of inputs.entries()) {
      const { group } = places.get(input)!, shape = inputShapes[i];
      const part = { group: place.group, offset: place.offset + offsets[i] };
      if (!group.isExternal && group !== part.group && group.size === elements(shape)) {
        move(places, group, part);
      } else {
        places.set(++last, part);
        joined.push({ layer, inputs: [input], output: last, shape });
        copies++;
      }
    }
    if (copies > 1) place.group.isJoined = true;
  }
  return { steps: joined.toReversed(), places };
}

/**
 * Whether the inputs of a concatenation already lie one after the other in the memory of another group,
 * as slices of one value do. Then its output can be a view of that memory.
 */
function areInOrder(parts: readonly Place[], offsets: readonly number[], output: Place): boolean {
  const [begin] = parts, isOwn = !output.group.isJoined && output.offset === 0;
  return isOwn && !begin.group.isExternal && begin.group !== output.group &&
    parts.every(({ group, offset }, i) =>
      group === begin.group && offset === begin.offset + offsets[i]
    );
}

/** Places the values of a group in another one. */
function move(places: Map<number, Place>, moved: Group, { group, offset }: Place): void {
  for (const [value, place] of places) {
    if (place.group === moved) places.set(value, { group, offset: offset + place.offset });
  }
  group.isJoined = true;
}
