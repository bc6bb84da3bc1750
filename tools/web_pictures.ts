/**
 * Takes the pictures of the pages for the documentation, in docs/pictures/:
 *
 *     deno task web:pictures
 *
 * Needs Chromium.
 *
 * @module
 */

import { pathToFileURL } from "node:url";
import { decodeImage } from "../mod.ts";
import { StaticServer } from "../tests/static_server.ts";
import { runTool } from "../tests/tools.ts";
import { launch } from "./browser/chromium.ts";
import { takeTeachPictures } from "./browser/teach_picture.ts";
import { encodePalettePng } from "./png_palette.ts";

/** The limit for all pictures together. */
const maxBytes = 400_000;

const pictures = new URL("../docs/pictures/", import.meta.url);
const desk = { width: 1280, height: 740 }, phone = { width: 390, height: 740 };

/** Each shows the page with the pointer over a number. */
const shots = {
  "convolution.png": { ...desk, scheme: "light", at: "#forward-table tr:nth-child(3) button" },
  "convolution-dark.png": { ...desk, scheme: "dark", at: "#dx-table tr:nth-child(4) button" },
  "convolution-phone.png": {
    ...phone,
    scheme: "light",
    at: "#forward-table tr:nth-child(3) button",
  },
  "convolution-phone-dark.png": {
    ...phone,
    scheme: "dark",
    at: "#dw-table tr:nth-child(1) button",
  },
} as const;

await Deno.mkdir(pictures, { recursive: true });
const folder = await Deno.makeTempDir();
await runTool("web", folder);
const server = new StaticServer(pathToFileURL(`${folder}/`)), browser = await launch();
let bytes = 0;

async function save(name: string, picture: Uint8Array): Promise<void> {
  await Deno.writeFile(new URL(name, pictures), picture);
  console.log(`${name.padEnd(28)} ${(picture.length / 1000).toFixed(1).padStart(6)} kB`);
  bytes += picture.length;
}

for (const [name, { width, height, scheme, at }] of Object.entries(shots)) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme });
  await page.goto(`http://${server.host}/convolution/`);
  await page.waitForSelector("main[data-ready]");
  await page.hover(at);
  // in the middle, so that the formula above is in view
  await page.locator(at).evaluate("(element) => element.scrollIntoView({ block: 'center' })");
  await save(name, encodePalettePng(await decodeImage(await page.screenshot())));
  await page.close();
}
await takeTeachPictures(browser, `http://${server.host}/classify/`, save);
await browser.close();
await server[Symbol.asyncDispose]();
await Deno.remove(folder, { recursive: true });
if (bytes > maxBytes) {
  console.error(`error: the pictures exceed the limit of ${maxBytes / 1000} kB`);
  Deno.exitCode = 1;
}
