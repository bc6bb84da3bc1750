/**
 * This library beside its peers: `deno task bench`. All of them get the same weights and inputs, and
 * before a clock starts all must give the same answer; one that does not is named, and its timings
 * are not shown.
 *
 * @module
 */

import { cpus } from "node:os";
import { firstLine, LeftOut } from "./lib/left_out.ts";
import { type Arguments, readArguments, USAGE } from "./lib/options.ts";
import { report } from "./lib/report.ts";
import type { Measured, Run } from "./lib/results.ts";
import type { Suite } from "./lib/suite.ts";
import { alexnet } from "./alexnet_bench.ts";
import { conv } from "./conv_bench.ts";
import { Machine } from "./machine/machine.ts";
import { startUp } from "./startup_bench.ts";
import { training } from "./training_bench.ts";
import { webgpu } from "./webgpu_bench.ts";

const SUITES: Readonly<Record<string, Suite>> = {
  alexnet,
  training,
  conv,
  "start-up": startUp,
  webgpu,
};

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  const cores = navigator.hardwareConcurrency;
  const programs = [...new Set(Object.values(SUITES).flatMap((suite) => suite.programs))];
  let options: Arguments, suites: string[];
  try {
    options = readArguments(args, { suites: Object.keys(SUITES), programs, cores });
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
  if (options.from !== undefined) {
    console.log(report(JSON.parse(await Deno.readTextFile(options.from))));
    return 0;
  }

  const leftOut = new LeftOut(), measured: Measured[] = [];
  using machine = await Machine.start(options.threads);
  for (const name of suites) {
    measured.push(...await SUITES[name].run({ options, machine, leftOut }));
  }
  const run: Run = {
    processor: cpus()[0]?.model ?? "unknown processor",
    cores,
    runtime: `Deno ${Deno.version.deno}`,
    threads: options.threads,
    measured,
    leftOut: leftOut.entries,
  };
  const json = JSON.stringify(run, null, 2);
  console.log(options.json ? json : report(run));
  if (options.save !== undefined) await Deno.writeTextFile(options.save, `${json}\n`);
  return succeeded(measured) ? 0 : 1;
}

/** Whether any of the programs asked for is in a suite. */
function takesPart({ programs }: Suite, only: readonly string[] | undefined): boolean {
  return !only || only.some((name) => programs.includes(name));
}

/** Whether anything was timed and nothing was wrong. */
function succeeded(measured: readonly Measured[]): boolean {
  const results = measured.flatMap(({ results }) => results);
  return results.length > 0 && results.every(({ ms }) => ms !== null);
}
