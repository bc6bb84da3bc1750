/**
 * The tables of the bench.
 *
 * @module
 */

import { type BatchResults, OURS, type Result } from "./_suite.ts";
import { type Column, table } from "./_table.ts";

/** What stands where there is no number. */
export const NONE = "–";

/** What a table of one batch size is headed by. */
export function heading({ batch, rounds }: BatchResults): string {
  return `batch ${batch}, ${rounds} ${rounds === 1 ? "round" : "rounds"}`;
}

/** The distribution of one task's times; ratios are of times, so above 1× is slower than ours. */
export function timesTable(batch: BatchResults): string {
  const { results } = batch;
  const ours = results.find(({ name }) => name === OURS)?.ms;
  const columns: Column[] = [
    left(heading(batch)),
    left("version"),
    ...["threads", "min", "p25", "median", "p75", "max"].map(right),
    ...(ours ? [right("median ÷ ours"), right("min ÷ ours")] : []),
    right("answer off by"),
  ];
  const rows = results.map((result) => {
    const { name, version, threads, ms } = result;
    return [
      name,
      version,
      String(threads),
      ...[ms?.min, ms?.p25, ms?.median, ms?.p75, ms?.max].map(fixed),
      ...(ours ? [ratio(ms?.median, ours.median), ratio(ms?.min, ours.min)] : []),
      agreement([result]),
    ];
  });
  return table(columns, rows);
}

export function left(title: string): Column {
  return { title, align: "left" };
}

export function right(title: string): Column {
  return { title, align: "right" };
}

/** One decimal. */
export function fixed(value: number | undefined): string {
  return value?.toFixed(1) ?? NONE;
}

export function ratio(value: number | undefined, ours: number | undefined): string {
  return value === undefined || ours === undefined ? NONE : `${(value / ours).toFixed(2)}×`;
}

/** How far a peer's answers are from the references, the worst of them. */
export function agreement(results: readonly Result[]): string {
  const wrong = results.find(({ ms }) => ms === null);
  if (wrong) return `WRONG: ${wrong.error?.toFixed(3) ?? "not numbers"}`;
  if (results.every(({ reference }) => reference)) return "reference";
  return Math.max(...results.map(({ error }) => error!)).toExponential(0);
}
