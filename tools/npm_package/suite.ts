/**
 * Tests of the installed npm package.
 *
 * @module
 */

import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "npm:esbuild@0.28.2";
import ts from "npm:typescript@6.0.3";
import { assert, assertEquals, assertMatch } from "../../tests/assert.ts";
import type { TempFolder } from "../../tests/cli/run.ts";
import { needsBun } from "../../tests/needs.ts";
import { runProgram, runTool } from "../../tests/tools.ts";
import { deepCompressed } from "../../tests/weights/deep_compression/writer.ts";
import { Server } from "../../bench/lib/server.ts";
import { testLearningInNode } from "./learn.ts";

/** The programs in the package's README, for Node and for a page. */
export async function examples(): Promise<{ inNode: string; inPage: string }> {
  const readme = await Deno.readTextFile(new URL("README.md", import.meta.url));
  const [inNode, inPage] = [...readme.matchAll(/^```js\n([^]*?)^```/gm)].map(([, code]) => code);
  return { inNode, inPage };
}

/** The default number of threads of a backend. */
export const threads = Math.min(navigator.hardwareConcurrency, 16);

/** Installs the packed package into an empty project. */
export async function install(project: TempFolder, tarball: string): Promise<void> {
  await project.write("package.json", '{ "type": "module" }');
  const flags = ["--offline", "--no-audit", "--no-fund", "--ignore-scripts"];
  await runProgram("npm", ["install", ...flags, tarball], project.path);
}

/** Tests the package in a project where it is installed. */
export async function testPackage(t: Deno.TestContext, project: TempFolder): Promise<void> {
  const { path } = project;
  const photo = new URL("../../tests/photos/coffee.jpg", import.meta.url);
  await Deno.copyFile(photo, `${path}/photo.jpg`);
  const { inNode } = await examples();
  const printThreads = "console.log(model.backend.threads);";
  await project.write("node.js", inNode.replace(/^model\.dispose/m, `${printThreads}\n$&`));
  const assertClassified = (text: string) => {
    const lines = text.trimEnd().split("\n");
    assertMatch(lines[0], /^espresso 0\.9/);
    assertEquals([lines.length, lines.at(-1)], [6, String(threads)]);
  };
  await t.step("Node", async () => {
    assertClassified(await runProgram("node", ["node.js"], path));
  });
  await t.step("Node imports operations, which take the tensors of the library", async () => {
    const program = `
import { createBackend } from "pembroke";
import { relu6Backward } from "pembroke/ops";
const backend = await createBackend();
const dy = backend.upload([1, 2, 3], [3]), y = backend.upload([0, 3, 6], [3]);
console.log(String(await relu6Backward(dy, y).read()));`;
    await project.write("operations.js", program);
    assertEquals(await runProgram("node", ["operations.js"], path), "0,2,0\n");
  });
  await t.step("Node learns from photos", () => testLearningInNode(project));
  await t.step("Node loads readers and heat maps when it needs them", async () => {
    await project.write("later.js", later);
    await project.write("squeezenet.net", deepCompressed("squeezenet1_0"));
    const expected = ["onnx: true", "pth: 0.bias", "net: 52", "heat map: espresso true", ""];
    assertEquals(await runProgram("node", ["later.js"], path), expected.join("\n"));
  });
  const { missing } = await needsBun();
  await t.step({
    name: `Bun${missing}`,
    ignore: missing !== "",
    fn: async () => assertClassified(await runProgram("bun", ["node.js"], path)),
  });

  await t.step("Cloudflare's runtime", () => testWorkerd(project));

  await t.step("TypeScript", async (t) => {
    const program = (type: string) => `
import { loadModel, type Backend, createBackend, decodeImage, type Prediction } from "pembroke";
import type { LossResult } from "pembroke";
import { conv2d } from "pembroke/module";
import { geluBackward } from "pembroke/ops";
const backend: Backend = await createBackend();
const model = await loadModel({ backend, weights: new ArrayBuffer(8), precision: "int8" });
const best: ${type}[] = await model.classify(await decodeImage(new Uint8Array(3)));
const x = backend.upload([1], [1]);
const dx: LossResult["loss"] = geluBackward(x, x);
export { best, conv2d, dx };`;
    await project.write("right.ts", program("Prediction"));
    await project.write("wrong.ts", program("string"));
    for (const [name, resolution] of Object.entries(resolutions)) {
      await t.step(name, () => {
        const errors = typeErrors([`${path}/right.ts`, `${path}/wrong.ts`], resolution);
        const expected = "wrong.ts: Type 'Prediction[]' is not assignable to type 'string[]'.";
        assertEquals(errors, [expected]);
      });
    }
    await t.step("examples in comments import the package", async () => {
      const types = await Deno.readTextFile(`${path}/node_modules/pembroke/pembroke.types.d.ts`);
      assertEquals(new Set(types.match(/(?<=\* import .* from )".*"/g)), new Set(['"pembroke"']));
    });
    await project.write("edge.ts", edgeProgram);
    await t.step("without the types of pages", () => {
      const options = { ...resolutions.bundler, lib: ["lib.es2022.d.ts"], types: [] };
      assertEquals(typeErrors([`${path}/edge.ts`], options), []);
    });
  });

  await t.step("bundlers find the entry, and can write its files in other ways", async () => {
    const installed = `${path}/node_modules/pembroke/`;
    const { main, exports } = JSON.parse(await Deno.readTextFile(`${installed}package.json`));
    assertEquals(main, exports["."].default); // Parcel reads only `main`
    for await (const { name } of Deno.readDir(installed)) {
      if (!name.endsWith(".js")) continue;
      const text = await Deno.readTextFile(installed + name);
      // Rspack writes a string in its place
      assert(!text.includes("import.meta"), `${name} contains import.meta`);
      // Parcel writes the character 0 as \0, which is an error before a digit
      if (!/kernels|threads|\.wasm/.test(name)) continue;
      assertEquals(text.replaceAll("\\\\", "").match(/\\./), null, name);
    }
  });

  await t.step("a bundle contains only what is used", async (t) => {
    for (const [names, limit] of Object.entries(firstDownloads)) {
      await t.step(names, async () => {
        const text = await bundledByEsbuild(`export { ${names} } from "pembroke";`, path);
        assertDownload(text, limit);
      });
    }
  });
}

/** Programs, and the most bytes that a page may download before it runs them, gzipped. */
export const firstDownloads = {
  "conv2d, createBackend": 15_000,
  "Conv2d, Sequential, SGD, crossEntropy, createBackend": 33_000,
  "loadModel": 95_000,
};

/** Checks the size of a download. */
export function assertDownload(text: string, limit: number): void {
  const size = gzipSync(text, { level: 9 }).length;
  assert(size <= limit, `a page downloads ${size} bytes, at most ${limit}`);
}

/** The text of all files that a page loads before it runs a program. */
async function bundledByEsbuild(contents: string, resolveDir: string): Promise<string> {
  const { outputFiles, metafile: { outputs } } = await esbuild.build({
    stdin: { contents, resolveDir },
    outdir: resolveDir,
    bundle: true,
    splitting: true,
    format: "esm",
    minify: true,
    write: false,
    metafile: true,
  });
  await esbuild.stop();
  const first = new Set<string>();
  const visit = (path: string) => {
    if (first.has(basename(path))) return;
    first.add(basename(path));
    for (const { path: next, kind } of outputs[path].imports) {
      if (kind === "import-statement") visit(next);
    }
  };
  visit(Object.keys(outputs).find((path) => outputs[path].entryPoint === "<stdin>")!);
  const isFirst = ({ path }: esbuild.OutputFile) => first.has(basename(path));
  return outputFiles.filter(isFirst).map(({ text }) => text).join("");
}

const fixture = (name: string) =>
  JSON.stringify(fileURLToPath(new URL(`../../tests/fixtures/${name}`, import.meta.url)));

/** A program that loads the files of the package that other programs do not need. */
const later = `
import { readFile } from "node:fs/promises";
import { decodeImage, explain, fileSource, loadModel, OnnxNetwork, openWeights } from "pembroke";
const onnx = await loadModel({ weights: ${fixture("onnx/layers.onnx")} });
console.log("onnx:", onnx instanceof OnnxNetwork);
onnx.dispose();
const pth = await openWeights(await fileSource(${fixture("weights/parametrizations.pth")}));
console.log("pth:", [...pth.entries.keys()][0]);
const net = await openWeights(await fileSource("squeezenet.net"));
console.log("net:", net.entries.size);
const image = await decodeImage(await readFile("photo.jpg"));
const model = await loadModel({ precision: "int8" });
await model.calibrate([image]);
const { label, heat } = await explain(model, image);
console.log("heat map:", label, heat.some((value) => value > 0));
model.dispose();
`;

/** A program with types that contradict those of pages, as the types of Cloudflare Workers do. */
const edgeProgram = `
import { createBackend, decodeImage, fromRgba, loadModel } from "pembroke/module";
import module from "pembroke/simd.wasm?module"; // as Next.js imports it
import jpeg from "pembroke/jpeg.wasm";
declare global {
  class AbortSignal { readonly edge: number }
  class Blob { readonly edge: number }
  class ReadableStream<T> { readonly edge: T }
  class Response { readonly edge: number }
  class URL { readonly edge: number }
  const caches: { readonly default: string };
}
const pixels = fromRgba({ width: 1, height: 1, data: new Uint8ClampedArray(4) });
export const photo = decodeImage(new Uint8Array(3), { codecs: { jpeg } });
const model = await loadModel({ weights: new Response(), backend: await createBackend({ module }) });
export const labels: string[] = (await model.classify(pixels)).map(({ label }) => label);
export const cache: string = caches.default;`;

/** A worker that computes while it answers a request, when compiling from bytes is forbidden. */
const worker = `
import { conv2d, createBackend } from "pembroke";
export default {
  async fetch() {
    const backend = await createBackend();
    const x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
    const w = backend.upload([1, 10, 100, 1000], [1, 1, 2, 2]);
    return new Response(\`\${backend.name}: \${await conv2d(x, w, null).read()}\`);
  },
};`;
const workerConfig = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "test", worker = (
    compatibilityDate = "2025-07-01",
    modules = [(name = "worker.js", esModule = embed "worker.js")],
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "test")],
);`;

/** Bundles a worker as Wrangler does, and runs it. */
async function testWorkerd(project: TempFolder): Promise<void> {
  await esbuild.build({
    stdin: { contents: worker, resolveDir: project.path },
    outfile: `${project.path}/worker.js`,
    bundle: true,
    format: "esm",
    conditions: ["workerd", "worker", "browser"],
    logLevel: "silent",
  });
  await esbuild.stop();
  await project.write("worker.capnp", workerConfig);
  await using server = await Server.start(
    (await runTool("workerd")).trim(),
    ["serve", "worker.capnp", "--control-fd=1"],
    /"port":(\d+)/,
    { cwd: project.path },
  );
  assertEquals(await (await server.fetch("/")).text(), "wasm (relaxed simd): 4321");
}

const resolutions: Record<string, ts.CompilerOptions> = {
  bundler: {
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  },
  nodenext: {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  },
};

/** TypeScript's own libraries, parsed once for all resolutions. */
const libraries = new Map<string, ts.SourceFile | undefined>();

/** The errors of `tsc --noEmit --strict` in these files. */
function typeErrors(files: string[], resolution: ts.CompilerOptions): string[] {
  const options = { ...resolution, noEmit: true, strict: true, skipDefaultLibCheck: true };
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (name, language) => {
    if (!name.startsWith(host.getDefaultLibLocation!())) return getSourceFile(name, language);
    if (!libraries.has(name)) libraries.set(name, getSourceFile(name, language));
    return libraries.get(name);
  };
  const program = ts.createProgram(files, options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    const [line] = ts.flattenDiagnosticMessageText(messageText, "\n").split("\n");
    return `${file?.fileName.replace(/.*\//, "")}: ${line}`;
  });
}
