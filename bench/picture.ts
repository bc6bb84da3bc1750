/**
 * Draws a chart of a saved run: `deno task bench:picture bench/results.json bench/results.svg`.
 *
 * @module
 */

import { picture } from "./lib/picture.ts";

const [from, to] = Deno.args;
if (to === undefined || Deno.args.length > 2) {
  console.error("usage: deno task bench:picture results.json picture.svg");
  Deno.exit(2);
}
await Deno.writeTextFile(to, picture(JSON.parse(await Deno.readTextFile(from))));
