/** What the page that classifies photos shows, and what the command and the library say. */

import type { Page } from "npm:playwright-core@1.56.1";
import { Buffer } from "node:buffer";
import { decodeImage, drawHeatMap, explain, type ExplainOptions, loadModel } from "../../mod.ts";
import { assertEquals, assertMatch } from "../../tests/assert.ts";
import { run } from "../../tests/cli/run.ts";
import { until } from "./site.ts";

/** A class and its percentage, as the command prints them. */
export type Row = readonly [label: string, percentage: string];

/** What the command says about photos. */
export async function commandSays(...args: string[]): Promise<Row[][]> {
  const { code, stdout, stderr } = await run(["--json", ...args]);
  assertEquals(code, 0, stderr);
  const { results } = JSON.parse(stdout) as {
    results: { predictions: { label: string; probability: number }[] }[];
  };
  return results.map(({ predictions }) =>
    predictions.map(({ label, probability }) => [label, `${(probability * 100).toFixed(2)} %`])
  );
}

/** The bars of the page. The other names of a class are in the same label. */
export async function rowsOf(page: Page): Promise<Row[]> {
  const texts = await page.locator("#bars .choice").evaluateAll((buttons) =>
    buttons.map((button) =>
      [".label", ".number"].map((part) => button.querySelector(part)!.textContent)
    )
  );
  return texts as unknown as Row[];
}

/** A row with its label as the bars show it: without the comma after the first name. */
export const shown = ([label, percentage]: Row): Row => [label.replace(",", ""), percentage];

/** Waits until the page has computed everything. */
export const settle = (page: Page) => page.waitForSelector("main[data-ready][aria-busy=false]");

/** Chooses a device, and returns its time in milliseconds. */
export async function timeOn(page: Page, index: number): Promise<number> {
  const tile = page.locator("#devices .choice").nth(index);
  await tile.click();
  await settle(page);
  assertEquals(await tile.getAttribute("aria-pressed"), "true");
  const text = await tile.locator(".time").textContent() ?? "";
  assertMatch(text, /^\d+(\.\d)? ms$/);
  return parseFloat(text);
}

/** Drops files on the page, all at once or one after the other. */
export async function drop(
  page: Page,
  files: Record<string, Uint8Array>,
  apart = false,
): Promise<void> {
  const list = Object.entries(files).map(([name, bytes]) => ({
    name,
    base64: Buffer.from(bytes).toString("base64"),
  }));
  await page.evaluate(`for (const part of ${apart} ? ${JSON.stringify(list)}.map((file) => [file])
      : [${JSON.stringify(list)}]) {
    const dataTransfer = new DataTransfer();
    for (const { name, base64 } of part) {
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      dataTransfer.items.add(new File([bytes], name));
    }
    document.querySelector("#frame").dispatchEvent(
      new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }`);
  await settle(page);
}

/** Drops files and folders of the disk on an element, as a reader does. */
export async function dropPaths(page: Page, selector: string, paths: string[]): Promise<void> {
  await page.locator(selector).scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await page.locator(selector).boundingBox())!;
  const devtools = await page.context().newCDPSession(page);
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    const at = { x: x + width / 2, y: y + height / 2 };
    await devtools.send("Input.dispatchDragEvent", { type, ...at, data });
  }
}

/** Every 32nd pixel of the heat map, in both directions. */
export async function heatOf(page: Page): Promise<number[]> {
  return await page.evaluate(`(() => {
    const canvas = document.querySelector("#heat");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const picked = [];
    for (let y = 16; y < canvas.height; y += 32) {
      for (let x = 16; x < canvas.width; x += 32) {
        picked.push(...data.subarray(4 * (y * canvas.width + x), 4 * (y * canvas.width + x) + 3));
      }
    }
    return picked;
  })()`);
}

/** The same pixels of the library's heat map, by the bundled network or by one of a file. */
export async function expectedHeat(
  file: string,
  options: ExplainOptions = {},
  weights?: string,
): Promise<number[]> {
  using model = await loadModel(weights ? { weights } : {});
  const map = await explain(model, await decodeImage(await Deno.readFile(file)), options);
  const side = 448, blank = new Uint8Array(3 * side * side);
  const region = { left: 0, top: 0, width: side, height: side };
  const { data } = drawHeatMap(
    { width: side, height: side, data: blank },
    { ...map, region },
    { alpha: 1 },
  );
  const places = Array.from({ length: side / 32 }, (_, i) => 16 + 32 * i);
  return places.flatMap((y) =>
    places.flatMap((x) => Array.from(data.subarray(3 * (y * side + x), 3 * (y * side + x) + 3)))
  );
}

/** Waits until everything that the page loads is stored, with what only later visits may need. */
export async function storedForLater(page: Page): Promise<void> {
  const later = [
    "camera-\\w+\\.js",
    "folders-\\w+\\.js",
    "teach-\\w+\\.js",
    "jpeg_wasm",
    "mozjpeg_dec\\.wasm",
    "(relaxed|simd)\\.wasm",
    "(relaxed|simd)_threads\\.wasm",
  ];
  const isStored = `caches.keys().then(async ([name]) => {
    const stored = (await (await caches.open(name)).keys()).map(({ url }) => url);
    const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
    return loaded.every((url) => !url.startsWith(location.origin) || stored.includes(url)) &&
      ${JSON.stringify(later)}.every((file) => stored.some((url) => new RegExp(file).test(url)));
  })`;
  await until(page, isStored);
}
