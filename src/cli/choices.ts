/** Options that take one of a few names. */

import { UsageError } from "./errors.ts";

/** The name, if it is one of them; throws a {@linkcode UsageError} otherwise. */
export function oneOf<T extends string>(option: string, text: string, names: readonly T[]): T {
  const found = names.find((name) => name === text);
  if (found !== undefined) return found;
  const last = names.at(-1), list = `${names.slice(0, -1).join(", ")} or ${last}`;
  throw new UsageError(
    `${option} is ${JSON.stringify(text)}, must be ${names.length > 1 ? list : last}`,
  );
}
