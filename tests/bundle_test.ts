import { AlexNet, createBackend } from "../mod.ts";
import { assertAlmostEquals, assertEquals, assertMatch } from "./assert.ts";
import { TempFolder } from "./cli/run.ts";
import { output, tool } from "./tools.ts";

/** An image that any program can draw. */
const drawing = "{ width: 90, height: 70, data: Uint8Array.from({ length: 18900 }, drawn) }";
const drawn = (_: unknown, i: number) => i * 7 % 251;

/** A program for any runtime: a convolution, and AlexNet from bytes; prints what came of them. */
function program({ bundle = "pembroke.js", options = "{}", read = "" }): string {
  return `
import { AlexNet, conv2d, createBackend } from "./${bundle}";
${read}
const backend = await createBackend(${options});
const x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
const w = backend.upload([1, 10, 100, 1000], [1, 1, 2, 2]);
const [y] = await conv2d(x, w, null).read();
const model = await AlexNet.load({ backend, weights: await read("alexnet_tiny.safetensors") });
const drawn = ${drawn};
const [best] = await model.classify(${drawing});
console.log(JSON.stringify({ threads: backend.threads, y, best }));
backend.dispose();
`;
}

const inNode = 'import { readFile as read } from "node:fs/promises";';
const inDeno = "const read = Deno.readFile;";

/** What the library itself says. */
async function expected() {
  using backend = await createBackend({ threads: 1 });
  using model = await AlexNet.load({ backend });
  const data = Uint8Array.from({ length: 18900 }, drawn);
  const [best] = await model.classify({ width: 90, height: 70, data });
  return best;
}

Deno.test("bundles", async (t) => {
  await using folder = await TempFolder.make();
  const { path } = folder;
  const printed = await tool("dist", path);
  const best = await expected();

  function agrees(text: string, threads: number) {
    const found = JSON.parse(text);
    assertEquals([found.threads, found.y], [threads, 4321]);
    assertEquals(found.best.label, best.label);
    // another build may have computed it: fused multiplications and additions round once
    assertAlmostEquals(found.best.probability, best.probability, 1e-4);
  }

  await t.step("their sizes are printed, and what a page loads is at most 150 kB", () => {
    assertMatch(printed, /^pembroke\.js .+ gzipped$/m);
    const loaded = /^what a page loads at most +([\d.]+) kB gzipped$/m.exec(printed)?.[1];
    assertEquals(Number(loaded) <= 150, true, printed);
  });

  await t.step("the library runs in Node, on threads", async () => {
    const file = await folder.write("a.mjs", program({ options: "{ threads: 2 }", read: inNode }));
    agrees(await output("node", [file], path), 2);
  });

  await t.step("the one without kernels takes a module, in Node", async () => {
    const options = '{ module: new WebAssembly.Module(await read("simd.wasm")) }';
    const text = program({ bundle: "pembroke.module.js", options, read: inNode });
    agrees(await output("node", [await folder.write("b.mjs", text)], path), 1);
  });

  await t.step("the one without kernels says what it needs", async () => {
    const text = `import { createBackend } from "./pembroke.module.js";
await createBackend().catch((error) => console.log(error.message));`;
    const line = await output("node", [await folder.write("c.mjs", text)], path);
    assertMatch(line, /pass a WebAssembly\.Module as `module`/);
  });

  const deno = (file: string, ...flags: string[]) =>
    output(Deno.execPath(), ["run", "--quiet", "--no-prompt", ...flags, file], path);

  await t.step(
    "the library runs in Deno, on threads, without permission for anything",
    async () => {
      const file = await folder.write("d.js", program({ options: "{ threads: 2 }", read: inDeno }));
      agrees(await deno(file, "--allow-read"), 2);
    },
  );

  await t.step("the types are those of the library", async () => {
    const head =
      '// @ts-types="./pembroke.d.ts"\nimport { AlexNet, createBackend, type Prediction }';
    const lines = (type: string) =>
      `${head} from "./pembroke.js";
using backend = await createBackend();
using model = await AlexNet.load({ backend, weights: "a.pth", precision: "int8" });
const best: ${type}[] = await model.classify(new Float32Array(3));
console.log(best);`;
    await folder.write("right.ts", lines("Prediction"));
    await folder.write("wrong.ts", lines("string"));
    await output(Deno.execPath(), ["check", "--quiet", "right.ts"], path);
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "wrong.ts"],
      cwd: path,
      stderr: "null",
    }).output();
    assertEquals(code, 1);
  });

  await t.step("without the kernels for threads there is one thread", async () => {
    for (const name of ["relaxed", "simd"]) {
      await Deno.remove(`${path}/pembroke.threads.${name}.js`);
    }
    const file = await folder.write("e.js", program({ options: "{ threads: 2 }", read: inDeno }));
    agrees(await deno(file, "--allow-read"), 1);
  });
});
