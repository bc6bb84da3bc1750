/** A report as one HTML page that needs no other files. */

import { decodeImage } from "../image/decode.ts";
import type { RgbImage } from "../image/pixels.ts";
import { dataUrl, escape, nameHtml, percentHtml, shrink } from "./html.ts";
import { accuracyText, firstName, type Judged, perClass, type Report } from "./report.ts";

/** What a page says about the measurement. */
interface PageText {
  readonly title: string;
  /** Where the weights come from. */
  readonly weights: string;
}

/** Mistakes on a page. */
const maxMistakes = 24;
/** The longer side of a thumbnail in pixels. */
const thumbnailSide = 128;
/** Tables of more classes are unreadable, and large. */
const maxTableClasses = 60;

/** The HTML of the page. Reads the photos of the worst mistakes again. */
export async function reportPage(report: Report, { title, weights }: PageText): Promise<string> {
  const { top5 } = report, mistakes: string[] = [];
  for (const mistake of report.mistakes.slice(0, maxMistakes)) {
    mistakes.push(figure(mistake, report.classes, await thumbnail(mistake.name)));
  }
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${style}</style>
<h1>${escape(title)}</h1>
<p>Weights: ${escape(weights)}</p>
<p><strong>Accuracy ${escape(accuracyText(report)).replaceAll(" %", "&nbsp;%")}</strong></p>
${top5 === undefined ? "" : `<p>One of the five most probable: ${percentHtml(top5)}</p>\n`}\
<h2>Accuracy of each class</h2>
${classTable(report)}
<h2>Confusion</h2>
${confusionTable(report)}
<h2>Worst mistakes</h2>
${mistakes.length > 0 ? `<div class="mistakes">\n${mistakes.join("\n")}\n</div>` : "<p>None.</p>"}
</html>
`;
}

const style = `
:root { color-scheme: light dark; --line: #8886; --shade: 37 99 235; --wrong: 220 38 38; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
h1, p, figcaption { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: right; }
th { max-width: 16rem; font-weight: 600; overflow-wrap: break-word; }
th[scope=row], thead th:first-child { text-align: left; }
meter { width: 10rem; vertical-align: middle; }
@media (max-width: 40rem) { meter { display: none; } }
.bar { white-space: nowrap; } .bar span { display: inline-block; min-width: 5rem; }
td { font-variant-numeric: tabular-nums; } .none { opacity: .65; }
td.right { background: rgb(var(--shade) / var(--share)); }
td.wrong { background: rgb(var(--wrong) / var(--share)); }
.mistakes { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; width: 128px; font-size: .85rem; }
figure img { display: block; width: 128px; height: 128px; object-fit: contain; background: #8882; }
`;

function classTable(report: Report): string {
  const { classes, present } = report;
  const rows = perClass(report).map(({ photos, right }, i) => {
    const share = right / photos;
    return `<tr><th scope="row">${escape(firstName(classes[present[i]]))}</th><td>${photos}</td>` +
      `<td>${right}</td><td class="bar"><meter value="${share.toFixed(4)}"></meter> <span>${
        percentHtml(share)
      }</span></td></tr>`;
  });
  return table(["Class", "Photos", "Right", "Accuracy"], rows);
}

function confusionTable({ classes, present, confusion }: Report): string {
  if (present.length > maxTableClasses) {
    return `<p>${present.length} classes are too many for a table; see --json.</p>`;
  }
  const hasOthers = confusion.some((row) => row[present.length] > 0);
  const names = present.map((label) => firstName(classes[label]));
  const rows = confusion.map((row, i) => {
    const total = row.reduce((a, b) => a + b, 0);
    const cells = row.slice(0, present.length + Number(hasOthers)).map((count, j) => {
      // faint enough for the text in light and dark
      const share = (count / total * 0.55).toFixed(2);
      const shade = count > 0
        ? ` class="${i === j ? "right" : "wrong"}" style="--share: ${share}"`
        : ' class="none"';
      return `<td${shade}>${count}</td>`;
    });
    return `<tr><th scope="row">${escape(names[i])}</th>${cells.join("")}</tr>`;
  });
  const explained =
    "<p>Each row has the photos of a class, each column what they were taken for.</p>";
  return explained + table(["Class", ...names, ...(hasOthers ? ["others"] : [])], rows);
}

function table(head: readonly string[], rows: readonly string[]): string {
  const cells = head.map((name) => `<th scope="col">${escape(name)}</th>`).join("");
  // keys scroll only what can have the focus
  return `<div class="scroll" tabindex="0"><table><thead><tr>${cells}</tr></thead>\n<tbody>\n` +
    `${rows.join("\n")}\n</tbody></table></div>`;
}

function figure(
  { name, label, predicted, probability }: Judged,
  classes: readonly string[],
  image: string | undefined,
): string {
  const [own, other] = [label, predicted].map((index) => nameHtml(firstName(classes[index])));
  const text = `${own}, taken for ${other} (${percentHtml(probability)})`;
  const shown = image === undefined ? "" : `<img src="${image}" alt="" title="${escape(name)}">`;
  return `<figure>${shown}<figcaption>${text}<br>` +
    `<small>${escape(name)}</small></figcaption></figure>`;
}

/** A small PNG of a photo as a data URL; undefined if it cannot be read any more. */
async function thumbnail(path: string): Promise<string | undefined> {
  let image: RgbImage;
  try {
    image = await decodeImage(await Deno.readFile(path), { name: path });
  } catch {
    return undefined;
  }
  return await dataUrl(shrink(image, thumbnailSide));
}
