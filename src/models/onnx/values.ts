/**
 * What the names of an ONNX graph stand for while its network is built.
 *
 * Sizes that depend on the batch are computed twice, for two batch sizes. What a layer needs must be
 * the same for both, except for the first axis of a shape.
 *
 * @module
 */

import type { FileError } from "../../errors.ts";
import type { Layer } from "../../layers/mod.ts";
import { elements, type Shape } from "../../tensor.ts";
import type { DType } from "../../weights/dtype.ts";
import type { OnnxNode } from "../../weights/onnx/graph.ts";
import type { OnnxTensor } from "../../weights/onnx/tensor.ts";
import type { ParameterMapping } from "../../weights/onnx/reader.ts";

/** What operations take. */
export type Value = Activation | Constant;

/** What a name stands for. */
export type GraphValue = Value | Moved;

/** Something for each of the two batch sizes: often the same object. */
export type Twice<T> = readonly [first: T, second: T];

/** A few numbers in the shape of a tensor. */
export interface NumberArray {
  readonly shape: Shape;
  readonly numbers: readonly number[];
  /** Integers and booleans are not; they divide differently. */
  readonly isFloat: boolean;
  /** Whether they are float64. Other floats are rounded to float32. */
  readonly isDouble?: boolean;
}

/** A tensor that does not depend on the pixels: of the file, or computed from sizes. */
export interface Constant {
  readonly kind: "constant";
  /** Its elements, if they are few. */
  readonly numbers?: Twice<NumberArray>;
  /** The tensor of the file that holds them, unless they are computed. */
  readonly stored?: StoredConstant;
  /** Whether it depends on a height or width that the file leaves open. */
  readonly isSized: boolean;
  /** If it does, its elements for other sizes, unless they cannot be computed. */
  readonly others?: NumberArray;
  /** The activation whose shape these sizes come from, if it is one. */
  readonly source?: Activation;
  /** Set if it is the same for each sample of a batch, the first axis: the constant for one sample. */
  readonly row?: Constant;
}

/** A tensor of the file, perhaps with its axes in another order. */
export interface StoredConstant {
  readonly tensor: OnnxTensor;
  readonly shape: Shape;
  /** Default: contiguous. */
  readonly strides?: readonly number[];
  /** A factor for every element. */
  readonly factor?: number;
}

/** A tensor that depends on the pixels: the graph's input, or what a layer computes. */
export interface Activation {
  readonly kind: "activation";
  /** The shape for the first batch size. */
  readonly shape: Shape;
  /**
   * The shape for images of another size: twice as high, eight times as wide. The same object if the file
   * fixes the sizes.
   */
  readonly other: Shape;
  /** The layer that computes it; undefined for the graph's input, and for what follows. */
  readonly step?: LayerStep;
  /** The same numbers before a multiplication and addition, for which no layer is made yet. */
  readonly scaled?: Scaled;
  /** Why no layer computes it. It may still be a part of a pattern that one computes. */
  readonly error?: FileError;
  /** The ONNX operation, so that patterns of several nodes are found. */
  readonly origin?: Origin;
  /** The integers that its values are rounded to, or to which range they are clamped. */
  readonly grid?: Grid;
  /** The same numbers before they are clamped, for which no layer is made yet. */
  readonly clamped?: Clamped;
  /** Whether the file has integers here, after QuantizeLinear. */
  readonly isInteger?: boolean;
  /** Whether no value is below 0. */
  readonly isPositive?: boolean;
}

/**
 * A tensor that depends on the pixels, and whose first axis is not the batch: attention moves the batch to
 * another axis, or joins it with heads or windows. Layers see it with the batch in front.
 */
export interface Moved {
  readonly kind: "moved";
  /** The same values as [N, …]: axis i + 1 is axis i of the tensor, without the batch. */
  readonly of: Activation;
  /** The axis that the batch is a part of. −1 if the file fixes a batch of one sample: then it is in none. */
  readonly axis: number;
  /** How many elements of that axis come before the batch: the axis is [outer, N, others] in one. */
  readonly outer: number;
  /** Its shape in the file, for the first batch size. */
  readonly shape: Shape;
  /** Why it is not supported where the batch must be the first axis. */
  readonly error: FileError;
}

/** Integers that stand for floats: (integer − zero) · scale. */
export interface Grid {
  readonly dtype: DType;
  readonly scale: number;
  readonly zero: number;
  /** The least integer minus `zero`; the largest is larger by 255. */
  readonly lowest: number;
  /** The least and the largest of the floats. */
  readonly low: number;
  readonly high: number;
}

/** Integers from 0 to 255, which stand for themselves. */
export const byteGrid: Grid = { dtype: "U8", scale: 1, zero: 0, lowest: 0, low: 0, high: 255 };

/** Integers of any size, which stand for themselves. */
export const wholeNumbers: Grid = {
  ...{ dtype: "I64", scale: 1, zero: 0, lowest: -Infinity, low: -Infinity, high: Infinity },
};

/** Whether two grids are the same. */
export function isSameGrid(a: Grid, b: Grid): boolean {
  return a === b || a.dtype === b.dtype && a.scale === b.scale && a.zero === b.zero;
}

/** min(max(of, low), high) */
export interface Clamped {
  readonly of: Activation;
  readonly low: number;
  readonly high: number;
}

/** `scale · of + shift` */
export interface Scaled {
  readonly of: Activation;
  readonly scale: number;
  readonly shift: number;
}

/** An ONNX operation, and what it took. */
export interface Origin {
  readonly op: string;
  readonly inputs: readonly Activation[];
  /** What a pattern needs to know: an exponent, or the reduced axes. */
  readonly numbers?: readonly number[];
}

/** A layer of the network. */
export interface LayerStep {
  /** The node that it is named after. */
  readonly node: OnnxNode;
  /** Appended to the name, for a layer that prepares the input of another. */
  readonly suffix: string;
  readonly layer: Layer;
  readonly inputs: readonly Activation[];
  /** The source of each parameter in the file. */
  readonly parameters: Readonly<Record<string, ParameterMapping>>;
  /**
   * Makes the layer again, with a constant that its output is multiplied by, or that is added.
   * Returns undefined if the layer cannot take it.
   */
  readonly absorb?: Absorb;
  /** Whether it suits the present size of images only. */
  readonly isBound?: boolean;
}

/** See {@linkcode LayerStep.absorb}. */
export type Absorb = (kind: "add" | "mul", operand: Operand) => Activation | undefined;

/** A constant to add to an activation, or to multiply it by, perhaps after a change. */
export interface Operand {
  readonly constant: Constant;
  /** A factor for every element. */
  readonly factor?: number;
  /** Whether the reciprocals of the elements count. */
  readonly isReciprocal?: boolean;
}

/** Returns the shape of a value, for the first batch size. */
export function shapeOf(value: GraphValue): Shape {
  if (value.kind !== "constant") return value.shape;
  if (value.row) return shapeOf(value.row);
  return value.stored?.shape ?? value.numbers![0].shape;
}

/** The layers that values depend on. */
export function stepsOf(values: readonly (GraphValue | undefined)[]): ReadonlySet<LayerStep> {
  const needed = new Set<LayerStep>(), stack = values.map((x) => x?.kind === "moved" ? x.of : x);
  while (stack.length > 0) {
    const value = stack.pop();
    if (value?.kind !== "activation" || !value.step || needed.has(value.step)) continue;
    needed.add(value.step);
    for (const input of value.step.inputs) stack.push(input); // there may be 100 000
  }
  return needed;
}

/** Whether an axis has another size for images of another size. */
export function isOpen({ shape, other }: Activation, axis: number): boolean {
  return shape[axis] !== other[axis];
}

/** Primes: sizes with such a difference have other remainders by all that graphs divide by. */
const probes = [1021, 1031];

/**
 * Returns a shape to find out what depends on the size of images. Equal sizes stay equal, unlike those
 * of layers that round: many graphs pad by their difference, which is 0 if the images suit the network,
 * and other images give an error. But a height does not stay equal to a width.
 */
export function probed(x: Activation): Shape {
  const { shape, other } = x;
  return shape.map((size, axis) =>
    isOpen(x, axis) ? size + probes[other[axis] < 4 * size ? 0 : 1] : size
  );
}

/** Returns the elements of a constant if they are known, and do not depend on the batch. */
export function fixedNumbers({ numbers }: Constant): readonly number[] | undefined {
  const [first, second] = numbers ?? [];
  return first && second && sameNumbers(first.numbers, second.numbers) ? first.numbers : undefined;
}

/** Whether two lists hold the same numbers. */
export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a === b || a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}

/** Whether a tensor holds floats, of any precision. */
export function isFloatTensor({ dtype }: OnnxTensor): boolean {
  return /^B?F/.test(dtype);
}

/** The most int64 values and booleans that are read as numbers. */
const maxIndices = 1 << 16;

/** Whether a tensor holds indices or a mask. They are read when a node takes them. */
export function isIndexTensor({ dtype, count }: OnnxTensor): boolean {
  return (dtype === "I64" || dtype === "BOOL") && count <= maxIndices;
}

/** How many numbers a value keeps in memory. */
export function numberCount(value: GraphValue | undefined): number {
  if (value?.kind !== "constant") return 0;
  const { numbers = [], others, row } = value, arrays = [...numbers, others];
  const lists = new Set(arrays.map((array) => array?.numbers));
  return [...lists].reduce((sum, list) => sum + (list?.length ?? 0), numberCount(row));
}

/** The most elements of a computed value, unless it is computed from large tensors of the file. */
export const maxFolded = 4096;

/** Converts a tensor of the file. */
export function storedConstant(tensor: OnnxTensor): Constant {
  const { shape, numbers, dtype } = tensor, isFloat = isFloatTensor(tensor);
  const array = numbers && (numbers.length <= maxFolded || !isFloat) &&
    { shape, numbers, isFloat, isDouble: dtype === "F64" };
  const stored = { tensor, shape };
  return { kind: "constant", numbers: array ? [array, array] : undefined, stored, isSized: false };
}

/** Returns an activation without the multiplication and addition after it. */
export function scaledOf(x: Activation): Scaled {
  return x.scaled ?? { of: x, scale: 1, shift: 0 };
}

/** Creates a list to be filled. An `Array(count)` of doubles would be copied when it gets the first one. */
export function roomFor(count: number): number[] {
  const numbers = [0.5];
  numbers.length = count;
  return numbers;
}

/** As `Array.from({ length: count }, (_, i) => compute(i))`, but several times as fast. */
export function numbersFrom(count: number, compute: (index: number) => number): number[] {
  const numbers = roomFor(count);
  for (let i = 0; i < count; i++) numbers[i] = compute(i);
  return numbers;
}

/** As `numbers.map(compute)`, but several times as fast. */
export function mapNumbers(
  numbers: ArrayLike<number>,
  compute: (value: number) => number,
): number[] {
  return numbersFrom(numbers.length, (i) => compute(numbers[i]));
}

/** A constant of numbers that depend on nothing. */
export function constantOf(shape: Shape, numbers: readonly number[], isFloat = true): Constant {
  const array = { shape, numbers, isFloat };
  return { kind: "constant", numbers: [array, array], isSized: false };
}

/** Returns the strides of contiguous row-major order. */
export function stridesOf(shape: Shape): number[] {
  return shape.map((_, axis) => elements(shape.slice(axis + 1)));
}
