/**
 * The checks of options that all modules share. Each throws an {@linkcode ArgumentError} or
 * returns.
 *
 * @module
 */

import { ArgumentError } from "./errors.ts";

/** Checks that a value is an object that can hold options: not a list, a map or bytes. */
export function checkObject(op: string, parameter: string, value: unknown): void {
  const isObject = typeof value === "object" && value !== null;
  const isList = Array.isArray(value) || ArrayBuffer.isView(value);
  if (isObject && !isList && !(value instanceof Map)) return;
  throw new ArgumentError(op, parameter, value, "an object");
}

/** A list of the names of all options of a type: TypeScript refuses one that lacks a name. */
type AllNames<T, N extends keyof T, Lacks = Exclude<keyof T, N>> =
  & readonly N[]
  & ([Lacks] extends [never] ? unknown : { readonly lacks: Lacks });

/**
 * Checks that options are an object, and that each option has one of the given names. An unknown
 * option would be ignored silently. An option that is undefined counts as missing.
 *
 * @param names The names of all options: TypeScript finds one that is missing or misspelt. Default: only
 * `out`.
 */
export function checkOptions<T extends object, const N extends keyof T>(
  op: string,
  options: T,
  names: AllNames<T, N> = ["out"] as never,
): void {
  const all: readonly PropertyKey[] = names;
  checkObject(op, "options", options);
  for (const name in options) { // faster than entries(): each pass runs this for each layer
    if (all.includes(name) || options[name as keyof object] === undefined) continue;
    throw new ArgumentError(op, "an option", name, `one of: ${names.join(", ")}`);
  }
}

/** Checks a function that may be undefined. */
export function checkFunction(
  op: string,
  parameter: string,
  value: unknown,
  expected = "a function",
): void {
  if (value === undefined || typeof value === "function") return;
  throw new ArgumentError(op, parameter, value, expected);
}

/**
 * Checks a signal, and throws its reason if it has aborted. Null counts as missing, because
 * requests have a null signal in some runtimes.
 */
export function checkSignal(op: string, signal: AbortSignal | null | undefined): void {
  if (signal === undefined || signal === null) return;
  if (typeof signal.throwIfAborted !== "function") {
    throw new ArgumentError(op, "signal", signal, "an AbortSignal");
  }
  signal.throwIfAborted();
}
