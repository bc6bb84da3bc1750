/**
 * Benchmarks this library and its peers: `deno task bench`. All programs get the same weights and
 * inputs. Before anything is timed, their outputs are compared. A program with wrong outputs is
 * reported, and its times are not shown.
 *
 * @module
 */

import { cpus } from "node:os";
import { firstLine, SkippedPrograms } from "./lib/skipped.ts";
import { type Arguments, parseOptions, readArguments, savedFile, usage } from "./lib/options.ts";
import { report } from "./lib/report.ts";
import { type Measurement, readRun, type Run } from "./lib/results.ts";
import type { Suite } from "./lib/suite.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: string[]): Promise<number> {
  let options: Arguments;
  try {
    if (parseOptions(args).values.help) {
      console.log(usage);
      return 0;
    }
    const from = savedFile(args);
    if (from !== undefined) return await printSaved(from);
    options = await readOptions(args);
  } catch (error) {
    console.error(`error: ${firstLine(error)}`);
    return 2;
  }
  return await measure(options);
}

/** Prints saved results, for which no library is loaded. Returns the exit status. */
async function printSaved(file: string): Promise<number> {
  try {
    console.log(report(await readRun(file)));
    return 0;
  } catch (error) {
    console.error(`error: ${firstLine(error)}`);
    return 1;
  }
}

/** Reads the arguments. Keeps the suites that any of the selected programs takes part in. */
async function readOptions(args: string[]): Promise<Arguments> {
  const { suites: all } = await import("./suites.ts"), names = Object.keys(all);
  const options = readArguments(args, {
    suites: names,
    defaultSuites: names.filter((name) => !all[name].onRequest),
    programs: [...new Set(Object.values(all).flatMap((suite) => suite.programs))],
    cores: navigator.hardwareConcurrency,
  });
  const suites = options.suites.filter((name) => takesPart(all[name], options.only));
  if (suites.length > 0) return { ...options, suites };
  throw new Error(`no suite of ${options.suites.join(", ")} runs ${options.only?.join(" or ")}`);
}

/** Runs the suites, and prints the results. Returns the exit status. */
async function measure(options: Arguments): Promise<number> {
  try { // now, because the first results take minutes
    if (options.save !== undefined) await Deno.writeTextFile(options.save, "", { append: true });
  } catch (error) {
    console.error(`error: ${firstLine(error)}`);
    return 1;
  }
  const skipped = new SkippedPrograms(), measurements: Measurement[] = [], problems: string[] = [];
  const run: Run = {
    processor: cpus()[0]?.model ?? "unknown processor",
    cores: navigator.hardwareConcurrency,
    runtime: `Deno ${Deno.version.deno}`,
    threads: options.threads,
    measured: measurements,
    leftOut: skipped.entries,
  };
  const { suites } = await import("./suites.ts");
  const { Machine } = await import("./machine/machine.ts");
  using machine = await Machine.start(options.threads);
  for (const name of options.suites) {
    const suite = suites[name], results = suite.run({ options, machine, skipped });
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
