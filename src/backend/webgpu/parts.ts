/**
 * Splits tensors into parts. A binding holds a limited number of bytes, and begins at a multiple of
 * 256 bytes.
 */

import type { Operand, Operands } from "./shader.ts";

/** Bindings begin at multiples of this. */
export const bindingAlignment = 256;

/** A range of items, such as samples, planes or rows. */
export interface Part {
  readonly start: number;
  readonly count: number;
}

/**
 * Splits `count` items into parts that fit a binding of `limit` bytes.
 *
 * @param bytes The size of an item in each operand.
 * @returns The parts; undefined if not even the smallest one fits.
 */
export function split(
  count: number,
  bytes: readonly number[],
  limit: number,
): Part[] | undefined {
  const largest = Math.max(...bytes);
  if (count * largest <= limit) return [{ start: 0, count }];
  const step = alignedItems(bytes), size = Math.floor(limit / largest / step) * step;
  return size === 0 ? undefined : partsOf(count, size);
}

/**
 * Splits `count` items into parts that fit a binding of `limit` bytes, wherever they begin.
 *
 * @param largest The size of the largest item.
 * @returns The parts; undefined if not even one item fits.
 */
export function splitAnywhere(count: number, largest: number, limit: number): Part[] | undefined {
  if (count * largest <= limit) return [{ start: 0, count }];
  const size = Math.floor((limit - bindingAlignment) / largest);
  return size <= 0 ? undefined : partsOf(count, size);
}

/** The number of items after which all operands are aligned again. */
export function alignedItems(bytes: readonly number[]): number {
  return bytes.reduce(
    (step, b) => leastCommonMultiple(step, bindingAlignment / divisor(b, bindingAlignment)),
    1,
  );
}

/** Parts of `size` items; the last one may be smaller. */
function partsOf(count: number, size: number): Part[] {
  return Array.from({ length: Math.ceil(count / size) }, (_, i) => {
    const start = i * size;
    return { start, count: Math.min(size, count - start) };
  });
}

/** A part of an operand whose items have `bytes` bytes each. */
export function sliceOf(operand: Operand, { start, count }: Part, bytes: number): Operand {
  const size = Math.ceil(count * bytes / 4) * 4;
  return { ...operand, offset: start * bytes, size };
}

/**
 * A part of an operand that need not be aligned.
 *
 * @returns The operand, from the last possible beginning of a binding, and the part's first element
 * in it.
 */
export function sliceAnywhere(
  operand: Operand,
  { start, count }: Part,
  bytes: number,
): { readonly operand: Operand; readonly at: number } {
  const before = start * bytes % bindingAlignment;
  const range = { offset: start * bytes - before, size: before + count * bytes };
  return { operand: { ...operand, ...range }, at: before / 4 };
}

/** Operands, of which those that are named are cut to a part. Default: all of them. */
export function slicesOf(
  operands: Operands,
  part: Part,
  bytes: number,
  names: readonly string[] = Object.keys(operands),
): Operands {
  const slices = names.map((name) => [name, sliceOf(operands[name], part, bytes)]);
  return { ...operands, ...Object.fromEntries(slices) };
}

function leastCommonMultiple(a: number, b: number): number {
  return a / divisor(a, b) * b;
}

/** The greatest common divisor. */
function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
