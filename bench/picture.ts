/**
 * Draws a chart of a saved run: `deno task bench:picture bench/results.json bench/results.svg`.
 *
 * @module
 */

import { picture } from "./lib/picture.ts";
import { readRun } from "./lib/results.ts";
import { firstLine } from "./lib/skipped.ts";

const [from, to] = Deno.args;
if (to === undefined || Deno.args.length > 2) {
  console.error("usage: deno task bench:picture results.json picture.svg");
  Deno.exit(2);
}
try {
  await Deno.writeTextFile(to, picture(await readRun(from)));
} catch (error) {
  console.error(`error: ${firstLine(error)}`);
  Deno.exit(1);
}
