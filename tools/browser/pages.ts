/**
 * Pages that bundlers make of the installed npm package by their default settings, in Chromium.
 *
 * @module
 */

import { fileURLToPath, pathToFileURL } from "node:url";
import type { Browser } from "npm:playwright-core@1.56.1";
import * as esbuild from "npm:esbuild@0.28.2";
import { assertEquals, assertMatch } from "../../tests/assert.ts";
import type { TempFolder } from "../../tests/cli/run.ts";
import { StaticServer } from "../../tests/static_server.ts";
import { runProgram } from "../../tests/tools.ts";
import { examples, threads } from "../npm/suite.ts";
import { launch } from "./chromium.ts";

const html = (script: string) =>
  `<!doctype html>
<link rel="icon" href="data:,">
<input type="file" disabled><output></output>
<script type="module" src="${script}"></script>
`;

const isolating = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

/** Makes pages in the project where the package is installed, and opens them. */
export async function pages(t: Deno.TestContext, project: TempFolder): Promise<void> {
  const { inPage } = await examples();
  const more = `globalThis.threads = model.backend.threads;
globalThis.refused = await loadModel({ weights: "a.pth" }).catch((error) => error.message);`;
  await project.write("page.js", inPage.replace(/^input\.disabled/m, `${more}\n$&`));
  await Promise.all([makeWithVite(project), makeWithEsbuild(project)]);
  const browser = await launch();
  try {
    for (const bundler of ["vite", "esbuild"]) {
      await t.step(`by ${bundler}`, () => shows(browser, project, bundler));
      await t.step(
        `by ${bundler}, cross-origin isolated`,
        () => shows(browser, project, bundler, isolating),
      );
    }
  } finally {
    await browser.close();
  }
}

async function makeWithVite(project: TempFolder): Promise<void> {
  await project.write("index.html", html("/page.js"));
  // by its command and with a lock of its own: nobody downloads it who has no Chromium
  const lock = fileURLToPath(new URL("vite.lock", import.meta.url));
  const flags = ["-A", "--quiet", "--frozen", "--node-modules-dir=none", `--lock=${lock}`];
  const vite = ["npm:vite@8.3.8", "build", "--outDir=vite"];
  await runProgram(Deno.execPath(), ["run", ...flags, ...vite], project.path);
}

async function makeWithEsbuild(project: TempFolder): Promise<void> {
  await project.write("esbuild/index.html", html("page.js"));
  await esbuild.build({
    entryPoints: [`${project.path}/page.js`],
    outfile: `${project.path}/esbuild/page.js`,
    bundle: true,
    format: "esm",
    logLevel: "silent",
  });
  await esbuild.stop();
}

/** Opens a page, which classifies photos on as many threads as it may have. */
async function shows(
  browser: Browser,
  project: TempFolder,
  bundler: string,
  headers?: typeof isolating,
): Promise<void> {
  await using served = new StaticServer(pathToFileURL(`${project.path}/${bundler}/`), headers);
  await using page = await browser.newPage();
  const wrong: string[] = [];
  const own = new RegExp(`^(http://${served.host}/|blob:http://${served.host}/|data:)`);
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => own.test(request.url()) || wrong.push(request.url()));
  page.on("response", (answer) => answer.ok() || wrong.push(`${answer.status()} ${answer.url()}`));

  await page.goto(`http://${served.host}/`);
  await page.waitForSelector("input:enabled");
  for (const [photo, label] of [["coffee.jpg", "espresso"], ["chelsea.png", "tabby, tabby cat"]]) {
    const path = fileURLToPath(new URL(`../../tests/photos/${photo}`, import.meta.url));
    await page.setInputFiles("input", path);
    await page.waitForSelector(`output:text-is("${label}")`, { state: "attached" });
  }
  const [isolated, used, refused] = await page.evaluate(
    "[crossOriginIsolated, threads, refused]",
  ) as [boolean, number, string];
  assertEquals([isolated, used], headers ? [true, threads] : [false, 1]);
  assertMatch(refused, /^fileSource: path is "a\.pth", must be opened in Deno, Node or Bun; .+$/);
  assertEquals(wrong, []);
}
