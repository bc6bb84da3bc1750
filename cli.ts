/**
 * The command: `deno run -A cli.ts photo.jpg --weights alexnet.pth` prints what is on a photograph.
 *
 * @module
 */

import denoJson from "./deno.json" with { type: "json" };
import { PembrokeError } from "./src/errors.ts";
import { type Options, readArgs, usage } from "./src/cli/args.ts";
import { classify } from "./src/cli/classify.ts";
import { isPermissionError, lineOf, permissionLine, UsageError } from "./src/cli/errors.ts";
import { urlsOf } from "./src/cli/inputs.ts";
import { summary } from "./src/cli/summary.ts";
import { complain, print } from "./src/cli/terminal.ts";

/**
 * Runs the command and returns its exit code: 0, 1 if an input failed, 2 for wrong usage or a
 * missing permission.
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await run(readArgs(args));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return 0; // the reader has seen enough
    const line = isPermissionError(error)
      ? permissionLine(error, import.meta.url, args, urlsOf(args))
      : lineOf(error);
    if (!isPermissionError(error) && !(error instanceof PembrokeError)) throw error;
    complain(line);
    return isPermissionError(error) || error instanceof UsageError ? 2 : 1;
  }
}

function run(options: Options): number | Promise<number> {
  switch (options.command) {
    case "help":
      print(usage);
      return 0;
    case "version":
      print(`pembroke ${denoJson.version}`);
      return 0;
    case "summary":
      return summary(options);
    case "classify":
      return classify(options);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
