/**
 * Prints a run as a table.
 *
 * @module
 */

import {
  best,
  machineRate,
  type Measurement,
  ourName,
  rate,
  type Result,
  type Run,
} from "./results.ts";
import { type Column, type Row, table } from "./table.ts";
import { weightBytes } from "../peers/architecture.ts";

/** Shown instead of a missing number. */
const none = "–";
const wrongText = "wrong";
/** If threads get a smaller share of their cores than this, the machine was busy. */
const minCoreShare = 0.85;
/** The width of the notes, in characters. */
const noteWidth = 110;

/** Returns a description of the machine, the table of all results, and notes. */
export function report(run: Run): string {
  const { processor, cores, runtime, measured, threads } = run;
  const others = columnsOf(run);
  const columns: Column[] = [
    { title: "milliseconds, median", align: "left" },
    ...[ourName, "speed-up", "GFLOP/s", "of peak", ...others.map((name) => name.replace("-", "\n"))]
      .map((title): Column => ({ title, align: "right" })),
  ];
  const rows: Row[] = [];
  const sections = Map.groupBy(measured, ({ task }) => task.section);
  for (const [section, tasks] of sections) {
    const ours = tasks.flatMap(({ results }) => results).filter((r) => r.program === ourName);
    const ran = (count: number) => ours.length === 0 || ours.some((r) => r.threads === count);
    const counts = tasks[0].task.process ? [undefined] : threads.filter(ran);
    for (const count of counts) {
      rows.push("", count === undefined ? section : `${section}, ${threadsText(count)}`);
      rows.push(...tasks.flatMap((task) => taskRows(task, count, others)));
    }
  }
  for (const count of threads) rows.push(...machineRows(run, count, others));
  return [
    `${processor}, ${cores} cores, ${runtime}`,
    "",
    table(columns, rows),
    "",
    ...notes(run),
  ].join("\n");
}

/** A row for each of our variants, or a single row without our times if we did not run. */
function taskRows(
  measured: Measurement,
  threads: number | undefined,
  others: readonly string[],
): Row[] {
  const { task, results, machine } = measured;
  const ours = results.filter(({ program }) => program === ourName);
  const shown = ours.filter((result) => threads === undefined || result.threads === threads);
  return (shown.length > 0 ? shown : [undefined]).map((result) => {
    const ms = result?.ms?.median;
    const single = ours.find((other) => other.threads === 1 && other.variant === result?.variant);
    const peak = machine.find((gauge) =>
      gauge.what === "arithmetic" && gauge.threads === result?.threads
    );
    const gflops = task.flops && ms && task.flops / ms / 1e6;
    return [
      `  ${[task.name, result?.variant].filter(Boolean).join(", ")}`,
      result ? msText(result) : none,
      single?.ms && ms && single !== result ? times(single.ms.median / ms) : "",
      gflops ? gflops.toFixed(1) : "",
      gflops && peak ? percent(gflops / rate(peak)) : "",
      ...others.map((program) => peerText(best(results, program, threads ?? Infinity), ms)),
    ];
  });
}

/** Rows for the machine's peak with this many threads, if it was measured. */
function machineRows(run: Run, threads: number, others: readonly string[]): Row[] {
  const gflops = machineRate(run, "arithmetic", threads);
  const gbs = machineRate(run, "streaming", threads);
  const rest = others.map(() => "");
  const rows: Row[] = [];
  if (gflops) rows.push(["  the micro-kernel", "", "", gflops.toFixed(1), percent(1), ...rest]);
  if (gbs) {
    const label = `  ${megabytes(weightBytes)} MB at ${gbs.toFixed(1)} GB/s`;
    rows.push([label, fixed(weightBytes / gbs / 1e6), "", "", "", ...rest]);
  }
  return rows.length > 0 ? ["", `The machine, ${threadsText(threads)}`, ...rows] : [];
}

/** Notes on versions, the meaning of the columns, the outputs' errors, and skipped programs. */
function notes(run: Run): string[] {
  const results = run.measured.flatMap(({ results }) => results);
  const others = columnsOf(run);
  const single = others.filter((program) =>
    results.every((result) => result.program !== program || result.threads === 1)
  );
  const versions = [...new Set(results.map(({ program }) => program))].map((program) =>
    `${program} ${results.find((result) => result.program === program)!.version}`
  );
  const reasons = Map.groupBy(run.leftOut, ({ reason }) => reason);
  return [
    `Versions: ${versions.join("; ")}.`,
    ...busy(run),
    ...(others.length > 0
      ? [
        "2.00×: twice our time, with the same number of threads, or fewer if that is faster" +
        (single.length > 0 ? ` (${single.join(", ")}: one thread).` : "."),
      ]
      : []),
    "Speed-up: relative to our time with one thread.",
    "Of peak: GFLOP/s relative to the micro-kernel on data in the first-level cache in the same " +
    "rounds. Each multiply-accumulate of the direct computation counts as two operations. Winograd " +
    "needs fewer, so it can exceed 100 %.",
    ...streaming(run),
    ...errors(run),
    ...slow(run),
    ...reasons.entries().map(([reason, left]) =>
      `Skipped: ${left.map(({ name }) => name).join(", ")}: ${reason}`
    ),
  ].map((note) => wrap(note, noteWidth));
}

/** A note on the row of the memory's speed, if it was measured. */
function streaming(run: Run): string[] {
  if (run.threads.every((count) => !machineRate(run, "streaming", count))) return [];
  const size = megabytes(weightBytes);
  return [`${size} MB: reading AlexNet's weights from memory once, as each forward pass does.`];
}

/** A note if several threads did not get a core each. */
function busy(run: Run): string[] {
  const one = machineRate(run, "arithmetic", 1) ?? NaN;
  return run.threads.flatMap((count) => {
    const gain = (machineRate(run, "arithmetic", count) ?? NaN) / one;
    if (!(gain < minCoreShare * count)) return [];
    return `The machine was busy: with ${threadsText(count)}, the micro-kernel was only ` +
      `${gain.toFixed(2)} times as fast as with one.`;
  });
}

/** The largest errors of the outputs, and the programs whose outputs are wrong. */
function errors(run: Run): string[] {
  const compared = run.measured.flatMap(({ task, results }) =>
    results.filter(({ reference }) => !reference).map((result) => ({ ...result, task }))
  );
  const correct = compared.filter(({ ms }) => ms), wrong = compared.filter(({ ms }) => !ms);
  const tolerances = Map.groupBy(correct, ({ tolerance }) => tolerance);
  return [
    ...tolerances.entries().map(([tolerance, results]) => {
      const largest = Math.max(...results.map(({ error }) => error!)).toExponential(0);
      const programs = tolerances.size > 1 ? ` of ${namesOf(results)}` : "";
      return `Largest error${programs}: ${largest} of the reference's largest value ` +
        `(tolerance ${tolerance}).`;
    }),
    ...wrong.map(({ program, variant, task, error }) =>
      `WRONG: ${nameOf({ program, variant })}, ${task.section}, ${task.name}: ` +
      (error?.toExponential(0) ?? "not numbers")
    ),
  ];
}

/** Programs that were timed once, which have no column. */
function slow({ measured }: Run): string[] {
  return measured.flatMap(({ task, results }) => {
    const ours = results.find(({ program, ms }) => program === ourName && ms)?.ms?.median;
    return results.filter(({ once }) => once).map((result) =>
      `${result.program}, timed once: ${task.name} ${peerText(result, ours).trim()}`
    );
  });
}

/** The programs that have a column: all except ours and slow ones, in their order in the results. */
function columnsOf({ measured }: Run): string[] {
  const results = measured.flatMap(({ results }) => results).filter(({ once }) => !once);
  return [...new Set(results.map(({ program }) => program))].filter((name) => name !== ourName);
}

function namesOf(results: readonly Result[]): string {
  return [...new Set(results.map(nameOf))].join(", ");
}

function nameOf({ program, variant }: Pick<Result, "program" | "variant">): string {
  return variant ? `${program} (${variant})` : program;
}

/** Wraps a text. All lines except the first are indented. */
function wrap(text: string, width: number): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line && line.length + 1 + word.length > width) lines.push(`  ${word}`);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines.join("\n");
}

function peerText(result: Result | undefined, ours: number | undefined): string {
  if (!result) return none;
  const ratio = result.ms && ours ? times(result.ms.median / ours) : "";
  return `${msText(result).padStart(5)} ${ratio.padStart(5)}`;
}

function msText({ ms }: Result): string {
  return ms ? fixed(ms.median) : wrongText;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

/** Three digits, or one decimal. */
function fixed(value: number): string {
  return value.toFixed(value < 99.95 ? 1 : 0);
}

function times(ratio: number): string {
  return `${ratio.toFixed(ratio < 9.995 ? 2 : ratio < 99.95 ? 1 : 0)}×`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function threadsText(count: number): string {
  return `${count} thread${count === 1 ? "" : "s"}`;
}
