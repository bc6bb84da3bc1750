/** Options with a fixed set of values. */

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
