/**
 * The command line: `deno run -A cli.ts photo.jpg` prints the most probable classes of a photo.
 *
 * @module
 */

import denoJson from "./deno.json" with { type: "json" };
import { type Command, readCommand } from "./src/cli/args.ts";
import { errorLine, isPermissionError, UsageError } from "./src/cli/errors.ts";
import { print, printError } from "./src/cli/terminal.ts";

/**
 * Runs the command and returns its exit code: 0, 1 if an input failed, 2 for wrong usage or a
 * missing permission.
 */
export async function main(args: readonly string[]): Promise<number> {
  let options: Command | undefined;
  try {
    checkDeno();
    options = await readCommand(args);
    return await run(options);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return 0; // the reader closed the pipe
    if (isPermissionError(error) && options) {
      const { grantedPermissions, permissionLine } = await import("./src/cli/permissions.ts");
      printError(permissionLine(error, import.meta.url, args, options, grantedPermissions()));
      return 2;
    }
    printError(errorLine(error));
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Rejects versions of Deno in which some commands fail, because they cannot lock a file without waiting. */
function checkDeno(): void {
  if ("tryLock" in Deno.FsFile.prototype) return;
  throw new UsageError(
    `Deno ${Deno.version.deno} is too old: Deno 2.7 or later is needed (run "deno upgrade")`,
  );
}

/** Runs a command. Its modules are imported only then, for a fast start. */
async function run(options: Command): Promise<number> {
  switch (options.command) {
    case "help":
      print((await import("./src/cli/usage.ts")).usageOf(options.topic));
      return 0;
    case "version":
      print(`pembroke ${denoJson.version}`);
      return 0;
    case "summary":
      return (await import("./src/cli/summary.ts")).summary(options);
    case "classify":
      if (options.features) return (await import("./src/cli/features.ts")).features(options);
      if (options.show) return (await import("./src/cli/show.ts")).classifyAndShow(options);
      return (await import("./src/cli/classify.ts")).classify(options);
    case "evaluate":
      return (await import("./src/cli/evaluate.ts")).evaluate(options);
    case "explain":
      return (await import("./src/cli/explain.ts")).explainPhoto(options);
    case "serve":
      return (await import("./src/cli/serve.ts")).serve(options);
    case "pull":
      return (await import("./src/cli/pull.ts")).pullModel(options);
    case "models":
      return (await import("./src/cli/models.ts")).listModels(options);
    case "rm":
      return (await import("./src/cli/models.ts")).removeModel(options);
    case "convert":
      return (await import("./src/cli/convert.ts")).convert(options);
    case "quantize":
      return (await import("./src/cli/quantize.ts")).quantize(options);
    case "learn":
      return (await import("./src/cli/learn.ts")).learn(options);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
