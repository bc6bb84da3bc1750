/**
 * Checks the limits that callers set.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";

/** A limit that is a positive integer, or Infinity for none. */
export function checkLimit(op: string, name: string, value: number): number {
  if (value === Infinity || Number.isSafeInteger(value) && value > 0) return value;
  throw new ArgumentError(op, name, value, "a positive integer or Infinity");
}

/** The longest delay of a timer. */
const maxTimerMs = 2 ** 31 - 1;

/** A number of milliseconds for a timer. */
export function checkMs(op: string, name: string, value: number): number {
  if (value > 0 && value <= maxTimerMs) return value;
  throw new ArgumentError(op, name, value, `a positive number of at most ${maxTimerMs}`);
}
