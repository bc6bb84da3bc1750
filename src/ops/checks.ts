/** The argument checks of all operations. Each throws an {@linkcode ArgumentError} or returns. */

import { ArgumentError, PembrokeError } from "../errors.ts";
import { type Backend, isShape, sameShape, type Shape, Tensor, type Values } from "../tensor.ts";

export { checkObject, checkOptions } from "../options.ts";

/** The largest size or option. Kernels count in int32, and the sum of three must not overflow. */
export const maxSize = 2 ** 29;

/** Checks an integer from `least` to {@linkcode maxSize}, and returns it. */
export function checkInteger(op: string, parameter: string, value: unknown, least: number): number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > maxSize) {
    const expected = least === 1 ? "a positive integer" : `an integer of at least ${least}`;
    throw new ArgumentError(op, parameter, value, expected);
  }
  return value as number;
}

/** Checks one integer for all axes, or one for each axis, and returns one for each axis. */
export function checkPerAxis(
  op: string,
  parameter: string,
  value: number | readonly number[],
  axes: number,
  least: number,
): number[] {
  const values = Array.isArray(value) ? value as number[] : Array(axes).fill(value);
  const ok = values.length === axes &&
    values.findIndex((v) => !Number.isInteger(v) || v < least || v > maxSize) < 0;
  if (!ok) {
    const kind = least === 1 ? "positive integer" : "non-negative integer";
    const what = values.some((v) => Number.isInteger(v) && v > maxSize)
      ? `${kind} of at most ${maxSize}`
      : kind;
    const expected = axes === 1 ? `one ${what}` : `one ${what}, or one for each of ${axes} axes`;
    throw new ArgumentError(op, parameter, value, expected);
  }
  return values;
}

/** Checks the index of an axis or a position. Negative ones count from the end. */
export function checkIndex(op: string, parameter: string, value: unknown): void {
  if (!Number.isInteger(value)) throw new ArgumentError(op, parameter, value, "an integer");
}

/** Checks an axis of a shape, and returns its index. Negative values count from the last axis. */
export function checkAxis(op: string, dim: number, shape: Shape): number {
  const rank = shape.length;
  if (Number.isInteger(dim) && dim >= -rank && dim < rank) return dim < 0 ? dim + rank : dim;
  throw new ArgumentError(op, "dim", dim, `an axis of x ${formatShape(shape)}`);
}

/** Checks that a value is a backend. */
export function checkBackend(op: string, backend: unknown): void {
  if (typeof (backend as Partial<Backend> | null)?.empty === "function") return;
  throw new ArgumentError(op, "backend", backend, "a Backend");
}

/** Checks a truth value. */
export function checkBoolean(op: string, parameter: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw new ArgumentError(op, parameter, value, "true or false");
  return value;
}

/** Checks a finite number. */
export function checkNumber(op: string, parameter: string, value: unknown): number {
  if (!Number.isFinite(value)) throw new ArgumentError(op, parameter, value, "a finite number");
  return value as number;
}

/** Checks a finite number that is not negative. */
export function checkNonNegative(op: string, parameter: string, value: unknown): number {
  if (checkNumber(op, parameter, value) >= 0) return value as number;
  throw new ArgumentError(op, parameter, value, "a non-negative number");
}

/** Checks a number from 0 to 1. */
export function checkFraction(op: string, parameter: string, value: unknown): number {
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw new ArgumentError(op, parameter, value, "between 0 and 1");
}

/** Checks a shape: one size of at least 1 for each axis of `layout`, such as "[N, C, L]". */
export function checkShape(op: string, parameter: string, shape: Shape, layout: string): void {
  const rank = layout.split(",").length;
  if (!isShape(shape) || shape.length !== rank || shape.some((size) => size > maxSize)) {
    throw new ArgumentError(op, `the shape of ${parameter}`, shape, `${layout}, each at least 1`);
  }
}

/** Checks the shape of planes with one axis, [N, C, L], or two, [N, C, H, W]. */
export function checkPlanes(op: string, parameter: string, shape: Shape, axes: number): void {
  checkShape(op, parameter, shape, axes === 1 ? "[N, C, L]" : "[N, C, H, W]");
}

/** Checks a shape of any number of axes, at least `least`. */
export function checkAnyShape(op: string, shape: Shape, least = 0): void {
  if (isShape(shape) && shape.length >= least) return;
  const takes = least > 0 ? `at least ${least} positive integers` : "positive integers";
  throw new ArgumentError(op, "the shape of x", shape, takes);
}

/**
 * The target of an accumulated gradient.
 */
export interface AccumulateOptions {
  /** The gradient to add to. Default: a new tensor of zeros. */
  readonly into?: Tensor;
}

/**
 * The target of a result.
 */
export interface OutOptions {
  /** The tensor to write the result to. Default: a new tensor. */
  readonly out?: Tensor;
}

/** The names of element types in error messages. */
const elementNames = new Map<Tensor<Values>["type"], string>([
  [Float32Array, "float32"],
  [Int32Array, "int32 indices"],
  [Int8Array, "int8"],
  [Uint16Array, "float16"],
]);

/** Checks that a method, which anybody may write, has returned a tensor. Returns it. */
export function checkResult(type: string, method: string, result: unknown): Tensor {
  if (result instanceof Tensor) return result;
  const found = result instanceof Promise ? "a Promise" : result === null ? "null" : typeof result;
  throw new PembrokeError(`${type}: ${method}() must return a Tensor, not ${found}`);
}

/** Checks that a tensor is alive, on the backend of `x`, and of the given type and shape. */
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
    const expected = `a tensor of ${elementNames.get(type)}`;
    throw new ArgumentError(op, parameter, tensor, expected, `a tensor of ${tensor.type.name}`);
  }
  if (tensor.backend !== x.backend) {
    const found = `on another backend, ${tensor.backend.name}`;
    throw new ArgumentError(op, parameter, tensor, "on that of the other tensors", found);
  }
  if (shape && !sameShape(tensor.shape, shape)) {
    throw new ArgumentError(op, `the shape of ${parameter}`, tensor.shape, formatShape(shape));
  }
}

/** Checks a tensor that may be missing. Returns null if it is. */
export function checkOptionalTensor(
  op: string,
  parameter: string,
  tensor: Tensor | null | undefined,
  x: Tensor,
  shape: Shape,
): Tensor | null {
  if (tensor === null || tensor === undefined) return null;
  checkTensor(op, parameter, tensor, x, shape);
  return tensor;
}

/** The tensor that an operation writes to. */
export interface Target {
  /** The shape of the result. */
  readonly shape: Shape;
  /** The caller's tensor. Default: a new one. */
  readonly out?: Tensor;
  /** The name of `out` in error messages. Default: "out". */
  readonly parameter?: string;
  /**
   * The tensors, besides x, that the operation reads while it writes. `out` must not overlap them.
   */
  readonly reads?: readonly (Tensor<Values> | null | undefined)[];
  /** Whether `out` may be x. */
  readonly inPlace?: boolean;
}

/**
 * Runs `compute` on the tensor to write to: `out`, after checking it, or else a new tensor, which is
 * disposed of if `compute` throws.
 */
export function produce(
  op: string,
  x: Tensor,
  { shape, out, parameter = "out", reads = [], inPlace = false }: Target,
  compute: (y: Tensor) => void,
): Tensor {
  if (out !== undefined) {
    checkTensor(op, parameter, out, x, shape);
    const inputs = inPlace ? reads : [x, ...reads];
    if (inputs.some((tensor) => tensor?.storage === out.storage)) {
      throw new ArgumentError(op, parameter, out, "another tensor", "the memory of an input");
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

/** Like {@linkcode produce}, for a gradient that is added to `into`, or else to a new tensor of zeros. */
export function accumulate(
  op: string,
  dy: Tensor,
  shape: Shape,
  { into }: AccumulateOptions,
  reads: readonly Tensor[],
  compute: (gradient: Tensor) => void,
): Tensor {
  return produce(op, dy, { shape, out: into, parameter: "into", reads }, (gradient) => {
    if (!into) dy.backend.fill(gradient, 0);
    compute(gradient);
  });
}

/** Calls a function with a resource, such as a tensor. Disposes of the resource if the function throws. */
export function disposeOnError<T extends Disposable, R>(resource: T, use: (resource: T) => R): R {
  try {
    return use(resource);
  } catch (error) {
    resource[Symbol.dispose]();
    throw error;
  }
}

/** Formats a shape for an error message. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}
