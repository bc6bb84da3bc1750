/** Checks the values of options. */

import { UsageError } from "./errors.ts";

/** The error of an option's value; `rule` completes "must", as in "be a positive integer". */
export function invalidValue(option: string, text: string, rule: string): UsageError {
  return new UsageError(`${option} is ${JSON.stringify(text)}, must ${rule}`);
}

/** Reads the value of an option that may be missing. */
export function ifGiven<T>(
  option: string,
  text: string | undefined,
  read: (option: string, text: string) => T,
): T | undefined {
  return text === undefined ? undefined : read(option, text);
}

/** Returns the value if it is one of `names`; throws a {@linkcode UsageError} otherwise. */
export function oneOf<T extends string>(option: string, text: string, names: readonly T[]): T {
  const value = names.find((name) => name === text);
  if (value !== undefined) return value;
  const last = names.at(-1), list = `${names.slice(0, -1).join(", ")} or ${last}`;
  throw invalidValue(option, text, `be ${names.length > 1 ? list : last}`);
}

/**
 * An integer from 0 to `max`.
 *
 * @param others What else the option takes, for the error.
 */
export function integer(option: string, text: string, max: number, others = ""): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= max) return value;
  throw invalidValue(option, text, `be an integer from 0 to ${max}${others}`);
}

/** An integer above 0. */
export function positive(option: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw invalidValue(option, text, "be a positive integer");
}

/** Throws a {@linkcode UsageError} if an option is given without text; `kind` says what it takes. */
export function checkNotEmpty<K extends string>(
  values: { readonly [name in K]?: unknown },
  name: K,
  kind: string,
): void {
  if (values[name] === "") throw new UsageError(`--${name} is empty, must be ${kind}`);
}

/** Throws a {@linkcode UsageError} if two options are given that exclude each other. */
export function exclude<K extends string>(
  values: { readonly [name in K]?: unknown },
  a: K,
  b: K,
): void {
  if (values[a] && values[b]) throw new UsageError(`--${a} and --${b} cannot be combined`);
}

/** The name, if any, that differs from a word in one letter, or in the order of two. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  return names.find((name) => name.length > 3 && differByOne(word.toLowerCase(), name));
}

function differByOne(a: string, b: string): boolean {
  const least = Math.min(a.length, b.length);
  let start = 0, end = 0;
  while (start < least && a[start] === b[start]) start++;
  while (end < least - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const [x, y] = [a, b].map((text) => text.slice(start, text.length - end));
  return x.length < 2 && y.length < 2 || x.length === 2 && y === x[1] + x[0];
}
