/** The page about convolution and max pooling: reads what the reader changes, and shows the results. */

/// <reference lib="dom" />

import { type Backend, createBackend } from "../../../mod.ts";
import { loadProblem, wasmProblem } from "../problems.ts";
import { compute, type Inputs, pooledLength, type Results } from "./compute.ts";
import { short } from "./format.ts";
import { type Kind, Links } from "./link.ts";
import { Plot } from "./plot.ts";
import { kernels, resized, signals, start } from "./presets.ts";
import { byId, Tables, Windows } from "./tables.ts";
import { showTerms } from "./terms.ts";

let inputs: Inputs = start();
let results: Results | undefined, costs: number[] = [];
let sentences: Record<Kind, string> | undefined;
const main = document.querySelector("main")!;

const plot = (id: string, name: "x" | "w" | "t" | "g", selects: Kind, limit: number) =>
  new Plot(byId(id), {
    name: name === "g" ? "dp" : name,
    words: byId(id).dataset.words!,
    step: 0.5,
    limit,
    selects,
    litBy: (i) => {
      const windows = new Windows(inputs);
      return name === "x"
        ? windows.x(i)
        : name === "w"
        ? windows.w(i)
        : name === "t"
        ? windows.y(i)
        : `p${i} q${results?.chosen[i]}`;
    },
    change: (i, value) => {
      inputs[name][i] = value;
      if (name !== "g") costs = [];
      update(`${name === "g" ? "dp" : name} ${i} is ${short(value)}.`);
    },
  });
const plots = {
  x: plot("x-plot", "x", "x", 4),
  w: plot("w-plot", "w", "w", 3),
  t: plot("t-plot", "t", "y", 8),
  g: plot("g-plot", "g", "p", 4),
};
const tables = new Tables();
const links = new Links(main, (kind) => {
  render();
  if (document.activeElement?.matches("button[data-select]")) say(sentences![kind]);
});

/** The smallest power of two, times 8, that holds all values; it changes only between drawings. */
function scaleFor(values: readonly number[], plot: Plot, least: number): number {
  const largest = Math.max(...values.map(Math.abs));
  let scale = least;
  while (scale < largest) scale *= 2;
  return plot.isDrawing ? Math.max(plot.scale, least) : scale;
}

/** Shows the results, with the selected elements lit. */
function render(): void {
  if (!results) return;
  const { x, w, t, g } = inputs;
  links.limit({ y: x.length, x: x.length, w: w.length, p: results.p.length, q: x.length });
  plots.x.show({ values: x, scale: 4 });
  plots.w.show({ values: w, scale: scaleFor(w, plots.w, 3) });
  const scale = scaleFor([...results.y, ...t], plots.t, 8);
  plots.t.show({ values: t, bars: results.y, scale });
  plots.g.show({ values: g.slice(0, results.p.length), scale: 4 });
  tables.show(inputs, results);
  tables.select(links.selected);
  sentences = showTerms(inputs, results, links.selected);
  showCosts();
  links.light(main);
}

/** Draws the costs of the steps so far. */
function showCosts(): void {
  const all = [...costs, results!.cost], most = Math.max(...all, 1e-9);
  const points = all.map((cost, i) =>
    `${(i / Math.max(1, all.length - 1) * 100).toFixed(1)},${(30 - cost / most * 28).toFixed(1)}`
  );
  byId("cost-line").setAttribute("points", points.join(" "));
  byId("cost-plot").toggleAttribute("hidden", costs.length === 0);
  byId("steps").textContent = String(costs.length);
}

let announcement: ReturnType<typeof setTimeout> | undefined;

/** Tells a screen reader what changed, once the reader pauses. */
function say(text: string): void {
  clearTimeout(announcement);
  announcement = setTimeout(() => byId("status").textContent = text, 400);
}

/** The outputs that differ, as a sentence. */
function changes(before: Results | undefined, after: Results): string {
  const list = (name: "y" | "p") =>
    after[name].flatMap((value, i) =>
      before?.[name][i] === value ? [] : [`${name} ${i} is ${short(value)}`]
    );
  const changed = [...list("y"), ...list("p")];
  return `${changed.length > 0 ? `${changed.join(", ")}. ` : ""}The cost is ${short(after.cost)}.`;
}

let latest = 0;

/** Computes again after a change, and says what changed. */
async function update(reason = ""): Promise<void> {
  const turn = ++latest, before = results, kernels = await backend.catch(() => undefined);
  if (!kernels) return; // the page says so
  const next = await compute(kernels, inputs);
  if (turn !== latest) return; // the reader has gone on
  results = next;
  render();
  if (reason) say(`${reason} ${changes(before, next)}`);
}

let isDescending = false;

/** Takes steps of gradient descent, until the reader changes something. */
async function descend(steps: number): Promise<void> {
  if (!results || isDescending) return; // the kernels are not loaded yet, or a key is held
  isDescending = true;
  const from = results.cost;
  let turn = latest;
  for (let i = 0; i < steps && turn === latest && Number.isFinite(results.costAfter); i++) {
    costs.push(results.cost);
    inputs.w = results.stepped;
    turn++;
    await update();
  }
  isDescending = false;
  if (turn !== latest) return;
  const { cost } = results;
  const fell = cost <= from ? "fell" : "rose";
  say(
    `${costs.length} steps. The cost ${fell} from ${short(from)} to ${short(cost)}. ` +
      `w is ${inputs.w.map(short).join(", ")}.`,
  );
}

/** Connects the buttons and menus. */
function connect(): void {
  main.addEventListener("click", ({ target }) => {
    const { dataset } = target as HTMLElement;
    if (dataset.signal) inputs.x = [...signals[dataset.signal]];
    else if (dataset.kernel) inputs.w = resized(kernels[dataset.kernel], inputs.w.length);
    else if (dataset.steps) return void descend(Number(dataset.steps));
    else if (dataset.reset !== undefined) {
      const { x, w, t } = start();
      inputs = { ...inputs, x, w: resized(w, inputs.w.length), t };
    } else return;
    costs = [];
    update(`${(target as HTMLElement).textContent}.`);
  });
  main.addEventListener("change", ({ target }) => {
    const { name, value } = target as HTMLSelectElement;
    if (name === "length") inputs.w = resized(inputs.w, Number(value));
    else if (name === "rate" || name === "size" || name === "stride") inputs[name] = Number(value);
    if (name === "length") costs = [];
    const windows = `${pooledLength(inputs)} windows`;
    update(name === "size" || name === "stride" ? `${windows}.` : `${name} is ${value}.`);
  });
}

/** One thread: there is hardly anything to compute. */
const backend: Promise<Backend> = createBackend({ device: "wasm", threads: 1 });
try {
  document.getElementById("starting")?.remove(); // gone if a script of the host failed
  byId("problem").hidden = true;
  connect();
  await update();
  byId("backend").textContent = `: ${(await backend).name}`;
  main.dataset.ready = "";
} catch (error) {
  byId("problem").hidden = false;
  const { message } = error as Error;
  byId("problem").textContent = wasmProblem() ?? loadProblem(message) ??
    `The page cannot compute: ${message}. Load it again.`;
} finally {
  main.setAttribute("aria-busy", "false");
}
