/**
 * Draws a training log as SVG: losses on the left, accuracies on the right.
 *
 *     deno task curve runs/alexnet-tiny/log.tsv curve.svg
 *
 * @module
 */

import { FileError } from "../../mod.ts";
import { type LogRow, parseLog } from "./log.ts";
import { parseOptions, readText, runTask, UsageError, writeAtomically } from "./task.ts";

/** A curve: its name in the legend, its colour, and its value for a row of the log. */
interface Curve {
  readonly name: string;
  readonly colour: string;
  readonly value: (row: LogRow) => number;
}

const losses: readonly Curve[] = [
  { name: "training (augmented, smoothed)", colour: "#8a8a8a", value: (row) => row.loss },
  { name: "validation", colour: "#d1495b", value: (row) => row.valLoss },
];
const accuracies: readonly Curve[] = [
  { name: "training (augmented), top-1", colour: "#8a8a8a", value: (row) => 100 * row.accuracy },
  { name: "validation, top-1", colour: "#d1495b", value: (row) => 100 * row.top1 },
  { name: "validation, top-5", colour: "#00798c", value: (row) => 100 * row.top5 },
];

/** The size of the picture, and of each of its two panels. */
const width = 900, height = 350, panel = { width: 360, height: 240, top: 60 } as const;

/** Draws a log of at least one row as SVG. */
export function drawCurve(rows: readonly LogRow[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
    `font-family="sans-serif" font-size="13" fill="#333">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...drawPanel("Loss", rows, losses, 60),
    ...drawPanel("Accuracy, %", rows, accuracies, 510),
    "</svg>",
    "",
  ].join("\n");
}

function drawPanel(
  title: string,
  rows: readonly LogRow[],
  curves: readonly Curve[],
  left: number,
): string[] {
  const bottom = panel.top + panel.height;
  const highest = Math.max(...rows.flatMap((row) => curves.map(({ value }) => value(row))));
  const step = tickStep(highest), top = Math.ceil(highest / step) * step || step;
  const last = Math.max(rows.at(-1)!.epoch, 2), every = Math.ceil(last / 12);
  const x = (epoch: number) => (left + (epoch - 1) / (last - 1) * panel.width).toFixed(1);
  const y = (value: number) => (bottom - value / top * panel.height).toFixed(1);

  const lines = [text(left, panel.top - 25, title, `font-weight="bold"`)];
  for (let i = 0; i * step <= top + 1e-9; i++) {
    const at = y(i * step), name = String(Number((i * step).toPrecision(6)));
    lines.push(`<path d="M${left} ${at}h${panel.width}" stroke="#ddd"/>`);
    lines.push(text(left - 8, Number(at) + 4, name, `text-anchor="end"`));
  }
  for (let epoch = 1; epoch <= last; epoch += every) {
    lines.push(text(Number(x(epoch)), bottom + 20, String(epoch), `text-anchor="middle"`));
  }
  lines.push(text(left + panel.width / 2, bottom + 40, "epoch", `text-anchor="middle"`));
  for (const [i, { name, colour, value }] of curves.entries()) {
    const points = rows.map((row) => `${x(row.epoch)},${y(value(row))}`);
    const stroke = `stroke="${colour}" stroke-width="2"`;
    lines.push(`<polyline points="${points.join(" ")}" fill="none" ${stroke}/>`);
    for (const point of points) {
      const [cx, cy] = point.split(",");
      lines.push(`<circle cx="${cx}" cy="${cy}" r="2.5" fill="${colour}"/>`);
    }
    lines.push(text(left + 95, panel.top - 42 + 15 * i, name, `fill="${colour}"`));
  }
  return lines;
}

/** Returns a round distance between ticks, for four to ten ticks from 0 to `highest`. */
function tickStep(highest: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(highest, 1e-6) / 4));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => highest / step <= 8)!;
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${content}</text>`;
}

const usage = `\
Draws a training log as SVG.

Usage: deno task curve LOG.tsv OUT.svg

Options:
  -h, --help  print this help`;

/** Runs the task and returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  return await runTask({ usage, readArgs, run }, args);
}

function readArgs(args: readonly string[]): { log: string; picture: string } | undefined {
  const { values, positionals: [log, picture, ...more] } = parseOptions({
    args: [...args],
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h", default: false } },
  });
  if (values.help) return undefined;
  if (picture && more.length === 0) return { log, picture };
  throw new UsageError("a log and a picture must be named; --help shows how");
}

async function run({ log, picture }: { log: string; picture: string }): Promise<void> {
  const rows = parseLog(await readText(log), log);
  if (rows.length === 0) throw new FileError(log, "has no epochs yet");
  await writeAtomically(picture, drawCurve(rows));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
