/**
 * The table of a run.
 *
 * @module
 */

import { best, machineRate, type Measured, OURS, rate, type Result, type Run } from "./results.ts";
import { type Column, type Row, table } from "./table.ts";
import { WEIGHT_BYTES } from "../peers/architecture.ts";

/** What stands where there is no number. */
const NONE = "–";
const WRONG = "wrong";
/** The part of its threads' cores that a machine should give. */
const BUSY = 0.85;
/** Of the notes. */
const WIDTH = 110;

/** A table of all that was measured, what ran it in front and notes behind. */
export function report(run: Run): string {
  const { processor, cores, runtime, measured, threads } = run;
  const others = columnsOf(run);
  const columns: Column[] = [
    { title: "milliseconds, median", align: "left" },
    ...[OURS, "speed-up", "GFLOP/s", "of peak", ...others.map((name) => name.replace("-", "\n"))]
      .map((title): Column => ({ title, align: "right" })),
  ];
  const rows: Row[] = [];
  const sections = Map.groupBy(measured, ({ task }) => task.section);
  for (const [section, tasks] of sections) {
    const counts = tasks[0].task.process ? [undefined] : threads;
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

/** A row for each of our ways to do it; one without our times where we did not take part. */
function taskRows(
  measured: Measured,
  threads: number | undefined,
  others: readonly string[],
): Row[] {
  const { task, results, machine } = measured;
  const ours = results.filter(({ program }) => program === OURS);
  const here = ours.filter((result) => threads === undefined || result.threads === threads);
  return (here.length > 0 ? here : [undefined]).map((result) => {
    const ms = result?.ms?.median;
    const alone = ours.find((other) => other.threads === 1 && other.variant === result?.variant);
    const peak = machine.find((gauged) =>
      gauged.what === "arithmetic" && gauged.threads === result?.threads
    );
    const gflops = task.flops && ms && task.flops / ms / 1e6;
    return [
      `  ${[task.name, result?.variant].filter(Boolean).join(", ")}`,
      result ? msText(result) : NONE,
      alone?.ms && ms && alone !== result ? times(alone.ms.median / ms) : "",
      gflops ? gflops.toFixed(1) : "",
      gflops && peak ? percent(gflops / rate(peak)) : "",
      ...others.map((program) => peerText(best(results, program, threads ?? Infinity), ms)),
    ];
  });
}

/** What the machine can do with so many threads; nothing where it was not measured. */
function machineRows(run: Run, threads: number, others: readonly string[]): Row[] {
  const gflops = machineRate(run, "arithmetic", threads);
  const gbs = machineRate(run, "streaming", threads);
  const rest = others.map(() => "");
  const rows: Row[] = [];
  if (gflops) rows.push(["  the 4×8 micro-kernel", "", "", gflops.toFixed(1), percent(1), ...rest]);
  if (gbs) {
    const label = `  ${megabytes(WEIGHT_BYTES)} MB at ${gbs.toFixed(1)} GB/s`;
    rows.push([label, fixed(WEIGHT_BYTES / gbs / 1e6), "", "", "", ...rest]);
  }
  return rows.length > 0 ? ["", `The machine, ${threadsText(threads)}`, ...rows] : [];
}

/** Reads: what the columns mean, whose answers were compared, what has no column. */
function notes(run: Run): string[] {
  const results = run.measured.flatMap(({ results }) => results);
  const others = columnsOf(run),
    single = others.filter((program) =>
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
        "2.00×: takes twice our time; with as many threads, or fewer where that is faster" +
        (single.length > 0 ? ` (${single.join(", ")}: one).` : "."),
      ]
      : []),
    "Speed-up: over our time with one thread.",
    "Of peak: GFLOP/s, of two operations for each multiply-accumulate of the direct computation, " +
    "over those of the micro-kernel on data in the first-level cache in the same rounds. Winograd's " +
    "filtering needs fewer operations, so that it can pass 100 %.",
    `${megabytes(WEIGHT_BYTES)} MB: all weights once from memory, as each forward pass reads them.`,
    ...agreement(run),
    ...slow(run),
    ...reasons.entries().map(([reason, left]) =>
      `Left out: ${left.map(({ name }) => name).join(", ")}: ${reason}`
    ),
  ].map((note) => wrap(note, WIDTH));
}

/** Says so if several threads did not have a core each. */
function busy(run: Run): string[] {
  const one = machineRate(run, "arithmetic", 1) ?? NaN;
  return run.threads.flatMap((count) => {
    const gain = (machineRate(run, "arithmetic", count) ?? NaN) / one;
    if (!(gain < BUSY * count)) return [];
    return `The machine was busy: its micro-kernel did ${gain.toFixed(2)} times as much with ` +
      `${threadsText(count)} as with one.`;
  });
}

/** How far answers are from ours, and whose are wrong. */
function agreement(run: Run): string[] {
  const compared = run.measured.flatMap(({ task, results }) =>
    results.filter(({ reference }) => !reference).map((result) => ({ ...result, task }))
  );
  const right = compared.filter(({ ms }) => ms), wrong = compared.filter(({ ms }) => !ms);
  const tolerances = Map.groupBy(right, ({ tolerance }) => tolerance);
  return [
    ...tolerances.entries().map(([tolerance, results]) => {
      const most = Math.max(...results.map(({ error }) => error!)).toExponential(0);
      const whose = tolerances.size > 1 ? ` of ${namesOf(results)}` : "";
      return `Answers${whose}: at most ${most} of the largest from the reference's; ` +
        `${tolerance} would pass.`;
    }),
    ...wrong.map(({ program, variant, task, error }) =>
      `WRONG: ${nameOf({ program, variant })}, ${task.section}, ${task.name}: ` +
      (error?.toExponential(0) ?? "not numbers")
    ),
  ];
}

/** Those that had one turn take no column of their own. */
function slow({ measured }: Run): string[] {
  return measured.flatMap(({ task, results }) => {
    const ours = results.find(({ program, ms }) => program === OURS && ms)?.ms?.median;
    return results.filter(({ once }) => once).map((result) =>
      `${result.program}, once: ${task.name} ${peerText(result, ours).trim()}`
    );
  });
}

/** The programs that have a column: all but ours and the slow ones, in the order of their turns. */
function columnsOf({ measured }: Run): string[] {
  const results = measured.flatMap(({ results }) => results).filter(({ once }) => !once);
  return [...new Set(results.map(({ program }) => program))].filter((name) => name !== OURS);
}

function namesOf(results: readonly Result[]): string {
  return [...new Set(results.map(nameOf))].join(", ");
}

function nameOf({ program, variant }: Pick<Result, "program" | "variant">): string {
  return variant ? `${program} (${variant})` : program;
}

/** Breaks a text into lines; what follows the first is indented. */
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
  if (!result) return NONE;
  const ratio = result.ms && ours ? times(result.ms.median / ours) : "";
  return `${msText(result).padStart(5)} ${ratio.padStart(5)}`;
}

function msText({ ms }: Result): string {
  return ms ? fixed(ms.median) : WRONG;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

/** Three digits or a tenth. */
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
