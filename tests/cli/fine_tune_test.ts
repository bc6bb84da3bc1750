/** `learn --fine-tune` and `--head-only`. */

import { blocksOf } from "../../src/cli/fine_tune.ts";
import { decodeImage } from "../../src/image/decode.ts";
import { createBackend } from "../../src/backend/mod.ts";
import { readCommand } from "../../src/cli/args.ts";
import { selectModel } from "../../src/cli/model.ts";
import { loadModel } from "../../src/models/load_model.ts";
import { createModel } from "../../src/models/registry.ts";
import { saveModel } from "../../src/models/save_model.ts";
import { assert, assertAlmostEquals, assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { ioError } from "../faults/inject.ts";
import { writeLabelled } from "./labelled_photos.ts";
import { fixture, run, TempFolder, theError } from "./run.ts";

const weights = new URL("../../weights/alexnet_tiny.safetensors", import.meta.url);

Deno.test("blocksOf() names the parts of networks, without the last layer", () => {
  using resnet = createModel("resnet18"), squeezenet = createModel("squeezenet1_1");
  assertEquals(blocksOf(resnet).slice(-3), ["layer3.1", "layer4.0", "layer4.1"]);
  assertEquals(blocksOf(resnet)[0], "conv1");
  assertEquals(blocksOf(squeezenet).slice(-2), ["features.11", "features.12"]);
});

Deno.test("learn --fine-tune changes only the last blocks, and goes on after an interruption", async () => {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 4);
  const args = (output: string) => [
    ...["learn", "--from", "alexnet-tiny", "--fine-tune", "1", "--epochs", "2"],
    ...["--precision", "f32", `${folder.path}/photos`, "-o", `${folder.path}/${output}`],
  ];
  const whole = { PEMBROKE_CACHE: `${folder.path}/cache1` };
  const { code, stderr } = await run(args("a.safetensors"), { env: whole });
  assertEquals(code, 0, stderr);
  const both =
    /(\d) of 3 photos right with the last layer alone, (\d) with fine-tuning; kept (.*)\n/;
  const [, alone, tunedRight, kept] = both.exec(stderr) ?? [];
  assertEquals([kept, tunedRight >= alone], ["the fine-tuned network", true], stderr);
  const expected = await Deno.readFile(`${folder.path}/a.safetensors`);

  using tuned = await loadModel({ weights: `${folder.path}/a.safetensors` });
  using base = await loadModel({ weights, precision: "f32" });
  const changed: string[] = [];
  for (const [name, { tensor }] of base.stateDict()) {
    if (name.startsWith(`${base.head.name}.`)) continue;
    const before = await tensor!.read(), after = await tuned.stateDict().get(name)!.tensor!.read();
    if (after.some((value, i) => value !== before[i])) changed.push(name);
  }
  const [last] = blocksOf(base).slice(-1);
  assert(changed.length > 0 && changed.every((name) => name.startsWith(`${last}.`)), `${changed}`);

  // killed after the first epoch, when it has stored a checkpoint
  const env = { PEMBROKE_CACHE: `${folder.path}/cache2` };
  const preload = await folder.write(
    "kill.ts",
    `const { rename } = Deno;
Deno.rename = async (from, to) => {
  await rename(from, to);
  if (/features.*\\.safetensors$/.test(String(to))) Deno.kill(Deno.pid, "SIGKILL");
};`,
  );
  const killed = await run(args("b.safetensors"), { env, flags: ["-A", "--preload", preload] });
  assert(!/bytes|fine-tuning;/.test(killed.stdout + killed.stderr), killed.stderr);
  const checkpoints = async () => {
    const files = await Array.fromAsync(Deno.readDir(`${env.PEMBROKE_CACHE}/features`))
      .catch(() => []);
    return files.filter(({ name }) => name.endsWith(".safetensors")).length;
  };
  assertEquals(killed.code, 128 + 9);
  assertEquals(await checkpoints(), 1);
  assertEquals((await run(args("b.safetensors"), { env })).code, 0);
  assertEquals(await checkpoints(), 0);
  const actual = await Deno.readFile(`${folder.path}/b.safetensors`);
  assert(actual.length === expected.length && actual.every((byte, i) => byte === expected[i]));

  const many = ["learn", "-q", "--from", "alexnet-tiny", "--fine-tune", "99", "-o"];
  for (const name of ["a", "b"]) await folder.write(`bad/${name}/1.png`, "no photo"); // is not read
  const bad = [`${folder.path}/c.safetensors`, `${folder.path}/bad`];
  const line = theError(await run([...many, ...bad], { env }), 2);
  assertMatch(line, /^--fine-tune is 99, but alexnet-tiny has \d+ blocks$/);
});

Deno.test("learn --fine-tune goes on if the cache is full", async () => {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 1);
  const output = `${folder.path}/a.safetensors`, cache = `${folder.path}/cache`;
  const tuning = ["--from", "alexnet-tiny", "--fine-tune", "1", "--epochs", "1"];
  const { rename } = Deno;
  let checkpoints = 0;
  Deno.rename = async (from, to) => {
    if (!String(to).startsWith(cache)) return await rename(from, to);
    checkpoints++;
    throw ioError();
  };
  try {
    const args = ["learn", "-q", ...tuning, `${folder.path}/photos`, "-o", output];
    const { code, stderr } = await run(args, { env: { PEMBROKE_CACHE: cache } });
    assertEquals([code, stderr, checkpoints], [0, "", 1]);
  } finally {
    Deno.rename = rename;
  }
  assert((await Deno.stat(output)).size > 0);
  const left = await Array.fromAsync(Deno.readDir(`${cache}/features`), ({ name }) => name);
  assertEquals(left.filter((name) => !name.endsWith(".bin")), []);
});

Deno.test("learn --head-only makes a small file that finds its network", async () => {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 4);
  const photos = `${folder.path}/photos`, output = `${folder.path}/head.safetensors`;
  const learn = ["learn", "--from", "alexnet-tiny", "--head-only", photos, "-o", output];
  const { code, stdout, stderr } = await run(learn);
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /head\.safetensors: 3 classes, f16, only the last layer, \d+ bytes, /);
  assert((await Deno.stat(output)).size < 10_000);
  const photo = `${photos}/coffee/1.png`;
  const classified = await run(["-q", "-k", "1", "--weights", output, photo]);
  assertMatch(classified.stdout, / coffee\n$/);
  // another network
  const other = fixture("models/narrow_alexnet.pth");
  const line = theError(await run(["-q", "--weights", output, "--base", other, photo]), 1);
  assert(!line.includes("unexpected"), line);
  const alone = theError(await run(["--base", other, photo]), 2);
  assertEquals(alone, "--base needs --weights, a file with only a last layer");
  const whole = theError(await run(["-q", "--weights", other, "--base", other, photo]), 2);
  assertMatch(whole, /^--base is for weights with only a last layer, but .* has all layers/);
});

Deno.test("a file of learn --head-only from an ONNX network works with --base", async () => {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 2);
  const base = fixture("networks/squeezenet1_1.onnx"), photos = `${folder.path}/photos`;
  const head = `${folder.path}/head.safetensors`, photo = `${photos}/coffee/1.png`;
  const learn = ["learn", "-q", "--from", base, "--head-only", photos, "-o", head];
  assertEquals((await run(learn)).code, 0);
  const alone = theError(await run(["-q", "--weights", head, photo]), 1);
  assertMatch(alone, /: holds only the last layer of an ONNX network; pass the file .* --base$/);

  using model = await loadModel({ weights: head, base });
  const expected = await model.classify(await decodeImage(await Deno.readFile(photo)));
  const joined = ["-q", "--weights", head, "--base", base];
  const { stdout } = await run([...joined, "--jsonl", photo]);
  const { predictions } = JSON.parse(stdout);
  assertEquals(
    predictions.map(({ label }: { label: string }) => label),
    expected.map(({ label }) => label),
  );
  for (const [i, { probability }] of expected.entries()) {
    assertAlmostEquals(predictions[i].probability, probability, 1e-4);
  }
  const classes = await folder.write("classes.txt", "a\nb\nc\n");
  const named = await run([...joined, "--classes", classes, "--precision", "int8", photo]);
  assertMatch(named.stdout, / [abc]\n.* [abc]\n.* [abc]\n$/);
  assertMatch((await run(["summary", ...joined])).stdout, / → 3 features/);

  // learning starts from both files, too
  const next = `${folder.path}/next.safetensors`, both = ["--from", head, "--base", base];
  assertEquals((await run(["learn", "-q", ...both, "--head-only", photos, "-o", next])).code, 0);
  using again = await loadModel({ weights: next, base });
  assertEquals(again.numClasses, 3);
});

Deno.test({
  name: "a file with only a last layer is closed, too",
  sanitizeResources: true,
  fn: async () => {
    await using folder = await TempFolder.make();
    using backend = await createBackend({ device: "wasm", threads: 1 });
    using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
    const base = await folder.write("base.safetensors", await saveModel(model));
    const head = await folder.write("head.safetensors", await saveModel(model, { headOnly: true }));
    const options = await readCommand(["summary", "--weights", head, "--base", base]);
    assert(options.command === "summary");
    using selected = await selectModel(options);
    assertEquals(selected.name, "alexnet-tiny");
  },
});

Deno.test("learn --fine-tune rejects a network whose values are not finite after the last step", async () => {
  await using folder = await TempFolder.make();
  await writeLabelled(folder, "photos", 2);
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = await loadModel({ backend, weights, precision: "f32" });
  // the last but one layer has gradients that overflow: its inputs are huge, its weights tiny
  for (const [name, factor] of [["features.10", 1e34], ["classifier.1", 1e-41]] as const) {
    for (const kind of ["weight", "bias"]) {
      const parameter = model.stateDict().get(`${name}.${kind}`)!;
      const scale = name === "classifier.1" && kind === "bias" ? 1e-7 : factor;
      parameter.write((await parameter.tensor!.read()).map((value) => value * scale));
    }
  }
  const from = await folder.write("from.safetensors", await saveModel(model));
  const output = `${folder.path}/a.safetensors`;
  const args = ["--from", from, "--fine-tune", "1", "--epochs", "1", `${folder.path}/photos`];
  assertEquals(
    theError(await run(["learn", "-q", ...args, "-o", output]), 1),
    "fine-tuning alexnet-tiny made classifier.1.weight not finite; leave out --fine-tune, or start " +
      "from other weights with --from",
  );
  await assertRejects(() => Deno.stat(output), Deno.errors.NotFound);
});
