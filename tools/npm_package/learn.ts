/**
 * Learns from photos with the installed npm package: in Node, and in a page.
 *
 * @module
 */

import { pathToFileURL } from "node:url";
import type { Browser } from "npm:playwright-core@1.56.1";
import * as esbuild from "npm:esbuild@0.28.2";
import * as library from "../../mod.ts";
import { assert, assertEquals } from "../../tests/assert.ts";
import { type LabelledPhoto, labelledPhotos } from "../../tests/cli/labelled_photos.ts";
import type { TempFolder } from "../../tests/cli/run.ts";
import { StaticServer } from "../../tests/static_server.ts";
import { runProgram } from "../../tests/tools.ts";
import { type Learned, learnPhotos } from "../../tests/train/flow.ts";

const root = new URL("../../", import.meta.url);
const weights = await Deno.readFile(new URL("weights/alexnet_tiny.safetensors", root));

/**
 * A program that learns. `read` declares a function that reads a file; `output` passes the result
 * on.
 */
const program = (read: string, output: string) => `
import * as library from "pembroke";
import { learnPhotos } from "./flow.js";
${read}
const names = JSON.parse(new TextDecoder().decode(await read("photos.json")));
const files = await Promise.all(names.map(async (name) => ({ name, bytes: await read(name) })));
const learned = await learnPhotos(library, files, await read("weights"));
${output}`;

/** Writes the photos and a program for each runtime to the folder `learn` of a project. */
async function prepare(project: TempFolder): Promise<readonly LabelledPhoto[]> {
  const photos = await labelledPhotos(10);
  for (const { name, bytes } of photos) await project.write(`learn/${name}`, bytes);
  await project.write("learn/photos.json", JSON.stringify(photos.map(({ name }) => name)));
  await project.write("learn/weights", weights);
  const flow = await Deno.readTextFile(new URL("tests/train/flow.ts", root));
  const { code } = await esbuild.transform(flow, { loader: "ts" });
  await project.write("learn/flow.js", code);
  const inNode = 'import { readFile as read } from "node:fs/promises";';
  await project.write("learn/node.js", program(inNode, "console.log(JSON.stringify(learned));"));
  const inPage =
    "const read = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());";
  await project.write("learn/main.js", program(inPage, "globalThis.learned = learned;"));
  return photos;
}

/** What Deno learns from the photos with each build of the kernels: it takes seconds. */
const learnedHere: Record<string, Promise<Learned>> = {};

async function learnHere(build: string, photos: readonly LabelledPhoto[]): Promise<Learned> {
  const file = new URL(`src/backend/wasm/generated/${build}.wasm`, root);
  const module = new WebAssembly.Module(await Deno.readFile(file));
  return await learnPhotos(library, photos, weights, module);
}

/** Asserts that a runtime learned what Deno learns with the same kernels, to the last bit. */
async function assertLearned(learned: Learned, photos: readonly LabelledPhoto[]): Promise<void> {
  const { accuracy, recognized, sha256, turns } = learned;
  const build = learned.backend === "wasm (relaxed simd)" ? "relaxed" : "simd";
  const expected = await (learnedHere[build] ??= learnHere(build, photos));
  assertEquals(
    [accuracy, recognized, sha256],
    [expected.accuracy, expected.recognized, expected.sha256],
  );
  assert(accuracy > 0.9 && recognized > 0.9, JSON.stringify(learned));
  // about one in 100 ms; none without pauses
  assert(turns >= 3, `other code ran ${turns} times`);
}

/** Learns in Node. */
export async function testLearningInNode(project: TempFolder): Promise<void> {
  const photos = await prepare(project);
  const text = await runProgram("node", ["node.js"], `${project.path}/learn`);
  await assertLearned(JSON.parse(text), photos);
}

/** Learns in a page, bundled by esbuild. */
export async function testLearningInPage(browser: Browser, project: TempFolder): Promise<void> {
  const photos = await prepare(project), folder = `${project.path}/learn`;
  await esbuild.build({
    entryPoints: [`${folder}/main.js`],
    outfile: `${folder}/page.js`,
    bundle: true,
    format: "esm",
    logLevel: "silent",
  });
  await esbuild.stop();
  const html = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="page.js">';
  await project.write("learn/index.html", `${html}</script>`);
  await using server = new StaticServer(pathToFileURL(`${folder}/`));
  await using page = await browser.newPage();
  const failed = new Promise<never>((_, reject) => page.on("pageerror", reject));
  await page.goto(`http://${server.host}/`);
  const learned = await Promise.race([
    page.waitForFunction("globalThis.learned", undefined, { timeout: 120_000 }),
    failed,
  ]);
  await assertLearned(await learned.jsonValue() as Learned, photos);
}
