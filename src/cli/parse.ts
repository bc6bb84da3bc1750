/** Parses arguments with `node:util`, with one-line errors. */

import { parseArgs, type ParseArgsConfig } from "node:util";
import { UsageError } from "./errors.ts";

/** Parses options and positionals; throws a {@linkcode UsageError}. */
export function parseStrictly<const C extends ParseArgsConfig>(
  config: C,
): ReturnType<typeof parseArgs<C>> {
  try {
    return parseArgs(config);
  } catch (error) {
    // the first sentence of node:util's message names the option
    const [sentence] = (error as Error).message.split(/\. |\n/);
    const missing = /'(?:-\w, )?(--[\w-]+)[^']*' argument (missing|is ambiguous)/.exec(sentence);
    throw new UsageError(
      missing
        ? `${missing[1]} needs a value: ${missing[1]}=VALUE`
        : `${sentence[0].toLowerCase()}${sentence.slice(1).replace(/\.$/, "")}; see --help`,
    );
  }
}
