/** Tests the HTML reports of the command in Chromium. */

// @ts-types="npm:axe-core@4.14.1"
import axe from "npm:axe-core@4.14.1/axe.min.js";
import { pathToFileURL } from "node:url";
import type { Page } from "npm:playwright-core@1.56.1";
import { loadModel } from "../../mod.ts";
import { assert, assertEquals } from "../../tests/assert.ts";
import { run, TempFolder } from "../../tests/cli/run.ts";
import { needsChromium, testWith } from "../../tests/needs.ts";
import { executable, launch } from "./chromium.ts";
import { findings, stepsOf } from "./site.ts";

/** The percentages that are on two lines. There must be some on one. */
async function brokenPercentages(page: Page): Promise<string[]> {
  const found = await page.evaluate(`(() => {
    const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
    while (nodes.nextNode()) {
      const node = nodes.currentNode, range = document.createRange();
      for (const { 0: text, index } of node.data.matchAll(/[\\d.]+\\s%/g)) {
        range.setStart(node, index);
        range.setEnd(node, index + text.length);
        const tops = Array.from(range.getClientRects(), ({ top }) => Math.round(top));
        found.push({ text, lines: new Set(tops).size });
      }
    }
    return found;
  })()`) as { text: string; lines: number }[];
  assert(found.some(({ lines }) => lines === 1));
  return found.flatMap(({ text, lines }) => lines > 1 ? [text] : []);
}

testWith(await needsChromium(executable), "the reports of the command", async (t) => {
  const step = stepsOf(t);
  await using folder = await TempFolder.make();
  using model = await loadModel();
  const names = model.classes.map((_, i) => `${"w".repeat(60)}${i}`);
  await folder.write("classes.txt", names.join("\n"));
  for (const name of names.slice(0, 2)) {
    await Deno.mkdir(`${folder.path}/photos/${name}`, { recursive: true });
    await Deno.copyFile("tests/photos/coffee.jpg", `${folder.path}/photos/${name}/coffee.jpg`);
  }
  const classes = ["--classes", `${folder.path}/classes.txt`];
  const reports = {
    explain: ["explain", "tests/photos/coffee.jpg"],
    evaluate: ["evaluate", `${folder.path}/photos`],
  };
  await using browser = await launch();
  for (const [name, args] of Object.entries(reports)) {
    await step(`${name} fits a phone, and is accessible`, async () => {
      const file = `${folder.path}/${name}.html`;
      const { code, stderr } = await run([...args, ...classes, "--html", file]);
      assertEquals(code, 0, stderr);
      await using page = await browser.newPage({ viewport: { width: 390, height: 844 } });
      await page.goto(pathToFileURL(file).href);
      for (const width of [390, 360, 330, 300, 280]) {
        await page.setViewportSize({ width, height: 844 });
        assertEquals(await page.evaluate("document.documentElement.scrollWidth"), width);
        assertEquals(await brokenPercentages(page), [], `${width} pixels wide`);
      }
      // bars make room for names
      assertEquals(await page.locator("meter:visible, .bar > div:visible").count(), 0);
      await page.setViewportSize({ width: 390, height: 844 });
      await page.evaluate(axe.source);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        assertEquals(await findings(page, colorScheme, { include: ["body"] }), []);
      }
    });
  }
});
