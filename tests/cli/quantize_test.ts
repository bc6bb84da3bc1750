/** `quantize`: int8 weights, with ranges from sample photos. */

import { createBackend } from "../../src/backend/mod.ts";
import { bundledWeights } from "../../src/models/bundled.ts";
import { Conv } from "../../src/layers/conv.ts";
import { createModel, loadModel, saveModel } from "../../src/models/mod.ts";
import { fileSource, openWeights } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertMatch } from "../assert.ts";
import { fixture, run, TempFolder, theError } from "./run.ts";

const narrow = fixture("models/narrow_alexnet.pth");
const photos = fixture("../photos");

async function metadataOf(path: string): Promise<Record<string, string>> {
  using file = await openWeights(await fileSource(path));
  return Object.fromEntries(file.metadata);
}

Deno.test("quantize without photos writes the file of convert --precision int8", async () => {
  await using folder = await TempFolder.make();
  const [a, b] = [`${folder.path}/a.safetensors`, `${folder.path}/b.safetensors`];
  const { code, stdout, stderr } = await run(["quantize", narrow, "-o", a]);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^\S+a\.safetensors: int8, \d+\.\d MB instead of \d+\.\d MB\n$/);
  await run(["convert", "--precision", "int8", narrow, b]);
  assertEquals(await Deno.readFile(a), await Deno.readFile(b));
  const quiet = ["quantize", "-q", narrow, `--output=${b}`];
  assertEquals(await run(quiet), { code: 0, stdout: "", stderr: "" });
});

Deno.test("quantize --calibrate stores the ranges of the photos that can be read", async () => {
  await using folder = await TempFolder.make();
  await folder.write("photos/broken.png", "no image");
  await folder.write("photos/notes.txt", "no image");
  await Deno.copyFile(`${photos}/chelsea.png`, `${folder.path}/photos/chelsea.png`);
  await Deno.copyFile(`${photos}/rocket.jpg`, `${folder.path}/photos/rocket.jpg`);
  const to = `${folder.path}/out.safetensors`, from = String(bundledWeights());
  const args = ["quantize", "--calibrate", `${folder.path}/photos`, from, "-o", to];
  const { code, stdout, stderr } = await run(args);
  assertEquals(code, 0, stderr);
  assertMatch(
    stdout,
    /out\.safetensors: int8, \d\.\d MB instead of \d\.\d MB; calibrated with 2 photos, the top class is the same for \d of them\n$/,
  );
  assertMatch(stderr, /^warning: \S+broken\.png: .+; skipped\n$/);
  const { input_ranges, architecture } = await metadataOf(to);
  assertEquals(architecture, "resnet-tiny");
  using model = await loadModel({ weights: to });
  const ranges = model.leaves().flatMap(([name, layer]) =>
    layer instanceof Conv && layer.inputRange ? [[name, layer.inputRange]] : []
  );
  assert(ranges.length > 0);
  assertEquals(JSON.parse(input_ranges), Object.fromEntries(ranges));
  // once more, from the file with ranges and onto itself
  const again = await run(["quantize", "-m", "resnet-tiny", to, "-o", to]);
  assertEquals([again.code, again.stderr], [
    0,
    `${to} was also the input, which is replaced now\n`,
  ]);
  assertEquals((await metadataOf(to)).input_ranges, input_ranges);
});

Deno.test("quantize --calibrate compares the classes that one score decides between", async () => {
  await using folder = await TempFolder.make();
  const from = `${folder.path}/one.safetensors`, to = `${folder.path}/out.safetensors`;
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const classes = [{ wnid: "", label: "cat" }, { wnid: "", label: "dog" }];
  using model = createModel("alexnet-tiny", { numClasses: 1, classes }).init(backend);
  const { weight, bias } = model.head.layer.parameters, count = model.featureCount;
  // the first feature is always 0, but its weight is so large that the others become 0 in 8 bits
  model.stateDict().get("classifier.1.bias")!.write(Float32Array.of(-1e6));
  weight.write(Float32Array.from({ length: count }, (_, i) => i > 0 ? 0.001 : 1));
  bias!.write(Float32Array.of(0));
  await Deno.writeFile(from, await saveModel(model));
  const args = ["quantize", "--calibrate", photos, from, "-o", to];
  assertMatch((await run(args)).stdout, /the top class is the same for 0 of them\n$/);
  using loaded = await loadModel({ backend, weights: to });
  assertEquals(loaded.classes, classes);
  assertEquals(loaded.outputShape(loaded.inputShape()), [1, 1]);
});

Deno.test("quantize --model keeps a linear head", async () => {
  await using folder = await TempFolder.make();
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel("squeezenet1_1").init(backend).replaceHead(["ant", "bee"]);
  const from = await folder.write("in.safetensors", await saveModel(model));
  const to = `${folder.path}/out.safetensors`;
  const { code, stderr } = await run(["quantize", "-m", "squeezenet1_1", from, "-o", to]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals((await metadataOf(to)).head, "linear");
  using same = await loadModel({ backend, weights: to });
  assertEquals(same.numClasses, 2);
});

Deno.test("wrong usage of quantize exits with 2 and one error", async () => {
  const errorOf = async (...args: string[]) => theError(await run(["quantize", ...args]), 2);
  const files = "quantize takes one file, and --output with another";
  assertEquals(await errorOf(), files);
  assertEquals(await errorOf("a.pth"), files);
  assertEquals(await errorOf("-o", "b.safetensors"), files);
  assertEquals(await errorOf("a.pth", "c.pth", "-o", "b.safetensors"), files);
  assertEquals(
    await errorOf("a.pth", "-o", "b.pth"),
    'quantize needs a .safetensors output, got "b.pth"',
  );
  assertEquals(
    await errorOf("a.pth", "-o", "b.safetensors", "--calibrate="),
    "--calibrate is empty, must be a folder",
  );
  assertMatch(await errorOf(narrow, "-o", "b.safetensors", "-m", "x"), /^--model is "x", must be/);
});

Deno.test("quantize says that outputs are not finite, and that a file cannot be written, at once", async () => {
  await using folder = await TempFolder.make();
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
  model.stateDict().get("classifier.1.bias")!.write(Float32Array.of(NaN));
  const from = await folder.write("from.safetensors", await saveModel(model));
  await Deno.mkdir(`${folder.path}/photos`);
  await Deno.copyFile(`${photos}/rocket.jpg`, `${folder.path}/photos/rocket.jpg`);
  const args = ["quantize", "-q", "--calibrate", `${folder.path}/photos`, from, "-o"];
  assertMatch(
    theError(await run([...args, `${folder.path}/out.safetensors`]), 1),
    /rocket\.jpg: alexnet-tiny computes an output that is not finite; quantize other weights$/,
  );
  const lost = `${folder.path}/no/out.safetensors`;
  assertEquals(theError(await run([...args, lost]), 1), `${lost}: its folder does not exist`);
});

Deno.test("quantize reports folders without photos in one error, and leaves no output", async () => {
  await using folder = await TempFolder.make();
  const from = String(bundledWeights()), to = `${folder.path}/out.safetensors`;
  await folder.write("empty/notes.txt", "");
  await folder.write("broken/a.png", "no image");
  const outcomeOf = (name: string) =>
    run(["quantize", "--calibrate", `${folder.path}/${name}`, from, "-o", to]);
  const errorOf = async (name: string) => theError(await outcomeOf(name), 1);
  assertMatch(await errorOf("gone"), /gone: no such file$/);
  assertMatch(await errorOf("empty/notes.txt"), /notes\.txt: is not a folder$/);
  assertMatch(await errorOf("empty"), /empty: no images in this folder \(JPEG/);
  const { code, stderr } = await outcomeOf("broken");
  assertEquals(code, 1);
  assertMatch(
    stderr,
    /^warning: .+a\.png: .+; skipped\nerror: .+broken: has no photo that can be read\n$/,
  );
  const quiet = ["quantize", "-q", "--calibrate", `${folder.path}/broken`, from, "-o", to];
  assertMatch(theError(await run(quiet), 1), /broken: has no photo that can be read$/);
  assertMatch(
    theError(await run(["quantize", "gone.pth", "-o", to]), 1),
    /^gone\.pth: no such file$/,
  );
  const names = await Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name);
  assertEquals(names.sort(), ["broken", "empty"]);
});
