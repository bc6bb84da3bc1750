/** Command lines as `node:util` reads them, with one line for what is wrong. */

import { parseArgs, type ParseArgsConfig } from "node:util";
import { UsageError } from "./errors.ts";

/** Reads options and what stands between them; throws a {@linkcode UsageError}. */
export function parseStrictly<const C extends ParseArgsConfig>(
  config: C,
): ReturnType<typeof parseArgs<C>> {
  try {
    return parseArgs(config);
  } catch (error) {
    // node:util says more than one sentence; the first names the option
    const [sentence] = (error as Error).message.split(/\. |\n/);
    const lacking = /'(?:-\w, )?(--[\w-]+)[^']*' argument (missing|is ambiguous)/.exec(sentence);
    throw new UsageError(
      lacking
        ? `${lacking[1]} takes a value: ${lacking[1]}=VALUE`
        : `${sentence.replace(/\.$/, "")}; --help lists the options`,
    );
  }
}
