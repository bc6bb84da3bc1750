import { fileURLToPath } from "node:url";
import { bundledNetwork } from "../../src/models/bundled.ts";
import { assert, assertEquals } from "../assert.ts";
import { fixture, run, TempFolder } from "./run.ts";

const root = new URL("../../", import.meta.url);
const classifyBundled = ["--jsonl", "-m", bundledNetwork];
const photo = fileURLToPath(new URL("tests/photos/rocket.jpg", root));

/** The library's modules that a run evaluates, by path; Deno's coverage lists them. */
async function evaluated(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string[]> {
  await using folder = await TempFolder.make();
  const flags = ["-A", `--coverage=${folder.path}`];
  const { code, stderr } = await run(args, { flags, env: { DENO_COVERAGE_DIR: "", ...env } });
  assertEquals(code, 0, stderr);
  const urls: string[] = [];
  for await (const { name } of Deno.readDir(folder.path)) {
    urls.push(JSON.parse(await Deno.readTextFile(`${folder.path}/${name}`)).url);
  }
  return urls.filter((url) => url.startsWith(root.href)).map((url) => url.slice(root.href.length));
}

Deno.test("classifying a JPEG with the bundled model evaluates no module that it does not need", async () => {
  const modules = await evaluated([...classifyBundled, photo]);
  // loading a module takes a quarter of a millisecond
  assert(modules.length >= 100 && modules.length <= 155, `${modules.length} modules`);
  const unneeded = [
    /^src\/cli\/(args_explain|args_weights|convert|models|permissions|pull)\.ts$/,
    /^src\/cli\/(result_file|serve|summary|usage)\.ts$/,
    /^src\/(explain|hub|serve|train)\//,
    /^src\/backend\/webgpu(\/(?!adapter)|\.ts)/,
    /^src\/image\/codecs\/(?!jpeg|jsquash)/,
    /^src\/image\/threads\/(?!thread\.ts)/,
    /^src\/layers\/(mod|conv_transpose|pad|row_norm|softmax|upsample)\.ts$/,
    /^src\/models\/(alexnet|densenet|registry|resnet|vgg)\.ts$/,
    /^src\/models\/onnx\//,
    /^src\/weights\/(pth|onnx)\//,
    /^src\/weights\/.*writer\.ts$/,
  ];
  assertEquals(modules.filter((path) => unneeded.some((pattern) => pattern.test(path))), []);
  // Deno takes 15 to 50 ms to load the first of Node's modules
  for (const path of modules) {
    const text = await Deno.readTextFile(new URL(path, root));
    assert(!/^import (?!type)[^"]*"node:/m.test(text), path);
  }
});

Deno.test("the command loads what downloads need only before a download", async () => {
  await using folder = await TempFolder.make();
  await folder.write(".squeezenet.pembroke-failed", ""); // tried less than a day ago
  const modules = await evaluated(["--jsonl", photo], { PEMBROKE_CACHE: folder.path });
  assert(modules.includes("src/cli/download_once.ts"));
  const unneeded = /^src\/(hub\/pull|models\/(registry|onnx)|weights\/(convert|pth|onnx))\b/;
  assertEquals(modules.filter((path) => unneeded.test(path)), []);
});

Deno.test("the command has a limited number of modules", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-lock", fileURLToPath(new URL("cli.ts", root))],
    stdin: "null",
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout));
  // Deno reads all of them before it starts, in 0.07 ms each
  assert(modules.length >= 100 && modules.length <= 456, `${modules.length} modules`);
});

Deno.test("a PNG needs no codec of other formats", async () => {
  const modules = await evaluated([...classifyBundled, fixture("models/waves.png")]);
  const codecs = modules.filter((path) => path.startsWith("src/image/codecs/")).sort();
  const own = ["inflate.ts", "png.ts", "png_filter.ts"].map((name) => `src/image/codecs/${name}`);
  assertEquals(codecs, own);
});

Deno.test("classifying a photo reads no globals that Deno would have to load", async () => {
  await using folder = await TempFolder.make();
  // Deno loads Node's modules, images, and WebGPU if there is a GPU, when they are read
  const trap = await folder.write(
    "trap.ts",
    `const get = () => {
      console.error(new Error("read").stack);
      return undefined;
    };
    for (const name of ["process", "ImageData"]) {
      Object.defineProperty(globalThis, name, { get, configurable: true });
    }
    Object.defineProperty(Navigator.prototype, "gpu", { get, configurable: true });
    const { statSync } = Deno;
    Deno.statSync = (path) => {
      if (String(path).startsWith("/dev/")) throw new Deno.errors.NotFound();
      return statSync(path);
    };`,
  );
  const args = [...classifyBundled, "-q", photo];
  const { code, stdout, stderr } = await run(args, { flags: ["-A", "--preload", trap] });
  assertEquals([code, Deno.build.os === "linux" ? stderr : ""], [0, ""], stderr);
  assertEquals(JSON.parse(stdout).predictions.length, 5);
});
