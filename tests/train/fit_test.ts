import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { Linear } from "../../src/layers/mod.ts";
import { createModel } from "../../src/models/registry.ts";
import { RandomGenerator } from "../../src/random.ts";
import { lowestLoss } from "../../src/train/cross_validate.ts";
import { arrayDataset } from "../../src/train/dataset.ts";
import { standardized, statisticsOf } from "../../src/train/feature_rows.ts";
import { fit, type FitOptions } from "../../src/train/fit.ts";
import { foldedWeights, trainLinears, UploadedRows } from "../../src/train/linear_head.ts";
import { pauses } from "../../src/train/pauses.ts";
import { assertAlmostEquals, assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { testOnFewBackends } from "../backends.ts";
import golden from "../fixtures/optimizers/linear.json" with { type: "json" };

const sampleShape = [3, 64, 64], size = 3 * 64 * 64;

/** Noise, darker at the top in the second class. */
function samples(count: number, seed: number) {
  const generator = new RandomGenerator(seed), values = new Float32Array(count * size);
  generator.normal(values, 0, 1);
  const labels = Array.from({ length: count }, (_, i) => i % 2);
  for (const [i, label] of labels.entries()) {
    for (let j = 0; j < size; j++) if (j % 4096 < 2048) values[i * size + j] += label ? 0.5 : -0.5;
  }
  return { values, labels };
}

testOnFewBackends("a linear layer is trained as by PyTorch's AdamW", async (backend) => {
  const { features, labels, rows, count, classes, lr, steps, runs } = golden;
  const all = { values: Float32Array.from(features), count, labels: Int32Array.from(labels) };
  assertEquals(all.values.length, rows * count);
  using uploaded = new UploadedRows(backend, all);
  for (const weightDecays of [runs.map((run) => run.weightDecay), [runs[1].weightDecay]]) {
    using linear = await trainLinears(uploaded, { classes, weightDecays, lr, steps });
    const weight = await linear.parameters.weight.tensor!.read();
    const bias = await linear.parameters.bias!.tensor!.read();
    for (const [k, decay] of weightDecays.entries()) {
      const run = runs.find(({ weightDecay }) => weightDecay === decay)!;
      for (const [i, w] of run.weight.entries()) {
        assertAlmostEquals(weight[k * classes * count + i], w, 1e-4, `weight ${i}, ${decay}`);
      }
      for (const [i, b] of run.bias.entries()) {
        assertAlmostEquals(bias[k * classes + i], b, 1e-4, `bias ${i}, ${decay}`);
      }
    }
  }
});

Deno.test("fit() learns classes, and the seed decides on all numbers", async () => {
  using backend = await createBackend({ device: "wasm" });
  const { values, labels } = samples(30, 1), dataset = arrayDataset(values, labels, sampleShape);
  const heads: Float32Array[] = [], progress: string[] = [];
  for (let run = 0; run < 2; run++) {
    using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
    const before = backend.bytesInUse;
    const result = await fit(model, dataset, {
      classes: ["day", "night"],
      batchSize: 8,
      onProgress: ({ phase, done, total }) => progress.push(`${phase} ${done}/${total}`),
    });
    assertEquals(backend.bytesInUse < before, true); // 2 classes instead of 200
    assertEquals(model.classes.map(({ label }) => label), ["day", "night"]);
    const { confusion, accuracy } = result;
    assertEquals(confusion.map((row) => row.reduce((a, b) => a + b)), [15, 15]);
    assertAlmostEquals(accuracy, (confusion[0][0] + confusion[1][1]) / 30, 1e-12);
    assertEquals(accuracy > 0.8, true, `accuracy ${accuracy}`);
    heads.push(await model.head.layer.parameters.weight.tensor!.read());

    // The weights for standardised features are folded into the layer.
    const test = samples(10, 2);
    using x = backend.upload(test.values, [10, ...sampleShape]), y = model.forward(x);
    const logits = await y.read();
    const right = test.labels.filter((label, i) =>
      Number(logits[2 * i + 1] > logits[2 * i]) === label
    );
    assertEquals(right.length >= 8, true, `${right.length} of 10`);
  }
  assertEquals(heads[0], heads[1]);
  assertEquals(progress.slice(0, progress.length / 2), [
    ...[8, 16, 24, 30].map((done) => `features ${done}/30`),
    ...[1, 2, 3, 4, 5, 6].map((done) => `training ${done}/6`),
  ]);
});

Deno.test("fit() measures with other samples, and without a choice of weight decay", async () => {
  using backend = await createBackend({ device: "wasm" });
  using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
  const [train, test] = [samples(20, 1), samples(12, 2)].map(({ values, labels }) =>
    arrayDataset(values, labels, sampleShape)
  );
  const classes = ["day", "night"];
  const options = { classes, validation: test, weightDecays: [1] };
  const result = await fit(model, train, { ...options, folds: 21 }); // more than samples, but unused
  assertEquals(result.weightDecay, 1);
  assertEquals(result.confusion.flat().reduce((a, b) => a + b), 12);
});

Deno.test("fit() matches the classes of validation by their names", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
  const rows = (labels: readonly number[], classes: FitOptions["classes"]) => {
    const values = Float32Array.from(
      { length: 1024 * labels.length },
      (_, i) => Math.sin(i % 512 * (labels[Math.floor(i / 1024)] + 1)),
    );
    return { ...arrayDataset(values, labels, [2, 512]), classes };
  };
  const dataset = rows([0, 1, 2, 0, 1, 2, 0, 1, 2], ["ant", "bee", "cat"]);
  const few = rows([1, 2, 2], ["bee", "cat"]); // without ants, so that bees have the label 0
  const validation: typeof few = {
    ...few,
    read: async (index, into) => Number(await few.read(index, into)) - 1,
  };
  const result = await fit(model, dataset, { validation, weightDecays: [1] });
  assertEquals([result.accuracy, result.confusion], [1, [[0, 0, 0], [0, 1, 0], [0, 0, 2]]]);
  const outside = { ...validation, classes: ["cat"] };
  const range = "the class of a sample is -1";
  await assertRejects(() => fit(model, dataset, { validation: outside }), ArgumentError, range);
  const other = { ...validation, classes: ["bee", "dog"] };
  const message = 'a class of validation is "dog", must be a class of the dataset';
  await assertRejects(() => fit(model, dataset, { validation: other }), ArgumentError, message);
});

Deno.test("fit() takes features, and tells what each step has learned", async () => {
  using backend = await createBackend({ device: "wasm" });
  const { values, labels } = samples(20, 1), classes = ["day", "night"], steps = 12;
  const dataset = arrayDataset(values, labels, sampleShape);
  const heads: Float32Array[] = [], results: unknown[] = [];
  using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
  const { featureCount } = model;

  // those of the samples, and of their mirror images
  const mirrored = Float32Array.from(values, (_, i) => values[i - i % 64 + 63 - i % 64]);
  const [features, ofMirrored] = await Promise.all([values, mirrored].map(async (values) => {
    using x = backend.upload(values, [20, ...sampleShape]), y = model.features(x);
    return await y.read();
  }));
  const both = new Float32Array(2 * features.length);
  for (let i = 0; i < 20; i++) {
    for (const [j, rows] of [features, ofMirrored].entries()) {
      both.set(
        rows.subarray(i * featureCount, (i + 1) * featureCount),
        (2 * i + j) * featureCount,
      );
    }
  }
  for (const given of [dataset, arrayDataset(both, labels, [2, featureCount])]) {
    const seen: Parameters<NonNullable<FitOptions["onStep"]>>[0][] = [];
    const { accuracy, loss, confusion, interval } = await fit(model, given, {
      classes,
      steps,
      validation: given,
      weightDecays: [10],
      batchSize: 20,
      onStep: (step) => seen.push(step),
    });
    assertEquals(seen.map(({ step }) => step), Array.from({ length: steps + 1 }, (_, i) => i));
    assertEquals(seen[0].steps, steps);
    assertAlmostEquals(seen[0].training.loss, Math.log(2), 1e-6); // of zeros
    assertEquals(seen[0].training.accuracy, 0.5);
    assertEquals(seen.at(-1)!.validation, { loss, accuracy });
    assertEquals(seen.at(-1)!.training.loss < 0.3, true);
    const right = Math.round(accuracy * 20);
    assertEquals(interval[0] <= right / 20 && right / 20 <= interval[1], true);
    assertEquals(interval[1] - interval[0] > 0.1, true);
    heads.push(await model.head.layer.parameters.weight.tensor!.read());
    results.push({ accuracy, confusion });
  }
  assertEquals(results[1], results[0]);
  for (const [i, value] of heads[1].entries()) assertAlmostEquals(value, heads[0][i], 1e-5);
});

Deno.test("fit() does not choose a weight decay with which training diverges", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
  const { featureCount } = model, values = new Float32Array(10 * 2 * featureCount);
  new RandomGenerator(1).normal(values, 0, 1);
  const labels = Array.from({ length: 10 }, (_, i) => i % 2);
  const dataset = arrayDataset(values, labels, [2, featureCount]), classes = ["a", "b"];
  for (const validation of [undefined, dataset]) {
    for (const weightDecays of [[1e9], [1e9, 1e12]]) {
      const options = { classes, folds: 2, weightDecays, validation };
      const error = await assertRejects(() => fit(model, dataset, options), PembrokeError);
      assertMatch(error.message, /; pass smaller weightDecays$|the weight decay is too large$/);
    }
  }
  assertEquals(model.numClasses, 200);
  const result = await fit(model, dataset, { classes, folds: 2, weightDecays: [1e9, 10] });
  assertEquals(result.weightDecay, 10);
  const scores = [NaN, Infinity, 2, 1, 1].map((loss) => ({ loss, correct: 0, confusion: [] }));
  assertEquals(lowestLoss(scores), 3);
});

Deno.test("a nearly constant feature gets a weight that fits in float16 and in 8 bits", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const generator = new RandomGenerator(1), rows = 20, count = 8;
  const values = new Float32Array(rows * count);
  generator.normal(values, 0, 1);
  for (let i = 0; i < rows; i++) values[i * count] = i === 3 ? 1e-7 : 0; // nearly constant
  for (let i = 0; i < rows; i++) values[i * count + 1] = 5; // constant
  for (let i = 0; i < rows; i++) values[i * count + 2] *= 0.2; // small
  const features = { values, count, labels: Int32Array.from({ length: rows }, (_, i) => i % 2) };
  const statistics = statisticsOf(features), { std } = statistics;
  assertAlmostEquals(std[0], 0.1 * 5.2 / 8, 0.02);
  assertEquals(std[1], 1);
  assertEquals(std[2] > 0.1 && std[2] < 0.4, true);
  using uploaded = new UploadedRows(backend, standardized(features, statistics));
  const options = { classes: 2, weightDecays: [1], lr: 0.05, steps: 20 };
  using linear = await trainLinears(uploaded, options);
  const { weight } = await foldedWeights(linear, statistics);
  assertEquals(weight.every((value) => Math.abs(value) < 65504), true, `${weight}`);
  assertEquals(weight[0] !== 0, true);
  assertEquals(Math.abs(weight[0]) < 4 * Math.abs(weight[2]), true, `${weight}`); // the step in 8 bits
});

Deno.test("trainLinears() takes the steps that it is told, and at least four for each batch", async () => {
  using backend = await createBackend({ device: "wasm" });
  for (const [rows, steps, expected] of [[10, 1, 1], [10, 60, 60], [1025, 1, 8], [1025, 9, 9]]) {
    const features = { values: new Float32Array(rows), count: 1, labels: new Int32Array(rows) };
    using uploaded = new UploadedRows(backend, features);
    const seen: number[][] = [];
    const onStep = (_: Linear, step: number, steps: number) => {
      seen.push([step, steps]);
      return Promise.resolve();
    };
    const options = { classes: 2, weightDecays: [1], lr: 0.05, steps, onStep };
    using _linear = await trainLinears(uploaded, options);
    assertEquals(seen.at(-1), [expected, expected], `${rows} rows, ${steps} steps`);
  }
});

Deno.test("fit() leaves the model alone when it is cancelled or refuses", async () => {
  using backend = await createBackend({ device: "wasm" });
  using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
  const { values, labels } = samples(10, 1), dataset = arrayDataset(values, labels, sampleShape);
  const classes = ["day", "night"], before = backend.bytesInUse;
  const abort = new AbortController();
  const cancelled = fit(model, dataset, {
    classes,
    signal: abort.signal,
    batchSize: 2,
    onProgress: () => abort.abort(new Error("stop")),
  });
  assertEquals((await assertRejects(() => cancelled, Error)).message, "stop");
  const late = new AbortController();
  const rows = arrayDataset(new Float32Array(10240), labels, [2, 512]);
  const onStep = ({ step, steps }: { readonly step: number; readonly steps: number }) => {
    if (step === steps) late.abort(new Error("late"));
  };
  const options = { classes, folds: 2, steps: 2, signal: late.signal, onStep };
  await assertRejects(() => fit(model, rows, options), Error, "late");
  await assertRejects(pauses(late.signal), Error, "late");
  const bad: [string, object, string][] = [
    ["classes", {}, "fit: classes is undefined, must be a list of at least two names"],
    ["labels", { classes, onStep: 1 }, "fit: onStep is 1, must be a function"],
    ["labels", { classes, signal: {} }, "fit: signal is [object Object], must be an AbortSignal"],
    ["labels", { classes, mirror: "no" }, 'fit: mirror is "no", must be true or false'],
    ["labels", { classes, seed: 0.5 }, "fit: seed is 0.5, must be an integer"],
    ["folds", { classes, folds: 1 }, "fit: folds is 1, must be an integer of at least 2"],
    [
      "few",
      { classes, folds: 11 },
      "fit: the length of the dataset is 10, must be 11 or more, the number of folds",
    ],
    ["decay", { classes, weightDecays: [-1] }, "fit: weightDecays is [-1], must be numbers that"],
    ["name", { classes: ["a", "a"] }, 'fit: the name of a class is "a", must be unique'],
  ];
  for (const [name, options, message] of bad) {
    const error = await assertRejects(() => fit(model, dataset, options), ArgumentError);
    assertEquals(error.message.slice(0, message.length), message, name);
  }
  const wrong = arrayDataset(values, labels, [3, 4096]);
  const error = await assertRejects(() => fit(model, wrong, { classes }), ArgumentError);
  assertEquals(
    error.message,
    "fit: sampleShape is [3, 4096], must be [3, 64, 64], or [2, 512] for features",
  );
  const high = arrayDataset(values, labels.map((label) => 2 * label), sampleShape);
  assertEquals(
    (await assertRejects(() => fit(model, high, { classes }), ArgumentError)).message,
    "fit: the class of a sample is 2, must be from 0 to 1",
  );
  const nothing = { length: 5, sampleShape, read: () => Promise.reject(new FileError("a", "b")) };
  await assertRejects(() => fit(model, nothing, { classes }), FileError);
  assertEquals(model.numClasses, 200);
  assertEquals(model.head.layer instanceof Linear, true);
  using x = backend.empty([1, ...sampleShape]);
  model.forward(x).dispose();
  assertEquals(backend.bytesInUse >= before, true);
});
