/**
 * Bundles pages with the installed npm package, and tests them in Chromium. The bundlers have their
 * default settings.
 *
 * @module
 */

import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Browser } from "npm:playwright-core@1.56.1";
import * as esbuild from "npm:esbuild@0.28.2";
import { assertEquals, assertMatch } from "../../tests/assert.ts";
import type { TempFolder } from "../../tests/cli/run.ts";
import { StaticServer } from "../../tests/static_server.ts";
import { runProgram } from "../../tests/tools.ts";
import { testLearningInPage } from "../npm_package/learn.ts";
import { assertDownload, examples, firstDownloads, threads } from "../npm_package/suite.ts";
import { launch } from "./chromium.ts";

const html = (script: string) =>
  `<!doctype html>
<link rel="icon" href="data:,">
<input type="file" disabled><output></output>
<script type="module" src="${script}"></script>
`;

const isolationHeaders = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

/** Bundles pages in a project where the package is installed, and opens them. */
export async function testPages(t: Deno.TestContext, project: TempFolder): Promise<void> {
  const { inPage } = await examples();
  const instrumentation = `globalThis.threads = model.backend.threads;
globalThis.fileError = await loadModel({ weights: "a.pth" }).catch((error) => error.message);`;
  await project.write("page.js", inPage.replace(/^input\.disabled/m, `${instrumentation}\n$&`));
  await Promise.all([bundleWithVite(project), bundleWithEsbuild(project)]);
  const browser = await launch();
  try {
    for (const bundler of ["vite", "esbuild"]) {
      await t.step(`bundled by ${bundler}`, () => testPage(browser, project, bundler));
      await t.step(
        `bundled by ${bundler}, cross-origin isolated`,
        () => testPage(browser, project, bundler, isolationHeaders),
      );
    }
    await t.step("learns from photos", () => testLearningInPage(browser, project));
    for (const [names, limit] of Object.entries(firstDownloads)) {
      await t.step(`Vite bundles only what is used of ${names}`, async () => {
        assertDownload(await firstDownload(project, names), limit);
      });
    }
  } finally {
    await browser.close();
  }
}

async function bundleWithVite(project: TempFolder): Promise<void> {
  await project.write("index.html", html("/page.js"));
  await vite(project.path);
}

/** Bundles a page that uses some exports, and returns the scripts that it loads at once. */
async function firstDownload(project: TempFolder, names: string): Promise<string> {
  const program = `import { ${names} } from "pembroke"; globalThis.used = [${names}];`;
  await project.write("small/page.js", program);
  const page = await project.write("small/index.html", html("/page.js"));
  await vite(dirname(page));
  const built = `${dirname(page)}/vite/`, text = await Deno.readTextFile(`${built}index.html`);
  const scripts = text.match(/(?<=")[^"]+\.js(?=")/g) ?? [];
  return (await Promise.all(scripts.map((path) => Deno.readTextFile(built + path)))).join("");
}

async function vite(folder: string): Promise<void> {
  // As a command with its own lock file, so that it is downloaded only if Chromium is installed.
  const lock = fileURLToPath(new URL("vite.lock", import.meta.url));
  const flags = ["-A", "--quiet", "--frozen", "--node-modules-dir=none", `--lock=${lock}`];
  const vite = ["npm:vite@8.3.8", "build", "--outDir=vite"];
  await runProgram(Deno.execPath(), ["run", ...flags, ...vite], folder);
}

async function bundleWithEsbuild(project: TempFolder): Promise<void> {
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

/** Opens a page, classifies photos in it, and checks its number of threads. */
async function testPage(
  browser: Browser,
  project: TempFolder,
  bundler: string,
  headers?: typeof isolationHeaders,
): Promise<void> {
  await using server = new StaticServer(pathToFileURL(`${project.path}/${bundler}/`), headers);
  await using page = await browser.newPage();
  page.setDefaultTimeout(120_000); // other tests may have the processor
  const problems: string[] = [], kernels: string[] = [];
  const allowed = new RegExp(`^(http://${server.host}/|blob:http://${server.host}/|data:)`);
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => {
    if (!allowed.test(request.url())) problems.push(request.url());
    kernels.push(...request.url().match(/webgpu|kernels\.\w+|threads\.\w+/) ?? []);
  });
  page.on("response", (response) => {
    if (!response.ok()) problems.push(`${response.status()} ${response.url()}`);
  });

  await page.goto(`http://${server.host}/`);
  await page.waitForSelector("input:enabled");
  for (const [photo, label] of [["coffee.jpg", "espresso"], ["chelsea.png", "golden retriever"]]) {
    const path = fileURLToPath(new URL(`../../tests/photos/${photo}`, import.meta.url));
    await page.setInputFiles("input", path);
    await page.waitForSelector(`output:text-is("${label}")`, { state: "attached" });
  }
  const [isolated, used, fileError] = await page.evaluate(
    "[crossOriginIsolated, threads, fileError]",
  ) as [boolean, number, string];
  assertEquals([isolated, used], headers ? [true, threads] : [false, 1]);
  // esbuild makes one file
  const expected = bundler === "esbuild" ? [] : headers ? ["threads.relaxed"] : ["kernels.relaxed"];
  assertEquals(kernels, expected);
  assertMatch(fileError, /^fileSource: path is "a\.pth", must be opened in Deno, Node or Bun; .+$/);
  assertEquals(problems, []);
}
