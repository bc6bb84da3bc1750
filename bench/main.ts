/**
 * This library beside its peers: `deno task bench`. All of them get the same weights and inputs, and
 * before a clock starts all must give the same answer; one that does not is named, and its timings
 * are not shown.
 *
 * @module
 */

import { cpus } from "node:os";
import { type Arguments, readArguments, USAGE } from "./_options.ts";
import { firstLine, LeftOut, type Outcome, type Suite } from "./_suite.ts";
import { alexnet } from "./alexnet_bench.ts";
import { conv } from "./conv_bench.ts";
import { training } from "./training_bench.ts";

const SUITES: Readonly<Record<string, Suite>> = { alexnet, conv, training };

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  const peers = [...new Set(Object.values(SUITES).flatMap((suite) => suite.peers))];
  let options: Arguments, suites: string[];
  try {
    options = readArguments(args, { suites: Object.keys(SUITES), peers });
    suites = options.suites.filter((name) => takesPart(SUITES[name], options.only));
    if (suites.length === 0) throw new Error(`${options.only} takes no part in ${options.suites}`);
  } catch (error) {
    console.error(`error: ${firstLine(error)}`);
    return 2;
  }
  if (options.help) {
    console.log(USAGE);
    return 0;
  }

  const machine = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores`;
  const runtime = `Deno ${Deno.version.deno}`;
  if (!options.json) console.log(`${machine}, ${runtime}`);
  const report: Record<string, unknown> = {};
  let ok = true;
  for (const name of suites) {
    const leftOut = new LeftOut();
    const { text, results } = await SUITES[name].run(options, leftOut);
    ok &&= succeeded(results);
    report[name] = { batches: results, leftOut: leftOut.entries };
    if (options.json) continue;
    const notes = leftOut.entries.map(({ name, reason }) => `– ${name}: ${reason}`);
    console.log(["", text, ...notes].join("\n"));
  }
  if (options.json) console.log(JSON.stringify({ machine, runtime, suites: report }, null, 2));
  return ok ? 0 : 1;
}

/** Whether any of the peers asked for is in a suite. */
function takesPart({ peers }: Suite, only: readonly string[] | undefined): boolean {
  return !only || only.some((name) => peers.includes(name));
}

/** Whether anything was timed and nothing was wrong. */
function succeeded(batches: Outcome["results"]): boolean {
  const results = batches.flatMap(({ results }) => results);
  return results.length > 0 && results.every(({ ms }) => ms !== null);
}
