/** Checks the values of options. */

import { UsageError } from "./errors.ts";

/** Returns the value if it is one of `names`; throws a {@linkcode UsageError} otherwise. */
export function oneOf<T extends string>(option: string, text: string, names: readonly T[]): T {
  const value = names.find((name) => name === text);
  if (value !== undefined) return value;
  const last = names.at(-1), list = `${names.slice(0, -1).join(", ")} or ${last}`;
  throw new UsageError(
    `${option} is ${JSON.stringify(text)}, must be ${names.length > 1 ? list : last}`,
  );
}

/** An integer from 0 to `max`. */
export function integer(option: string, text: string, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= max) return value;
  throw new UsageError(
    `${option} is ${JSON.stringify(text)}, must be an integer from 0 to ${max}`,
  );
}

/** An integer above 0. */
export function positive(option: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw new UsageError(`${option} is ${JSON.stringify(text)}, must be a positive integer`);
}

/** Throws a {@linkcode UsageError} if two options are given that exclude each other. */
export function exclude<K extends string>(
  values: { readonly [name in K]?: unknown },
  a: K,
  b: K,
): void {
  if (values[a] && values[b]) throw new UsageError(`--${a} and --${b} cannot be combined`);
}
