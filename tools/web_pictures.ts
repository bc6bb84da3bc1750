/**
 * Takes the pictures of the pages for the documentation, in docs/pictures/:
 *
 *     deno task web:pictures
 *     deno task web:pictures teach    # only those whose names begin so
 *
 * Needs Chromium.
 *
 * @module
 */

import type { Page } from "npm:playwright-core@1.56.1";
import { pathToFileURL } from "node:url";
import { decodeImage } from "../mod.ts";
import { StaticServer } from "../tests/static_server.ts";
import { runTool } from "../tests/tools.ts";
import { launch } from "./browser/chromium.ts";
import { teachClasses } from "./browser/teach_picture.ts";
import { encodePalettePng } from "./png_palette.ts";

/** The limit for all pictures together. */
const maxBytes = 450_000;

const pictures = new URL("../docs/pictures/", import.meta.url);
const desk = { width: 1280, height: 740 }, tallDesk = { width: 1280, height: 905 };
const teachDesk = { width: 1280, height: 1270 }, phone = { width: 390, height: 900 };

/** A picture: of which page, how large, in which colours, and what is done before. */
interface Shot {
  readonly page: string;
  readonly viewport: typeof desk;
  readonly scheme: "light" | "dark";
  readonly prepare: (page: Page) => Promise<void>;
}

/** Points at a number, with the formula above in view. */
const pointAt = (selector: string) => async (page: Page) => {
  await page.hover(selector);
  await page.locator(selector).evaluate(
    "(element) => element.scrollIntoView({ block: 'center' })",
  );
};

/** Measures all devices. */
const compare = async (page: Page) => {
  await page.waitForFunction("crossOriginIsolated");
  await settle(page);
  await page.click("#compare");
  await page.mouse.move(0, 0);
  await settle(page);
};

/** Teaches three classes, and scrolls to an element. */
const teach = (top: string) => async (page: Page) => {
  await teachClasses(page);
  await settle(page);
  await page.evaluate(`const { top } = document.querySelector("${top}").getBoundingClientRect();
    scrollBy(0, top - 16);`);
};

const settle = (page: Page) =>
  page.waitForSelector("main[data-ready]:not([aria-busy=true])", { timeout: 100_000 });

const shots: Readonly<Record<string, Shot>> = {
  "classify.jpg": {
    page: "classify",
    viewport: tallDesk,
    scheme: "light",
    prepare: compare,
  },
  "teach.jpg": {
    page: "classify",
    viewport: teachDesk,
    scheme: "light",
    prepare: teach("#teach"),
  },
  "teach-phone-dark.jpg": {
    page: "classify",
    viewport: phone,
    scheme: "dark",
    prepare: teach("#teach .lesson"),
  },
  "convolution.png": {
    page: "convolution",
    viewport: desk,
    scheme: "light",
    prepare: pointAt("#forward-table tr:nth-child(3) button"),
  },
};

await Deno.mkdir(pictures, { recursive: true });
const folder = await Deno.makeTempDir();
await runTool("web", folder);
const server = new StaticServer(pathToFileURL(`${folder}/`));
const browser = await launch("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader");
let bytes = 0;
for (const [name, { page: path, viewport, scheme, prepare }] of Object.entries(shots)) {
  if (!name.startsWith(Deno.args[0] ?? "")) continue;
  const page = await browser.newPage({ viewport, colorScheme: scheme });
  await page.goto(`http://${server.host}/${path}/`);
  await page.waitForSelector("main[data-ready]");
  await prepare(page);
  const picture = name.endsWith(".jpg")
    ? await page.screenshot({ type: "jpeg", quality: 85 })
    : encodePalettePng(await decodeImage(await page.screenshot()));
  await Deno.writeFile(new URL(name, pictures), picture);
  console.log(`${name.padEnd(28)} ${(picture.length / 1000).toFixed(1).padStart(6)} kB`);
  bytes += picture.length;
  await page.close();
}
await browser.close();
await server[Symbol.asyncDispose]();
await Deno.remove(folder, { recursive: true });
if (bytes > maxBytes) {
  console.error(`error: the pictures exceed the limit of ${maxBytes / 1000} kB`);
  Deno.exitCode = 1;
}
