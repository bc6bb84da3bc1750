/** What `deno task dist` makes, where it is to run: made once, for it takes a while. */

import { fileURLToPath } from "node:url";
import { createBackend, loadModel } from "../mod.ts";
import { assert, assertAlmostEquals, assertEquals, assertMatch } from "../tests/assert.ts";
import { TempFolder } from "../tests/cli/run.ts";
import { needsChromium, needsNode, testWith } from "../tests/needs.ts";
import { runProgram, runTool } from "../tests/tools.ts";
import { executable } from "./browser/chromium.ts";
import { pages } from "./browser/pages.ts";
import { install, installed } from "./npm/suite.ts";

/** An image that any program can draw. */
const drawing = "{ width: 90, height: 70, data: Uint8Array.from({ length: 18900 }, drawn) }";
const drawn = (_: unknown, i: number) => i * 7 % 251;

/** A program for any runtime: a convolution, and AlexNet from bytes; prints what came of them. */
function program({ bundle = "pembroke.js", options = "{}", read = "" }): string {
  return `
import { conv2d, createBackend, loadModel } from "./${bundle}";
${read}
const backend = await createBackend(${options});
const x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
const w = backend.upload([1, 10, 100, 1000], [1, 1, 2, 2]);
const [y] = await conv2d(x, w, null).read();
const model = await loadModel({ backend, weights: await read("alexnet_tiny.safetensors") });
const drawn = ${drawn};
const [best] = await model.classify(${drawing});
console.log(JSON.stringify({ threads: backend.threads, y, best }));
backend.dispose();
`;
}

const photo = (name: string) =>
  JSON.stringify(fileURLToPath(new URL(`../tests/${name}`, import.meta.url)));
const coffee = photo("photos/coffee.jpg"), webp = photo("fixtures/image/images/lossy.webp");

const inNode = 'import { readFile as read } from "node:fs/promises";';
const inDeno = "const read = Deno.readFile;";

/** What the library itself says. */
async function expected() {
  using backend = await createBackend({ threads: 1 });
  using model = await loadModel({ backend });
  const data = Uint8Array.from({ length: 18900 }, drawn);
  const [best] = await model.classify({ width: 90, height: 70, data });
  return best;
}

const [folder, project] = await Promise.all([TempFolder.make(), TempFolder.make()]);
const { path } = folder;
Deno.test.afterAll(async () => {
  await folder[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

/** What the tool prints, which runs once for all tests. */
let made: Promise<string> | undefined;
const dist = () => made ??= runTool("dist", path);

/** Installs the npm package, once. */
let packed: Promise<void> | undefined;
const npmInstall = () => packed ??= dist().then((printed) => installFrom(printed));

async function installFrom(printed: string): Promise<void> {
  const tarball = /^pembroke-\d\S+\.tgz/m.exec(printed)?.[0];
  assert(tarball, printed);
  await install(project, `${path}/${tarball}`);
}

Deno.test("deno task dist prints sizes, and a page loads at most 150 kB", async () => {
  const printed = await dist();
  assertMatch(printed, /^pembroke\.js .+ gzipped$/m);
  const loaded = /^what a page loads at most +([\d.]+) kB gzipped$/m.exec(printed)?.[1];
  assertEquals(Number(loaded) <= 150, true, printed);
});

const node = await needsNode();

testWith(node, "the npm package needs nothing but npm install", async (t) => {
  await npmInstall();
  await installed(t, project);
});

const chromium = { missing: node.missing || (await needsChromium(executable)).missing };
testWith(chromium, "Vite and esbuild bundle the npm package for pages", async (t) => {
  await npmInstall();
  await pages(t, project);
});

testWith(node, "what deno task dist makes runs in Node and Deno", async (t) => {
  await dist();
  const best = await expected();

  function agrees(text: string, threads: number) {
    const found = JSON.parse(text);
    assertEquals([found.threads, found.y], [threads, 4321]);
    assertEquals(found.best.label, best.label);
    // another build may have computed it: fused multiplications and additions round once
    assertAlmostEquals(found.best.probability, best.probability, 1e-4);
  }

  await t.step("the library runs in Node, on threads", async () => {
    const file = await folder.write("a.mjs", program({ options: "{ threads: 2 }", read: inNode }));
    agrees(await runProgram("node", [file], path), 2);
  });

  await t.step("the one without kernels takes a module, in Node", async () => {
    const options = '{ module: new WebAssembly.Module(await read("simd.wasm")) }';
    const text = program({ bundle: "pembroke.module.js", options, read: inNode });
    agrees(await runProgram("node", [await folder.write("b.mjs", text)], path), 1);
  });

  await t.step("the one without kernels and codecs says what it needs, and takes it", async () => {
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

  await t.step("in Node it finds the weights beside it, and decodes images", async () => {
    const text = `
import { readFile as read } from "node:fs/promises";
import { decodeImage, loadModel } from "./pembroke.js";
const model = await loadModel();
const [best] = await model.classify(await decodeImage(await read(${coffee})));
console.log(best.label, (await decodeImage(await read(${webp}))).width);`;
    const file = await folder.write("f.mjs", text);
    assertEquals(await runProgram("node", [file], path), "espresso 40\n");
  });

  await t.step("in Node it reads files as in Deno, and says what is wrong with them", async () => {
    const text = `
import { truncateSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
const [, , before] = process.argv;
if (before) process.getBuiltinModule = undefined; // as in Node before 20.16
const { createBackend, fileSource, loadModel } = await import("./pembroke.js");
const said = (promise) => promise.then(() => console.log("done"), (error) => console.log(error.message));
const backend = await createBackend({ threads: 2 });
console.log(backend.threads);
for (const weights of ["alexnet_tiny.safetensors", pathToFileURL("alexnet_tiny.safetensors")]) {
  console.log((await loadModel({ backend, weights })).numClasses);
}
await said(loadModel({ backend, weights: "none.pth" }));
await said(fileSource("g.mjs/x"));
await said(fileSource("."));
await said(fileSource(42));
writeFileSync("ten", new Uint8Array(10));
const source = await fileSource("ten");
console.log(source.size);
truncateSync("ten", 4);
await said(source.read(0, new Uint8Array(4)));
await said(source.read(0, new Uint8Array(10)));
await said(source.read(8, new Uint8Array(3)));
source.close();
source.close();
await said(source.read(0, new Uint8Array(1)));`;
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
    for (const args of [[file], [file, "before"]]) {
      assertEquals(await runProgram("node", args, path), expected);
    }
  });

  const deno = (file: string, ...flags: string[]) =>
    runProgram(Deno.execPath(), ["run", "--quiet", "--no-prompt", ...flags, file], path);

  await t.step(
    "the library runs in Deno, on threads, without permission for anything",
    async () => {
      const file = await folder.write("d.js", program({ options: "{ threads: 2 }", read: inDeno }));
      agrees(await deno(file, "--allow-read"), 2);
    },
  );

  await t.step("the types are those of the library", async () => {
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

  await t.step("without the kernels for threads there is one thread", async () => {
    for (const name of ["relaxed", "simd"]) {
      await Deno.remove(`${path}/pembroke.threads.${name}.js`);
    }
    const file = await folder.write("e.js", program({ options: "{ threads: 2 }", read: inDeno }));
    agrees(await deno(file, "--allow-read"), 1);
  });
});
