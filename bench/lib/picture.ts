/**
 * Draws a chart of the networks' times relative to ours. A row is a network, a column a batch size
 * and a number of threads.
 *
 * @module
 */

import {
  best,
  type Measurement,
  type NetworkTask,
  ourName,
  type Result,
  type Run,
} from "./results.ts";
import { type Colour, line, mark, type Point, type Shape, svgDocument, text } from "./svg.ts";

/** How a program looks. */
interface Look {
  readonly label: string;
  readonly colour: Colour;
  readonly shape: Shape;
}

const looks: Readonly<Record<string, Look>> = {
  "onnxruntime-web": { label: "onnxruntime-web", colour: "orange", shape: "circle" },
  "tfjs-wasm": { label: "tfjs-wasm", colour: "purple", shape: "square" },
  "onnxruntime-node": { label: "native onnxruntime", colour: "gray", shape: "triangle" },
  "pytorch": { label: "native PyTorch", colour: "gray", shape: "diamond" },
};

// In pixels.
const pictureWidth = 800, margin = 24, namesWidth = 142, timeWidth = 46;
const maxPlotWidth = 128, gap = 16, rowHeight = 22;
const legendY = 86, columnsY = 122, blockHead = 30, ticksHeight = 22, footHeight = 50;

/** A column of the chart. */
interface Column {
  readonly batch: number;
  readonly threads: number;
}

/** Converts a ratio to pixels from the left of a plot. */
interface Scale {
  /** The width of a plot in pixels. */
  readonly width: number;
  readonly ticks: readonly number[];
  at(ratio: number): number;
}

/** Returns an SVG document. */
export function picture(run: Run): string {
  const measured = run.measured.filter(({ task }) => task.network);
  if (measured.length === 0) throw new Error("the run has no results for networks");
  const batches = [...new Set(measured.map((m) => taskOf(m).batch))].sort((a, b) => a - b);
  const columns = batches.flatMap((batch) => run.threads.map((threads) => ({ batch, threads })));
  const scale = scaleOf(measured, columns);
  const elements: string[] = [];
  let top = columnsY;
  for (const [pass, tasks] of Map.groupBy(measured, (m) => taskOf(m).pass)) {
    const rows = Map.groupBy(tasks, (m) => taskOf(m).name);
    elements.push(...block(pass, rows, columns, scale, top));
    top += blockHead + rows.size * rowHeight + ticksHeight;
  }
  const plots = columnX(columns.length, scale) - gap + margin, height = top + footHeight;
  const width = Math.max(plots, legendX(peersOf(measured)));
  const title = "Time of other libraries relative to pembroke";
  return svgDocument(title, width, height, [
    text(margin, 36, title, "title"),
    text(margin, 57, "Right of the line: slower than pembroke. Left of it: faster.", "soft"),
    ...legend(measured),
    ...headings(batches, run.threads, scale),
    ...elements,
    ...footnotes(run, measured).map((note, i) => {
      return text(margin, height - 34 + 18 * i, note, "soft small");
    }),
  ]);
}

/** The programs of the run. */
function legend(measured: readonly Measurement[]): string[] {
  const elements = [
    line("bar blue", [margin + 5, legendY - 11], [margin + 5, legendY + 3]),
    text(margin + 16, legendY, "pembroke, and its time in ms", "blue bold"),
  ];
  const programs = peersOf(measured);
  for (const [i, program] of programs.entries()) {
    const { label, colour, shape } = lookOf(program), x = legendX(programs.slice(0, i));
    elements.push(mark(shape, colour, [x, legendY - 4]), text(x + 12, legendY, label));
  }
  return elements;
}

/** Where the legend goes on after these programs. */
function legendX(programs: readonly string[]): number {
  return programs.reduce(
    (x, program) => x + 8 * lookOf(program).label.length + 22,
    margin + 246,
  );
}

function headings(
  batches: readonly number[],
  threads: readonly number[],
  scale: Scale,
): string[] {
  return batches.flatMap((batch, i) => {
    const first = i * threads.length, right = columnX(first + threads.length, scale) - gap;
    return [
      text(columnX(first, scale), columnsY - 6, `batch ${batch}`, "bold"),
      line("line", [columnX(first, scale), columnsY], [right, columnsY]),
      ...threads.map((count, j) =>
        text(
          columnX(first + j, scale),
          columnsY + 17,
          `${count} thread${count === 1 ? "" : "s"}`,
          "soft",
        )
      ),
    ];
  });
}

/** The rows of a pass. Columns without results stay empty. */
function block(
  pass: string,
  rows: ReadonlyMap<string, readonly Measurement[]>,
  columns: readonly Column[],
  scale: Scale,
  top: number,
): string[] {
  const first = top + blockHead, bottom = first + rows.size * rowHeight;
  const elements = [text(margin, top + 17, pass, "bold")];
  for (const [i, column] of columns.entries()) {
    const x = columnX(i, scale) + timeWidth;
    const cells = [...rows.values()].map((tasks) =>
      tasks.find((m) => taskOf(m).batch === column.batch)
    );
    if (cells.every((cell) => cell === undefined)) continue;
    for (const tick of scale.ticks) {
      const at = round(x + scale.at(tick));
      elements.push(line(tick === 1 ? "bar blue" : "line", [at, first - 2], [at, bottom]));
      if (scale.ticks.length > 5 && Math.log2(tick) % 2 !== 0) continue; // no room for its label
      elements.push(text(at, bottom + 14, tickText(tick), "soft small middle"));
    }
    for (const [row, cell] of cells.entries()) {
      if (cell) {
        elements.push(...marks(cell, column, scale, [x, first + row * rowHeight + rowHeight / 2]));
      }
    }
  }
  const names = [...rows.keys()].map((name, i) => text(margin, first + i * rowHeight + 15, name));
  return [...elements, ...names];
}

/** Our time, and a mark for each peer. */
function marks(
  { results }: Measurement,
  { threads }: Column,
  scale: Scale,
  [x, y]: Point,
): string[] {
  const ours = oursOf(results, threads)?.ms?.median;
  const time = text(x - 10, y + 4, ours ? fixed(ours) : "–", "blue bold small end");
  if (!ours) return [time];
  const peers = peersOf([{ results }]).map((program) => best(results, program, threads));
  return [
    time,
    ...peers.flatMap((result) => {
      if (!result?.ms) return [];
      const { colour, shape, label } = lookOf(result.program), ms = result.ms.median;
      const at = round(x + scale.at(ms / ours));
      const look = result.threads < threads ? `${colour} hollow` : colour;
      return [mark(shape, look, [at, y], `${label}: ${fixed(ms)} ms, ${(ms / ours).toFixed(2)}×`)];
    }),
  ];
}

/** A logarithmic scale from a power of two below all ratios to one above. */
function scaleOf(measured: readonly Measurement[], columns: readonly Column[]): Scale {
  const ratios = measured.flatMap(({ results }) =>
    columns.flatMap(({ threads }) => {
      const ours = oursOf(results, threads)?.ms?.median ?? NaN;
      return peersOf([{ results }]).map((program) =>
        (best(results, program, threads)?.ms?.median ?? NaN) / ours
      );
    })
  ).filter((ratio) => ratio > 0);
  const low = Math.min(-1, Math.floor(Math.log2(Math.min(...ratios))));
  const high = Math.max(1, Math.ceil(Math.log2(Math.max(...ratios))));
  const space = (pictureWidth - 2 * margin - namesWidth + gap) / columns.length - timeWidth - gap;
  const width = Math.min(maxPlotWidth, Math.floor(space));
  return {
    width,
    ticks: Array.from({ length: high - low + 1 }, (_, i) => 2 ** (low + i)),
    at: (ratio) => width * (Math.log2(ratio) - low) / (high - low),
  };
}

function footnotes(
  { processor, cores, runtime, threads }: Run,
  measured: readonly Measurement[],
): string[] {
  const several = threads.some((count) => count > 1);
  const single = peersOf(measured).some((program) =>
    measured.every(({ results }) => results.every((r) => r.program !== program || r.threads === 1))
  );
  return [
    `${processor}, ${cores} cores, ${runtime}; medians of one run, in turns.`,
    `Logarithmic scale; 2×: twice pembroke’s time.${
      several && single ? " Hollow: has one thread only, here." : ""
    }`,
  ];
}

/** The programs other than ours, in their order in the results. Slow ones are left out. */
function peersOf(measured: readonly Pick<Measurement, "results">[]): string[] {
  const results = measured.flatMap(({ results }) => results);
  const shown = results.filter(({ program, once }) => program !== ourName && !once);
  return [...new Set(shown.map(({ program }) => program))];
}

/** Our result with exactly this many threads. */
function oursOf(results: readonly Result[], threads: number): Result | undefined {
  return results.find((r) => r.program === ourName && !r.variant && r.threads === threads);
}

function taskOf({ task }: Measurement): NetworkTask {
  return task.network!;
}

function lookOf(program: string): Look {
  return looks[program] ?? { label: program, colour: "gray", shape: "circle" };
}

function columnX(index: number, { width }: Scale): number {
  return margin + namesWidth + index * (timeWidth + width + gap);
}

function tickText(ratio: number): string {
  return ratio === 0.5 ? "½×" : ratio < 1 ? `1/${1 / ratio}×` : `${ratio}×`;
}

/** Three digits, or one decimal. */
function fixed(ms: number): string {
  return ms.toFixed(ms < 99.95 ? 1 : 0);
}

function round(value: number): number {
  return Number(value.toFixed(1));
}
