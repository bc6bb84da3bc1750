/** The report of `explain --html`: one page that needs no other files. */

import { colorMap, drawHeatMap } from "../explain/draw.ts";
import {
  type Filters,
  firstFilters,
  type LayerTime,
  type Stage,
  stagesOf,
  timeLayers,
  timePass,
} from "../explain/inspect.ts";
import type { Classifier, Prediction } from "../models/mod.ts";
import type { Backend } from "../tensor.ts";
import type { ExplainArgs } from "./args_explain.ts";
import type { Explained } from "./explained.ts";
import { dataUrl, escape, nameHtml, percentHtml, shrink } from "./html.ts";
import { percent, sampleText } from "./output.ts";
import { firstName } from "./report.ts";
import { plural } from "./terminal.ts";

/** What the page says about the run. */
interface Facts {
  /** The name of the photo. */
  readonly input: string;
  /** Where the weights come from. */
  readonly weights: string;
  readonly backend: Backend;
  readonly method: ExplainArgs["method"];
}

/** What the heat maps of each method show. */
const meaning: Readonly<Record<ExplainArgs["method"], string>> = {
  "grad-cam": "Bright areas raised the score of the class (Grad-CAM).",
  "saliency": "Changes of bright pixels change the score of the class most (SmoothGrad).",
};

/** The longer side of pictures of the photo, in pixels. */
const photoSide = 440;

/** Layers that take a smaller share of the time are summed up. */
const leastShare = 0.005;

/** Computes what the page shows, and returns its HTML. */
export async function explainPage(
  model: Classifier,
  { image, predictions, explanations }: Explained,
  { input, weights, backend, method }: Facts,
): Promise<string> {
  using x = model.backend.upload(model.preprocess(image), model.inputShape());
  const filters = await firstFilters(model), stages = await stagesOf(model, x);
  const passMs = await timePass(model, x), times = await timeLayers(model, x);
  const small = shrink(image, photoSide);
  const heatMaps: string[] = [];
  for (const { label, probability, region, ...map } of explanations) {
    const smallRegion = {
      left: region.left * small.width / image.width,
      top: region.top * small.height / image.height,
      width: region.width * small.width / image.width,
      height: region.height * small.height / image.height,
    };
    const picture = drawHeatMap(small, { ...map, region: smallRegion });
    const caption = `${nameHtml(firstName(label))}, ${percentHtml(probability)}`;
    heatMaps.push(figure(await dataUrl(picture), caption, `Heat map of ${firstName(label)}`));
  }
  const [best] = predictions, bestName = firstName(best.label), share = percent(best.probability);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(`${input}: ${bestName}, ${share}`)}</title>
<style>${style}</style>
<h1>${nameHtml(bestName)}, ${percentHtml(best.probability)}</h1>
<p>${nameHtml(input)}, ${image.width}×${image.height} pixels<br>
${escape(model.type)}, ${escape(weights)}, ${escape(backend.name)}</p>
<div class="top">
<img class="photo" src="${await dataUrl(small)}" alt="The photo">
${bars(predictions.slice(0, 5))}
</div>
<h2>Where the network found each class</h2>
<p>${meaning[method]} The network saw the darker part only.</p>
<div class="wide">${heatMaps.join("\n")}</div>
<h2>Activations</h2>
<p>The mean of all channels after each stage. Each map has its own scale.</p>
<div class="maps">${await stageFigures(stages)}</div>
${filters ? await filterSection(filters) : ""}
<h2>Milliseconds for each layer</h2>
${timeTable(times, passMs, backend)}
</html>
`;
}

const style = `
:root { color-scheme: light dark; --line: #8884; --bar: #d9622b; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 66rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
h1, p, th, figcaption { overflow-wrap: anywhere; }
img { display: block; max-width: 100%; height: auto; }
figure { margin: 0; } figcaption { font-size: .9rem; margin-top: .2rem; }
.top { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.5rem; align-items: start; }
.wide { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1rem; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: 1rem; }
.maps img { width: 100%; image-rendering: pixelated; }
.filters { display: grid; grid-template-columns: repeat(auto-fill, minmax(2.6rem, 1fr)); gap: 4px; }
.filters img { width: 100%; image-rendering: pixelated; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .15rem .5rem .15rem 0; text-align: left; font-weight: 400; }
thead th { font-weight: 600; } .number { text-align: right; white-space: nowrap; }
.bar { width: 30%; } .bar div { background: var(--bar); height: .7rem; border-radius: 2px; }
table.classes .bar { width: 40%; }
@media (max-width: 48rem) { .detail { display: none; } }
@media (max-width: 18rem) { .bar { display: none; } }
`;

/** The classes with bars. */
function bars(predictions: readonly Prediction[]): string {
  const rows = predictions.map(({ label, probability }) =>
    `<tr><th scope="row">${escape(label)}</th>` +
    `<td class="number">${percentHtml(probability)}</td>${barCell(probability)}</tr>`
  );
  return `<table class="classes"><tbody>${rows.join("\n")}</tbody></table>`;
}

function barCell(share: number): string {
  return `<td class="bar"><div style="width:${(100 * share).toFixed(2)}%"></div></td>`;
}

async function stageFigures(stages: readonly Stage[]): Promise<string> {
  const figures: string[] = [];
  for (const stage of stages) {
    const { name, channels, height, width } = stage;
    const text = `${name}: ${channels}×${height}×${width}`;
    figures.push(figure(await dataUrl(colorMap(stage)), escape(text), ""));
  }
  return figures.join("\n");
}

async function filterSection({ name, pictures }: Filters): Promise<string> {
  const shown: string[] = [];
  for (const picture of pictures) shown.push(`<img src="${await dataUrl(picture)}" alt="">`);
  const [{ width, height }] = pictures;
  return `<h2>Filters of the first layer</h2>
<p>${escape(name)}: ${pictures.length} filters of ${height}×${width}</p>
<div class="filters">${shown.join("")}</div>`;
}

/** The layers that take most of the time, in order. */
function timeTable(times: readonly LayerTime[], passMs: number, backend: Backend): string {
  const total = times.reduce((sum, { ms }) => sum + ms, 0);
  const slow = times.filter(({ ms }) => ms >= leastShare * total);
  const largest = Math.max(...slow.map(({ ms }) => ms)), others = times.length - slow.length;
  const row = (name: string, type: string, shape: string, ms: number) =>
    `<tr><th scope="row">${escape(name)}</th><td class="detail">${escape(type)}</td>` +
    `<td class="detail">${shape}</td><td class="number">${ms.toFixed(2)}</td>${
      barCell(Math.min(ms / largest, 1))
    }</tr>`;
  const rows = slow.map(({ name, type, shape, ms }) => row(name, type, sampleText(shape), ms));
  if (others > 0) {
    const rest = total - slow.reduce((sum, { ms }) => sum + ms, 0);
    rows.push(row(`${others} other layers`, "", "", rest));
  }
  const threads = plural(backend.threads, "thread"), sum = total.toFixed(1);
  return `<p>One by one, on ${threads}, ${sum} ms together. A pass of the whole network takes ` +
    `${passMs.toFixed(1)} ms; in it, convolutions also compute layers that follow them.</p>\n` +
    `<table><thead><tr><th>Layer</th><th class="detail">Type</th><th class="detail">Output</th>` +
    `<th class="number">ms</th><td></td></tr></thead>\n<tbody>${rows.join("\n")}</tbody></table>`;
}

/** A picture with a caption in HTML. */
function figure(source: string, caption: string, alternative: string): string {
  return `<figure><img src="${source}" alt="${escape(alternative)}">` +
    `<figcaption>${caption}</figcaption></figure>`;
}
