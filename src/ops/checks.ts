/** The checks that operations share. Each throws an {@linkcode ArgumentError} or returns. */

import { ArgumentError } from "../errors.ts";
import { sameShape, type Shape, Tensor, type Values } from "../tensor.ts";

/** The largest size or option: kernels count in int32, in which a sum of three must fit. */
export const LIMIT = 2 ** 29;

/** An integer of at least `least`. */
export function checkInteger(op: string, parameter: string, value: unknown, least: number): number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > LIMIT) {
    const takes = least === 1 ? "a positive integer" : `an integer of at least ${least}`;
    throw new ArgumentError(op, parameter, value, takes);
  }
  return value as number;
}

/** One integer for every axis, or one each: PyTorch's `int or tuple`. */
export function checkPerAxis(
  op: string,
  parameter: string,
  value: number | readonly number[],
  axes: number,
  least: number,
): number[] {
  const values = Array.isArray(value) ? value as readonly number[] : Array(axes).fill(value);
  const ok = values.length === axes &&
    values.every((v) => Number.isInteger(v) && v >= least && v <= LIMIT);
  if (!ok) {
    const what = least === 1 ? "positive integer" : "integer that is not negative";
    const takes = axes === 1 ? `one ${what}` : `one ${what}, or one for each of ${axes} axes`;
    throw new ArgumentError(op, parameter, value, takes);
  }
  return values as number[];
}

/** A finite number. */
export function checkNumber(op: string, parameter: string, value: unknown): number {
  if (!Number.isFinite(value)) throw new ArgumentError(op, parameter, value, "a finite number");
  return value as number;
}

/** A shape with one size of at least 1 for each axis of `layout`, which reads like "[N, C, L]". */
export function checkShape(op: string, parameter: string, shape: Shape, layout: string): void {
  const rank = layout.split(",").length;
  if (shape.length !== rank || shape.some((s) => !Number.isInteger(s) || s < 1 || s > LIMIT)) {
    throw new ArgumentError(op, `the shape of ${parameter}`, shape, `${layout}, each at least 1`);
  }
}

/**
 * Where a gradient that is accumulated goes.
 *
 * @internal
 */
export interface AccumulateOptions {
  /** The gradient to add to; without it a new one is returned. */
  readonly into?: Tensor;
}

/**
 * Where a result goes.
 *
 * @internal
 */
export interface OutOptions {
  /** The tensor to write to; without it a new one is returned. */
  readonly out?: Tensor;
}

/** What errors call the elements of a tensor. */
const elementNames = new Map<Tensor<Values>["type"], string>([
  [Float32Array, "float32"],
  [Int32Array, "int32 indices"],
  [Int8Array, "int8"],
  [Uint16Array, "float16"],
]);

/** A live tensor of the same backend as `x`, with this shape if one is given. */
export function checkTensor(
  op: string,
  parameter: string,
  tensor: Tensor<Values>,
  x: Tensor,
  shape?: Shape,
  type: Tensor<Values>["type"] = Float32Array,
): void {
  if (!(tensor instanceof Tensor)) throw new ArgumentError(op, parameter, tensor, "a Tensor");
  tensor.assertAlive(op);
  if (tensor.type !== type) {
    const takes = `a tensor of ${elementNames.get(type)}`;
    throw new ArgumentError(op, parameter, `a tensor of ${tensor.type.name}`, takes);
  }
  if (tensor.backend !== x.backend) {
    throw new ArgumentError(op, parameter, `on ${tensor.backend.name}`, "on the backend of x");
  }
  if (shape && !sameShape(tensor.shape, shape)) {
    throw new ArgumentError(op, `the shape of ${parameter}`, tensor.shape, show(shape));
  }
}

/** What an operation writes to, and what it may not be. */
export interface Target {
  /** The shape of the result. */
  readonly shape: Shape;
  /** The caller's tensor; without it a new one is made. */
  readonly out?: Tensor;
  /** Tensors read while the result is written, besides x. */
  readonly reads?: readonly (Tensor<Values> | null | undefined)[];
  /** Whether the result may be written over x. */
  readonly inPlace?: boolean;
}

/** Computes into the caller's tensor, once it was checked, or a new one, given back on failure. */
export function produce(
  op: string,
  x: Tensor,
  { shape, out, reads = [], inPlace = false }: Target,
  compute: (y: Tensor) => void,
): Tensor {
  if (out !== undefined) {
    checkTensor(op, "out", out, x, shape);
    const taken = inPlace ? reads : [x, ...reads];
    if (taken.some((tensor) => tensor?.storage === out.storage)) {
      throw new ArgumentError(op, "out", "the memory of an input", "another tensor");
    }
  }
  const y = out ?? x.backend.empty(shape);
  try {
    compute(y);
  } catch (error) {
    if (!out) y.dispose();
    throw error;
  }
  return y;
}

/** Adds to the caller's gradient, once it was checked, or to a new one that starts at 0. */
export function accumulate(
  op: string,
  dy: Tensor,
  shape: Shape,
  { into }: AccumulateOptions,
  reads: readonly Tensor[],
  compute: (gradient: Tensor) => void,
): Tensor {
  return produce(op, dy, { shape, out: into, reads }, (gradient) => {
    if (!into) dy.backend.fill(gradient, 0);
    compute(gradient);
  });
}

/** Makes a second result beside a first, which is given back if that fails. */
export function together<T extends Tensor<Values>, R>(first: T, second: (first: T) => R): R {
  try {
    return second(first);
  } catch (error) {
    first.dispose();
    throw error;
  }
}

function show(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}
