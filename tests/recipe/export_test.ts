import { fileURLToPath } from "node:url";
import { createBackend } from "../../src/backend/mod.ts";
import { loadTensors } from "../../src/models/load.ts";
import { AlexNetTiny, loadModel } from "../../src/models/mod.ts";
import { bytesSource, openWeights } from "../../src/weights/mod.ts";
import { formatAccuracy, parseAccuracy, sumResults } from "../../weights/recipe/accuracy.ts";
import {
  type Calibration,
  calibrationError,
  parseCalibration,
} from "../../weights/recipe/calibration.ts";
import { imageDataset } from "../../weights/recipe/dataset.ts";
import { main as evaluateMain } from "../../weights/recipe/evaluate.ts";
import { main as exportMain } from "../../weights/recipe/export.ts";
import { type RecipeNetwork, recipes } from "../../weights/recipe/recipe.ts";
import { createRun, saveRun, withFinalValues } from "../../weights/recipe/run.ts";
import { readClasses, readSheets } from "../../weights/recipe/sheets.ts";
import { updateStatistics } from "../../weights/recipe/statistics.ts";
import { temperatureFor } from "../../weights/recipe/temperature.ts";
import { assert, assertAllClose, assertEquals, assertMatch, assertThrows } from "../assert.ts";
import { type Outcome, TempFolder } from "../cli/run.ts";
import { runHere, runTask } from "./tasks.ts";

const data = fileURLToPath(new URL("../fixtures/recipe", import.meta.url));

/** A checkpoint of alexnet-tiny, which several tests use. */
let alexnet: ReturnType<typeof trainCheckpoint> | undefined;
const alexnetCheckpoint = () => alexnet ??= trainCheckpoint("alexnet-tiny");

/** Trains a few steps on the fixtures. Returns the checkpoint, and the images with their logits. */
async function trainCheckpoint(network: RecipeNetwork) {
  const classes = await readClasses(data);
  const images = await readSheets(`${data}/val`, classes, { size: 64 });
  const statistics = new AlexNetTiny().preprocessing;
  using backend = await createBackend({ threads: 1 });
  const dataset = imageDataset(images, { statistics });
  using run = createRun(backend, dataset, classes, {
    ...recipes[network],
    batch: 4,
    lr: 0.02,
    epochs: 4,
    ...(network === "resnet-tiny" && { holdOut: 3, statisticsImages: 8 }),
  });
  for (let i = 0; i < 6; i++) await run.trainer.step();
  const checkpoint = await saveRun(run);
  const { length } = dataset, values = new Float32Array(length * 3 * 64 * 64);
  for (let i = 0; i < length; i++) {
    dataset.read(i, values.subarray(i * 12288, (i + 1) * 12288), undefined);
  }
  using x = backend.upload(values, [length, 3, 64, 64]);
  const logits = await withFinalValues(run, async () => {
    if (network === "resnet-tiny") {
      const plain = await readSheets(`${data}/train`, classes, {
        size: 64,
        perClass: 4,
        holdOut: 3,
      });
      await updateStatistics(run.model, imageDataset(plain, { statistics }), 4);
    }
    using y = run.model.eval().forward(x);
    return await y.read();
  });
  return { checkpoint, values, logits, length, images };
}

/** The expected calibration error of two classes, in 15 bins. */
function calibrationErrorOf(logits: Float32Array, labels: ArrayLike<number>): number {
  const differences = new Array(15).fill(0);
  for (let i = 0; i < labels.length; i++) {
    const margin = logits[2 * i + 1] - logits[2 * i];
    const probability = 1 / (1 + Math.exp(-Math.abs(margin)));
    const isRight = Number(margin > 0) === labels[i];
    differences[Math.min(Math.floor(probability * 15), 14)] += probability - Number(isRight);
  }
  return differences.reduce((sum, difference) => sum + Math.abs(difference), 0) / labels.length;
}

Deno.test("exported models give the logits and accuracy of the trained network", async () => {
  await using folder = await TempFolder.make();
  const { checkpoint, values, logits, length, images } = await alexnetCheckpoint();
  const source = await folder.write("checkpoint.safetensors", checkpoint);
  const largest = Math.max(...logits.map(Math.abs));
  using backend = await createBackend({ threads: 1 });
  const sizes: Record<string, number> = {};
  const files: string[] = [];
  for (const [dtype, tolerance] of [["f32", 1e-4], ["f16", 5e-3], ["i8", 0.05]] as const) {
    const path = `${folder.path}/${dtype}.safetensors`;
    const args = dtype === "i8" ? [] : ["--weights", dtype];
    const { code, stdout, stderr } = await runHere(
      exportMain,
      ...["--data", data, ...args, source, path],
    );
    assertEquals([code, stderr], [0, ""]);
    sizes[dtype] = (await Deno.stat(path)).size;
    assertEquals(stdout, `${path}: ${sizes[dtype].toLocaleString("en-US")} bytes\n`);
    files.push(path);

    using model = await loadModel({ backend, weights: path });
    assert(model instanceof AlexNetTiny);
    assertEquals(model.leaves().some(([, { type }]) => type === "BatchNorm2d"), false);
    assertEquals(model.classes, await readClasses(data));
    using x = backend.upload(values, model.inputShape(length));
    using y = model.forward(x);
    assertAllClose(await y.read(), logits, { abs: tolerance * largest });
  }
  assert(sizes.f32 > 1.9 * sizes.f16 && sizes.f16 > 1.9 * sizes.i8);
  using file = await openWeights(bytesSource(await Deno.readFile(files[2]), "x"));
  assertEquals(JSON.parse(file.metadata.get("recipe")!).lr, 0.02);

  // Evaluate these files.
  const tsv = `${folder.path}/accuracy.tsv`;
  const { code, stdout, stderr } = await runHere(
    evaluateMain,
    ...["--data", data, "--tsv", tsv, ...files],
  );
  assertEquals([code, stderr], [0, ""]);
  let correct = 0;
  for (let i = 0; i < length; i++) {
    correct += Number(Number(logits[2 * i + 1] > logits[2 * i]) === images.labels[i]);
  }
  const share = `${(correct / length * 100).toFixed(2)} %`;
  const error = `${(100 * calibrationErrorOf(logits, images.labels)).toFixed(2)} %`;
  const [first, second, third, last] = stdout.split("\n");
  assertEquals(
    first,
    `${files[0]}: top-1 ${share}, top-5 100.00 % of ${length} images; calibration error ${error}`,
  );
  const same = `${files[1]}: top-1 ${share}, top-5 100.00 % of ${length} images, +0.00 points; `;
  assertEquals(second.startsWith(`${same}calibration error `), true, second);
  assertMatch(third, /, [+−]\d+\.\d\d points; calibration error \d+\.\d\d %$/);
  assertEquals(last, "");
  const results = parseAccuracy(await Deno.readTextFile(tsv), tsv);
  assertEquals(results.map(({ wnid }) => wnid), ["n00000001", "n00000002"]);
  assertEquals(sumResults(results).count, length);
  assert(third.includes(`top-1 ${(sumResults(results).top1 / length * 100).toFixed(2)} %`), third);
});

Deno.test("the export of resnet-tiny fits statistics to plain images, and a temperature to those held out", async () => {
  await using folder = await TempFolder.make();
  const { checkpoint, values, logits, length } = await trainCheckpoint("resnet-tiny");
  const source = await folder.write("checkpoint.safetensors", checkpoint);
  const path = `${folder.path}/resnet.safetensors`, classes = await readClasses(data);
  const exported = await runHere(exportMain, "--data", data, "--weights", "f32", source, path);
  assertEquals([exported.code, exported.stderr], [0, ""]);

  using backend = await createBackend({ threads: 1 });
  using model = await loadModel({ backend, weights: path });
  assertEquals([model.type, model.classes], ["resnet-tiny", classes]);
  assertMatch(exported.stdout, new RegExp(`bytes, temperature ${model.temperature}\n$`));
  const largest = Math.max(...logits.map(Math.abs));
  using x = backend.upload(values, model.inputShape(length));
  using y = model.forward(x);
  assertAllClose(await y.read(), logits, { abs: 1e-4 * largest });
  const heldOut = await readSheets(`${data}/train`, classes, {
    size: 64,
    holdOut: 3,
    heldOut: true,
  });
  assertEquals(model.temperature, await temperatureFor(model, heldOut));

  const table = `${folder.path}/calibration.tsv`;
  const args = ["--data", data, "--calibration", table, path];
  const { stdout } = await runHere(evaluateMain, ...args);
  const [with_, without] = parseCalibration(await Deno.readTextFile(table), table);
  assertEquals([with_.temperature, without.temperature], [model.temperature, 1]);
  assertEquals(without.bins.reduce((sum, { images }) => sum + images, 0), length);
  const percent = (calibration: Calibration) =>
    `${(100 * calibrationError(calibration)).toFixed(2)} %`;
  const found = `calibration error ${percent(with_)}, ${percent(without)} without the temperature`;
  assertEquals(stdout.endsWith(`; ${found} ${model.temperature}\n`), true, stdout);
});

Deno.test("a checkpoint in the middle of an epoch is exported", async () => {
  await using folder = await TempFolder.make();
  const classes = await readClasses(data), path = `${folder.path}/model.safetensors`;
  const images = await readSheets(`${data}/val`, classes, { size: 64 });
  using backend = await createBackend({ threads: 1 });
  const dataset = imageDataset(images, { statistics: new AlexNetTiny().preprocessing });
  using run = createRun(backend, dataset, classes, { ...recipes["alexnet-tiny"], batch: 2 });
  await run.trainer.step();
  assertEquals(run.trainer.state.batch, 1);
  const source = await folder.write("checkpoint.safetensors", await saveRun(run));
  const { code, stderr } = await runHere(exportMain, "--data", data, source, path);
  assertEquals([code, stderr], [0, ""]);
});

Deno.test("export and evaluate report errors in one line", async () => {
  await using folder = await TempFolder.make();
  const { checkpoint } = await alexnetCheckpoint();
  const source = await folder.write("run.safetensors", checkpoint);
  const assertError = async (code: number, reason: RegExp, task: Promise<Outcome>) => {
    const outcome = await task;
    assertMatch(outcome.stderr, reason);
    assertEquals([outcome.code, outcome.stderr.trimEnd().split("\n").length], [code, 1]);
  };
  const exporting = (...args: string[]) => runHere(exportMain, "--data", ...args);
  const evaluating = (...args: string[]) => runHere(evaluateMain, "--data", ...args);
  // as programs
  await assertError(
    2,
    /^error: usage: deno task export/,
    runTask("export", "--data", data, source),
  );
  await assertError(2, /^error: --data FOLDER is missing/, runTask("evaluate"));

  const dtype = /--weights is "i4", must be i8, f16 or f32/;
  await assertError(2, dtype, exporting(data, "a", "b", "--weights=i4"));
  await assertError(1, /gone\.safetensors: no such file/, exporting(data, "gone.safetensors", "b"));
  await assertError(1, /classes\.tsv: no such file/, exporting(folder.path, source, "b"));
  await assertError(2, /--per-class is "0"/, evaluating(data, "--per-class", "0"));
  const training = /run\.safetensors: is a training checkpoint, not a model/;
  await assertError(1, training, evaluating(data, source));
  const bundled = /the bundled model: does not have the class n00000001/;
  await assertError(1, bundled, evaluating(data));
});

Deno.test("a checkpoint has optimiser state, so a model cannot load it", async () => {
  const { checkpoint } = await alexnetCheckpoint();
  using file = await openWeights(bytesSource(checkpoint, "run"));
  assert([...file.entries.keys()].some((name) => name.startsWith("optimizer.")));
  using backend = await createBackend({ threads: 1 });
  using model = new AlexNetTiny({ numClasses: 2, batchNorm: true });
  const error = await loadTensors(model, backend, file).then(() => "", String);
  assertMatch(error, /optimizer\..* is not a parameter of alexnet-tiny/);
});

Deno.test("parseAccuracy() parses the text of formatAccuracy(), and rejects other text", () => {
  const results = [
    { wnid: "n1", label: "a cat, a tabby", count: 25, top1: 10, top5: 20 },
    { wnid: "n2", label: "a dog", count: 25, top1: 0, top5: 25 },
  ];
  const text = formatAccuracy(results);
  assertEquals(parseAccuracy(text, "x"), results);
  assertEquals(sumResults(results), { count: 50, top1: 10, top5: 45 });
  assertThrows(() => parseAccuracy("a\tb\n", "x"), Error, "x: is not an accuracy table");
  for (
    const line of ["n1\ta\t25\t10", "n1\ta\t25\t10\tten", "n1\ta\t25\t26\t20", "n1\ta\t5\t1\t6"]
  ) {
    const damaged = `${text.split("\n")[0]}\n${line}\n`;
    assertThrows(
      () => parseAccuracy(damaged, "x"),
      Error,
      "x: line 2 must be a class and three counts",
    );
  }
});
