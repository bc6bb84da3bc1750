/**
 * Runs several commands, one after the other: the argument is a JSON array of their arguments.
 * After the output of each, a null character follows in both streams, on standard output with the
 * exit code.
 */

import { main } from "../../cli.ts";
import { writeAll } from "../../src/cli/terminal.ts";

for (const args of JSON.parse(Deno.args[0])) {
  const code = await main(args);
  writeAll(Deno.stdout, `\0${code}\0`);
  writeAll(Deno.stderr, "\0");
}
