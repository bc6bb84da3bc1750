/**
 * Benchmarks this library and its peers: `deno task bench`. All programs get the same weights and
 * inputs. Before anything is timed, their outputs are compared. A program with wrong outputs is
 * reported, and its times are not shown.
 *
 * @module
 */

import { cpus } from "node:os";
import { firstLine, SkippedPrograms } from "./lib/skipped.ts";
import { type Arguments, readArguments, USAGE } from "./lib/options.ts";
import { report } from "./lib/report.ts";
import { type Measurement, readRun, type Run } from "./lib/results.ts";
import type { Suite } from "./lib/suite.ts";
import { alexnet } from "./alexnet_bench.ts";
import { algorithms } from "./algorithms_bench.ts";
import { chromium } from "./chromium_bench.ts";
import { conv } from "./conv_bench.ts";
import { Machine } from "./machine/machine.ts";
import { networks } from "./networks_bench.ts";
import { startUp } from "./startup_bench.ts";
import { training } from "./training_bench.ts";
import { webgpu } from "./webgpu_bench.ts";

const SUITES: Readonly<Record<string, Suite>> = {
  networks,
  chromium,
  alexnet,
  training,
  conv,
  algorithms,
  "start-up": startUp,
  webgpu,
};

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  let options: Arguments;
  try {
    options = readOptions(args);
  } catch (error) {
    console.error(`error: ${firstLine(error)}`);
    return 2;
  }
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  try {
    if (options.from !== undefined) {
      console.log(report(await readRun(options.from)));
      return 0;
    }
    // now, because the first results take minutes
    if (options.save !== undefined) await Deno.writeTextFile(options.save, "", { append: true });
  } catch (error) {
    console.error(`error: ${firstLine(error)}`);
    return 1;
  }
  return await measure(options);
}

/** Reads the arguments. Keeps the suites that any of the selected programs takes part in. */
function readOptions(args: string[]): Arguments {
  const names = Object.keys(SUITES);
  const options = readArguments(args, {
    suites: names,
    defaultSuites: names.filter((name) => !SUITES[name].onRequest),
    programs: [...new Set(Object.values(SUITES).flatMap((suite) => suite.programs))],
    cores: navigator.hardwareConcurrency,
  });
  const suites = options.suites.filter((name) => takesPart(SUITES[name], options.only));
  if (suites.length > 0) return { ...options, suites };
  throw new Error(`no suite of ${options.suites.join(", ")} runs ${options.only?.join(" or ")}`);
}

/** Runs the suites, and prints the results. Returns the exit status. */
async function measure(options: Arguments): Promise<number> {
  const skipped = new SkippedPrograms(), measurements: Measurement[] = [], problems: string[] = [];
  const run: Run = {
    processor: cpus()[0]?.model ?? "unknown processor",
    cores: navigator.hardwareConcurrency,
    runtime: `Deno ${Deno.version.deno}`,
    threads: options.threads,
    measured: measurements,
    leftOut: skipped.entries,
  };
  using machine = await Machine.start(options.threads);
  for (const name of options.suites) {
    const suite = SUITES[name], results = suite.run({ options, machine, skipped });
    for await (const part of results instanceof Promise ? [results] : results) {
      measurements.push(...part);
      problems.push(...suite.problems?.(part) ?? []);
      if (options.save !== undefined) await save(run, options.save);
    }
  }
  console.log(options.json ? JSON.stringify(run, null, 2) : report(run));
  for (const problem of problems) console.error(`error: ${problem}`);
  return succeeded(measurements) && problems.length === 0 ? 0 : 1;
}

function save(run: Run, path: string): Promise<void> {
  return Deno.writeTextFile(path, `${JSON.stringify(run, null, 2)}\n`);
}

/** Whether a suite runs any of the selected programs. */
function takesPart({ programs }: Suite, only: readonly string[] | undefined): boolean {
  return !only || only.some((name) => programs.includes(name));
}

/** Whether there are results, and all of them are correct. */
function succeeded(measurements: readonly Measurement[]): boolean {
  const results = measurements.flatMap(({ results }) => results);
  return results.length > 0 && results.every(({ ms }) => ms !== null);
}
