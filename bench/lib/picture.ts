/**
 * Draws a bar chart of AlexNet's times, with a column for each task and a block for each number of
 * threads.
 *
 * @module
 */

import { best, type Measurement, OURS, type Result, type Run } from "./results.ts";

/** The chart shows the sections whose names have this prefix. */
const SUBJECT = "AlexNet, ";

/** Programs that run native code instead of WebAssembly. */
const NATIVE = ["pytorch", "onnxruntime-node"];

// In pixels.
const MARGIN = 24, NAMES = 190, COLUMN = 236, BAR = 14, ROW = 22, NUMBERS = 122;
const HEAD = 92, BLOCK_HEAD = 30, BLOCK_GAP = 14, FOOT = 60;

/** Colours of the chart. */
interface Palette {
  readonly paper: string;
  readonly line: string;
  readonly ink: string;
  readonly soft: string;
  readonly ours: string;
  readonly peer: string;
  readonly pale: string;
}

const LIGHT: Palette = {
  paper: "#ffffff",
  line: "#d1d9e0",
  ink: "#1f2328",
  soft: "#59636e",
  ours: "#0969da",
  peer: "#aeb8c2",
  pale: "#dde3e9",
};

const DARK: Palette = {
  paper: "#0d1117",
  line: "#3d444d",
  ink: "#f0f6fc",
  soft: "#9198a1",
  ours: "#4493f8",
  peer: "#59636e",
  pale: "#343b43",
};

const FONT = `text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.small { font-size: 12px; }
.bold { font-weight: 600; }
.title { font-size: 18px; font-weight: 600; }`;

/** Without CSS variables, which not every SVG viewer supports. */
function rules({ paper, line, ink, soft, ours, peer, pale }: Palette): string {
  return `.paper { fill: ${paper}; stroke: ${line}; } .line { stroke: ${line}; }
text { fill: ${ink}; } .soft { fill: ${soft}; }
.ours { fill: ${ours}; } .peer { fill: ${peer}; } .pale { fill: ${pale}; }`;
}

/** Returns an SVG document. It follows the viewer's light or dark mode. */
export function picture(run: Run): string {
  const columns = run.measured.filter(({ task }) => task.section.startsWith(SUBJECT));
  if (columns.length === 0) throw new Error("the run has no results for AlexNet");
  const programs = rowsOf(columns);
  const blockHeight = BLOCK_HEAD + programs.length * ROW + BLOCK_GAP;
  const width = 2 * MARGIN + NAMES + columns.length * COLUMN;
  const height = HEAD + run.threads.length * blockHeight + FOOT;
  const title = "AlexNet: milliseconds, less is better";
  const blocks = run.threads.map((threads, i) =>
    block(columns, programs, threads, HEAD + i * blockHeight)
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" ` +
    `height="${height}" role="img" aria-label="${title}">`,
    `<style>\n${FONT}\n${rules(LIGHT)}`,
    `@media (prefers-color-scheme: dark) {\n${rules(DARK)}\n}\n</style>`,
    `<rect class="paper" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    text(MARGIN, 38, title, "title"),
    ...columns.map(({ task }, i) =>
      text(columnX(i), 76, `${task.section.slice(SUBJECT.length)}, ${task.name}`, "bold")
    ),
    ...blocks.flat(),
    ...footnotes(run).map((line, i) => text(MARGIN, height - 38 + 18 * i, line, "soft small")),
    "</svg>\n",
  ].join("\n");
}

/** A row of the chart: a program, or one of its variants. */
interface Bars {
  readonly program: string;
  readonly variant: string | undefined;
}

/** Our variants first, then the other programs, in their order in the results. */
function rowsOf(columns: readonly Measurement[]): Bars[] {
  const byName = new Map<string, Bars>();
  for (const { program, variant } of columns.flatMap(({ results }) => results)) {
    byName.set(`${program} ${variant}`, { program, variant });
  }
  const ours = ({ program }: Bars) => program === OURS;
  const all = [...byName.values()];
  return [...all.filter(ours), ...all.filter((bars) => !ours(bars))];
}

function block(
  columns: readonly Measurement[],
  programs: readonly Bars[],
  threads: number,
  top: number,
): string[] {
  const right = columnX(columns.length);
  const elements = [
    `<line class="line" x1="${MARGIN}" x2="${right}" y1="${top - 4}" y2="${top - 4}"/>`,
    text(MARGIN, top + 17, `${threads} thread${threads === 1 ? "" : "s"}`, "soft"),
  ];
  for (const [i, bars] of programs.entries()) {
    const y = top + BLOCK_HEAD + i * ROW;
    const name = [bars.program, bars.variant].filter(Boolean).join(", ");
    const label = NATIVE.includes(bars.program) ? `${name} (native)` : name;
    elements.push(text(MARGIN, y + 12, label, bars.program === OURS ? "bold" : ""));
    for (const [j, column] of columns.entries()) {
      elements.push(...bar(column, bars, threads, columnX(j), y));
    }
  }
  return elements;
}

/** A bar, its time and its ratio to ours. */
function bar(column: Measurement, bars: Bars, threads: number, x: number, y: number): string[] {
  const shown = resultOf(column, bars, threads);
  if (!shown?.ms) return [text(x, y + 12, "–", "soft small")];
  const ours = resultOf(column, { program: OURS, variant: undefined }, threads)?.ms?.median;
  const ms = shown.ms.median, longest = longestOf(column);
  const length = Math.max(1, (COLUMN - NUMBERS) * ms / longest);
  const look = bars.program === OURS ? "ours" : shown.threads < threads ? "pale" : "peer";
  const number = `${ms.toFixed(ms < 99.95 ? 1 : 0)} ms`;
  const ratio = ours && bars.program !== OURS ? ` · ${(ms / ours).toFixed(2)}×` : "";
  return [
    `<rect class="${look}" x="${x}" y="${y}" width="${length.toFixed(1)}" height="${BAR}" rx="2"/>`,
    text(Number((x + length + 6).toFixed(1)), y + 12, number + ratio, "small"),
  ];
}

/** A peer's best result with at most this many threads; ours with exactly this many. */
function resultOf(
  { results }: Measurement,
  { program, variant }: Bars,
  threads: number,
): Result | undefined {
  const own = results.filter((result) => result.variant === variant);
  return program === OURS
    ? own.find((result) => result.program === OURS && result.threads === threads)
    : best(own, program, threads);
}

/** The time that fills the width of a column. */
function longestOf({ results }: Measurement): number {
  return Math.max(...results.filter(({ once }) => !once).map(({ ms }) => ms?.median ?? 0));
}

function footnotes({ processor, cores, runtime, threads, measured }: Run): string[] {
  const limited = threads.some((count) => count > 1) &&
    measured.some(({ results }) =>
      results.some(({ program }) =>
        results.every((result) => result.program !== program || result.threads === 1)
      )
    );
  return [
    `${processor}, ${cores} cores, ${runtime}; medians of one run, in turns`,
    `2.00×: twice pembroke’s time${limited ? "; faint: has one thread only, here" : ""}`,
  ];
}

function columnX(index: number): number {
  return MARGIN + NAMES + index * COLUMN;
}

function text(x: number, y: number, content: string, look: string): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x}" y="${y}"${look ? ` class="${look}"` : ""}>${escaped}</text>`;
}
