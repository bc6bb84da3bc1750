/**
 * Tests the files of `deno task dist` in their runtimes. They are built once, which takes a while.
 */

import { fileURLToPath } from "node:url";
import { createBackend, loadModel } from "../../mod.ts";
import { assert, assertAlmostEquals, assertEquals, assertMatch } from "../../tests/assert.ts";
import { TempFolder } from "../../tests/cli/run.ts";
import { needsChromium, needsNode, testWith } from "../../tests/needs.ts";
import { runProgram, runTool } from "../../tests/tools.ts";
import { executable } from "../browser/chromium.ts";
import { testPages } from "../browser/pages.ts";
import { install, testPackage } from "./suite.ts";

/** The source of an image. */
const imageSource = "{ width: 90, height: 70, data: Uint8Array.from({ length: 18900 }, pixel) }";
const pixel = (_: unknown, i: number) => i * 7 % 251;

/** A program for any runtime that prints the results of a convolution and of AlexNet. */
function program({ bundle = "pembroke.js", options = "{}", read = "" }): string {
  return `
import { conv2d, createBackend, loadModel } from "./${bundle}";
${read}
const backend = await createBackend(${options});
const x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
const w = backend.upload([1, 10, 100, 1000], [1, 1, 2, 2]);
const [y] = await conv2d(x, w, null).read();
const model = await loadModel({ backend, weights: await read("resnet_tiny.safetensors") });
const pixel = ${pixel};
const [best] = await model.classify(${imageSource});
console.log(JSON.stringify({ threads: backend.threads, y, best }));
backend.dispose();
`;
}

const fixture = (name: string) =>
  JSON.stringify(fileURLToPath(new URL(`../../tests/${name}`, import.meta.url)));
const coffee = fixture("photos/coffee.jpg"), webp = fixture("fixtures/image/images/lossy.webp");

const inNode = 'import { readFile as read } from "node:fs/promises";';
const inDeno = "const read = Deno.readFile;";

/** The prediction of the library itself. */
async function expectedPrediction() {
  using backend = await createBackend({ threads: 1 });
  using model = await loadModel({ backend });
  const data = Uint8Array.from({ length: 18900 }, pixel);
  const [best] = await model.classify({ width: 90, height: 70, data });
  return best;
}

const [folder, project] = await Promise.all([TempFolder.make(), TempFolder.make()]);
const { path } = folder;
Deno.test.afterAll(async () => {
  await folder[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

/** The output of `deno task dist`, which runs once for all tests. */
let output: Promise<string> | undefined;
const dist = () => output ??= runTool("dist", path);

/** Installs the npm package on the first call. */
let installation: Promise<void> | undefined;
const npmInstall = () => installation ??= dist().then((text) => installFrom(text));

async function installFrom(text: string): Promise<void> {
  const tarball = /^pembroke-\d\S+\.tgz/m.exec(text)?.[0];
  assert(tarball, text);
  await install(project, `${path}/${tarball}`);
}

Deno.test("deno task dist prints sizes, and a page downloads at most 207 kB", async () => {
  const text = await dist();
  assertMatch(text, /^pembroke\.js .+ gzipped$/m);
  const size = (what: string) =>
    Number(new RegExp(`^${what} +([\\d.]+) kB gzipped$`, "m").exec(text)?.[1]);
  assert(size("largest download of a page") <= 207, text);
  assert(size("download without networks") <= 155, text);
});

const node = await needsNode();

testWith(node, "the npm package works after npm install", async (t) => {
  await npmInstall();
  await testPackage(t, project);
});

const chromium = { missing: node.missing || (await needsChromium(executable)).missing };
testWith(chromium, "Vite and esbuild bundle the npm package for pages", async (t) => {
  await npmInstall();
  await testPages(t, project);
});

testWith(node, "the files of deno task dist run in Node and Deno", async (t) => {
  await dist();
  const expected = await expectedPrediction();

  function assertResults(text: string, threads: number) {
    const actual = JSON.parse(text);
    assertEquals([actual.threads, actual.y], [threads, 4321]);
    assertEquals(actual.best.label, expected.label);
    // Builds with relaxed SIMD round differently: a fused multiply-add rounds once.
    assertAlmostEquals(actual.best.probability, expected.probability, 1e-4);
  }

  await t.step("pembroke.js runs in Node, on threads", async () => {
    const file = await folder.write("a.mjs", program({ options: "{ threads: 2 }", read: inNode }));
    assertResults(await runProgram("node", [file], path), 2);
  });

  await t.step("pembroke.module.js takes a module, in Node", async () => {
    const options = '{ module: new WebAssembly.Module(await read("simd.wasm")) }';
    const text = program({ bundle: "pembroke.module.js", options, read: inNode });
    assertResults(await runProgram("node", [await folder.write("b.mjs", text)], path), 1);
  });

  await t.step("pembroke.module.js says which modules it needs, and takes them", async () => {
    const text = `
import { readFile as read } from "node:fs/promises";
import { createBackend, decodeImage } from "./pembroke.module.js";
const photos = [await read(${coffee}), await read(${webp})];
await createBackend().catch((error) => console.log(error.message));
for (const photo of photos) {
  await decodeImage(photo).catch((error) => console.log(error.message));
}
const compiled = async (name) => new WebAssembly.Module(await read(name + ".wasm"));
const codecs = { jpeg: await compiled("jpeg"), webp: await compiled("webp") };
for (const photo of photos) console.log((await decodeImage(photo, { codecs })).width);`;
    const lines = await runProgram("node", [await folder.write("c.mjs", text)], path);
    const [backend, ...images] = lines.trimEnd().split("\n");
    assertMatch(backend, /pass a WebAssembly\.Module as `module`/);
    const without = (format: string) =>
      `image: the ${format} codec cannot be loaded: pass the compiled codec in the option \`codecs\``;
    assertEquals(images, [without("JPEG"), without("WebP"), "600", "40"]);
  });

  await t.step(
    "pembroke.js finds the weights in its folder and decodes images, in Node",
    async () => {
      const text = `
import { readFile as read } from "node:fs/promises";
import { decodeImage, loadModel } from "./pembroke.js";
const model = await loadModel();
const [best] = await model.classify(await decodeImage(await read(${coffee})));
console.log(best.label, (await decodeImage(await read(${webp}))).width);`;
      const file = await folder.write("f.mjs", text);
      assertEquals(await runProgram("node", [file], path), "espresso 40\n");
    },
  );

  await t.step("pembroke.js loads an ONNX model in Node, and its files share classes", async () => {
    const text = `
import { loadModel, OnnxNetwork } from "./pembroke.js";
const model = await loadModel({ weights: ${fixture("fixtures/onnx/layers.onnx")} });
console.log(model instanceof OnnxNetwork);
model.dispose();`;
    assertEquals(await runProgram("node", [await folder.write("i.mjs", text)], path), "true\n");
  });

  await t.step("pembroke.js reads files and reports their errors in Node, as in Deno", async () => {
    const text = `
import { truncateSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
const [, , old] = process.argv;
if (old) process.getBuiltinModule = undefined; // as in Node before 20.16
const { createBackend, fileSource, loadModel } = await import("./pembroke.js");
const report = (promise) => promise.then(() => console.log("done"), (error) => console.log(error.message));
const backend = await createBackend({ threads: 2 });
console.log(backend.threads);
for (const weights of ["resnet_tiny.safetensors", pathToFileURL("resnet_tiny.safetensors")]) {
  console.log((await loadModel({ backend, weights })).numClasses);
}
await report(loadModel({ backend, weights: "none.pth" }));
await report(fileSource("g.mjs/x"));
await report(fileSource("."));
await report(fileSource(42));
writeFileSync("ten", new Uint8Array(10));
const source = await fileSource("ten");
console.log(source.size);
truncateSync("ten", 4);
await report(source.read(0, new Uint8Array(4)));
await report(source.read(0, new Uint8Array(10)));
await report(source.read(8, new Uint8Array(3)));
source.close();
source.close();
await report(source.read(0, new Uint8Array(1)));`;
    const file = await folder.write("g.mjs", text);
    const expected = [
      "2",
      "200",
      "200",
      "none.pth: no such file",
      "g.mjs/x: no such file",
      ".: is a directory, not a file",
      "fileSource: path is 42, must be a path or a file URL",
      "10",
      "done",
      "ten: became shorter while being read",
      "ten: ends after 10 bytes, but 11 are needed: truncated or damaged",
      "ten: was closed while being read",
      "",
    ].join("\n");
    for (const args of [[file], [file, "old"]]) {
      assertEquals(await runProgram("node", args, path), expected);
    }
  });

  const deno = (file: string, ...flags: string[]) =>
    runProgram(Deno.execPath(), ["run", "--quiet", "--no-prompt", ...flags, file], path);

  await t.step(
    "pembroke.js runs in Deno, on threads, without permissions",
    async () => {
      const file = await folder.write("d.js", program({ options: "{ threads: 2 }", read: inDeno }));
      assertResults(await deno(file, "--allow-read"), 2);
    },
  );

  await t.step("pembroke.d.ts has the library's types", async () => {
    const head =
      '// @ts-types="./pembroke.d.ts"\nimport { createBackend, loadModel, type Prediction }';
    const lines = (type: string) =>
      `${head} from "./pembroke.js";
using backend = await createBackend();
using model = await loadModel({ backend, weights: "a.pth", precision: "int8" });
const best: ${type}[] = await model.classify(new Float32Array(3));
console.log(best);`;
    await folder.write("right.ts", lines("Prediction"));
    await folder.write("wrong.ts", lines("string"));
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "right.ts", "wrong.ts"],
      cwd: path,
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(code, 1);
    const places = new TextDecoder().decode(stderr).match(/\w+\.ts:\d+:\d+/g);
    assertEquals(places, ["wrong.ts:5:7"]);
  });

  const remove = async (kind: string) => {
    for (const name of ["relaxed", "simd"]) {
      await Deno.remove(`${path}/pembroke.${kind}.${name}.js`);
    }
  };

  await t.step("pembroke.js uses one thread if the threaded kernels are missing", async () => {
    await remove("threads");
    const file = await folder.write("e.js", program({ options: "{ threads: 2 }", read: inDeno }));
    assertResults(await deno(file, "--allow-read"), 1);
  });

  await t.step("pembroke.js says that the kernels are missing", async () => {
    await remove("kernels");
    const text = `
import { createBackend, PembrokeError } from "./pembroke.js";
const error = await createBackend().catch((error) => error);
console.log(error instanceof PembrokeError, error.message);`;
    const output = await deno(await folder.write("h.js", text), "--allow-read");
    assertMatch(output, /^true cannot load the kernels: .+pembroke\.kernels\.\w+\.js/);
  });
});
