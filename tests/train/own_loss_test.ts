/** Training and evaluating with the option `loss`: regression, several labels and autoencoders. */

import { type Backend, createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { Dropout, Linear, ReLU, Sequential } from "../../src/layers/mod.ts";
import { bceWithLogits, crossEntropy, mseLoss } from "../../src/ops/mod.ts";
import { createModel } from "../../src/models/registry.ts";
import { RandomGenerator } from "../../src/random.ts";
import type { Tensor } from "../../src/tensor.ts";
import {
  AdamW,
  arrayDataset,
  type Dataset,
  evaluate,
  fit,
  loadCheckpoint,
  saveCheckpoint,
  SGD,
  Trainer,
  type TrainerOptions,
} from "../../src/train/mod.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

type Loss = NonNullable<TrainerOptions["loss"]>;
const meanSquared: Loss = (output, { target }) => mseLoss(output, target);

/** Nine points with two coordinates, and the three numbers of each that a `Linear` can compute. */
function points(): Dataset {
  const values = new Float32Array(18), targets = new Float32Array(27);
  new RandomGenerator(1).uniform(values, -1, 1);
  for (let i = 0; i < 9; i++) {
    const [a, b] = values.subarray(2 * i);
    targets.set([a + b + 1, a - 2 * b, 3 - b], 3 * i);
  }
  return arrayDataset(values, targets, [2], { targetShape: [3] });
}

testOnEveryBackend("a trainer with mseLoss() does what a loop by hand does", async (backend) => {
  const data = points(), create = () => new Linear(2, 3).init(backend, { seed: 1 });
  using model = create(), optimizer = new SGD(model, { lr: 1 });
  const trainer = new Trainer(model, data, {
    optimizer,
    batchSize: 9,
    epochs: 60,
    loss: meanSquared,
    seed: 2,
  });
  const losses: number[] = [];
  for await (const { loss, accuracy } of trainer) {
    losses.push(loss);
    assertEquals(accuracy, NaN);
  }
  assert(losses[0] > 1 && losses.at(-1)! < 0.01, `${losses[0]} … ${losses.at(-1)}`);

  using same = create().train(), other = new SGD(same, { lr: 1 });
  const values = new Float32Array(18), targets = new Float32Array(27);
  for (let i = 0; i < 9; i++) {
    targets.set(await data.read(i, values.subarray(2 * i)) as Float32Array, 3 * i);
  }
  using x = backend.upload(values, [9, 2]), target = backend.upload(targets, [9, 3]);
  for (const expected of losses) {
    other.zeroGrad();
    using output = same.forward(x), result = mseLoss(output, target);
    same.backwardParameters(result.gradient);
    other.step();
    assertAlmostEquals((await result.loss.read())[0], expected, 1e-5); // in another order
  }
  const { loss, accuracy, top5 } = await evaluate(model, data, { loss: meanSquared, batchSize: 4 });
  assert(loss < losses.at(-1)!);
  assertEquals([accuracy, top5], [NaN, NaN]);
});

Deno.test("a trainer learns several labels of a sample, and one score of two classes", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const values = Float32Array.of(0, 0, 0, 1, 1, 0, 1, 1);
  const labels = [[0, 1, 0], [1, 0, 1], [1, 0, 1], [1, 1, 0]]; // or, equal, exclusive or
  const several = arrayDataset(values, labels.flat(), [2], { targetShape: [3] });
  const single = arrayDataset(values, [0, 1, 1, 0], [2]); // the target is the class
  const loss: Loss = (output, { target }) => bceWithLogits(output, target);
  for (const [data, scores] of [[several, 3], [single, 1]] as const) {
    using model = new Sequential([new Linear(2, 16), new ReLU(), new Linear(16, scores)])
      .init(backend, { seed: 1 });
    using optimizer = new AdamW(model, { lr: 0.05, weightDecay: 0 });
    const trainer = new Trainer(model, data, { optimizer, batchSize: 4, epochs: 150, loss });
    for await (const _ of trainer);
    using x = backend.upload(values, [4, 2]), logits = model.eval().forward(x);
    const found = Array.from(await logits.read(), (logit) => Number(logit > 0));
    assertEquals(found, scores === 3 ? labels.flat() : [0, 1, 1, 0]);
    assert((await evaluate(model, data, { loss })).loss < 0.1);
  }
});

/** A run of an autoencoder of noisy waves, with dropout. */
function autoencoder(backend: Backend, options: Partial<TrainerOptions> = {}): Trainer {
  const waves: Dataset = {
    length: 20,
    sampleShape: [16],
    targetShape: [16],
    read(index, values, generator) {
      const clean = Float32Array.from({ length: 16 }, (_, t) => Math.sin(t / 2 + index));
      generator?.uniform(values, -0.2, 0.2);
      for (let t = 0; t < 16; t++) values[t] = clean[t] + (generator ? values[t] : 0);
      return clean;
    },
  };
  const model = new Sequential([
    new Linear(16, 16),
    new ReLU(),
    new Dropout(0.1),
    new Linear(16, 4),
    new Linear(4, 16),
  ]).init(backend, { seed: 1 });
  const optimizer = new AdamW(model, { lr: 0.02 });
  return new Trainer(model, waves, {
    optimizer,
    batchSize: 8,
    epochs: 40,
    loss: meanSquared,
    ...options,
  });
}

testOnEveryBackend("an autoencoder learns, also from a checkpoint", async (backend) => {
  const whole = autoencoder(backend), expected: number[] = [];
  while (whole.state.epoch < 40) expected.push((await whole.step()).loss);
  const { loss } = await evaluate(whole.model, whole.dataset, { loss: meanSquared });
  assert(loss < 0.05, `${loss}`); // 0.5 is the mean square of a sine

  const first = autoencoder(backend), losses: number[] = [];
  for (let i = 0; i < 5; i++) losses.push((await first.step()).loss); // in the second epoch
  const second = autoencoder(backend);
  await loadCheckpoint(second, await saveCheckpoint(first));
  while (second.state.epoch < 3) losses.push((await second.step()).loss);
  assertEquals(losses, expected.slice(0, losses.length));
  for (const { model, options: { optimizer } } of [whole, first, second]) {
    model.dispose();
    optimizer.dispose();
  }
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("a checkpoint of a classifier continues with another loss, and the reverse", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend), optimizer = new SGD(model, { lr: 0.1 });
  const data = arrayDataset(new Float32Array([1, 0, 0, 1]), [0, 1], [2]);
  const create = (loss?: Loss) =>
    new Trainer(model, data, { optimizer, batchSize: 1, epochs: 3, loss });
  const smooth: Loss = (output, { labels }) =>
    crossEntropy(output, labels, { labelSmoothing: 0.1 });
  for (const [before, after] of [[undefined, smooth], [smooth, undefined]]) {
    const first = create(before), second = create(after);
    await first.step();
    await loadCheckpoint(second, await saveCheckpoint(first));
    const { accuracy, batch } = await second.step();
    assertEquals([Number.isNaN(accuracy), batch], [after !== undefined, 2]);
  }
});

Deno.test("a loss gets the samples, the targets and the classes", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 3).init(backend), optimizer = new SGD(model, { lr: 0.1 });
  const classes = arrayDataset(new Float32Array([1, 2, 3, 4]), [7, 5], [2]);
  for (const data of [points(), classes]) {
    const seen: unknown[] = [];
    const loss: Loss = async (output, { x, target, labels }) => {
      const [values, targets] = [await x.read(), await target.read()];
      seen.push(x.shape, target.shape, labels.length);
      if (labels.length > 0) assertEquals(targets, Float32Array.from(labels));
      else assertAlmostEquals(targets[0], values[0] + values[1] + 1, 1e-6);
      using zero = backend.upload(new Float32Array(6), [2, 3]);
      return mseLoss(output, zero);
    };
    const trainer = new Trainer(model, data, { optimizer, batchSize: 2, epochs: 1, loss });
    await trainer.step();
    const isClasses = data === classes;
    assertEquals(seen, [[2, 2], isClasses ? [2, 1] : [2, 3], isClasses ? 2 : 0]);
  }
});

Deno.test("training refuses losses and targets that do not fit", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 3).init(backend), optimizer = new SGD(model, { lr: 0.1 });
  const create = (options: Partial<TrainerOptions>, data = points()) =>
    new Trainer(model, data, { optimizer, batchSize: 9, epochs: 1, ...options });
  const text = "targetShape is [3], must be left out for a dataset of classes";
  assertThrows(() => create({}), ArgumentError, `Trainer: ${text}`);
  await assertRejects(() => evaluate(model, points()), ArgumentError, `evaluate: ${text}`);
  using classifier = createModel("alexnet-tiny", { numClasses: 2 }).init(backend);
  await assertRejects(() => fit(classifier, points()), ArgumentError, `fit: ${text}`);
  for (const loss of [null, 3, {}] as unknown as Loss[]) {
    assertThrows(() => create({ loss }), ArgumentError, "Trainer: loss is ");
    await assertRejects(() => evaluate(model, points(), { loss }), ArgumentError, "loss is ");
  }
  const smoothing = { loss: meanSquared, labelSmoothing: 0.1 };
  assertThrows(() => create(smoothing), ArgumentError, "labelSmoothing is 0.1, must be left out");
  for (const targetShape of [[0], 3, null, ["3"]] as unknown as number[][]) {
    const data = { ...points(), targetShape };
    const wrong = () => create({ loss: meanSquared }, data);
    assertThrows(wrong, ArgumentError, "Trainer: targetShape is ");
  }

  await create({ loss: meanSquared }).step(); // allocates the gradients
  const before = backend.bytesInUse, weights = await model.parameters.weight.tensor!.read();
  const results: [text: string, loss: (output: Tensor) => unknown][] = [
    ["the result of loss() is undefined, must be { loss, gradient }", () => undefined],
    ["the result of loss() is 3", () => Promise.resolve(3)],
    ["the loss is undefined, must be a Tensor", (output) => ({ gradient: output })],
    ["the shape of the loss is [9, 3], must be [1]", (y) => ({ loss: y, gradient: y })],
    ["the gradient of the loss is undefined", () => ({ loss: backend.upload([1], [1]) })],
    ["the shape of the gradient of the loss is [1], must be [9, 3]", () => {
      return { loss: backend.upload([1], [1]), gradient: backend.upload([1], [1]) };
    }],
  ];
  for (const [text, loss] of results) {
    const trainer = create({ loss: loss as Loss });
    await assertRejects(() => trainer.step(), ArgumentError, `Trainer: ${text}`);
    const measured = evaluate(model, points(), { loss: loss as Loss });
    await assertRejects(() => measured, ArgumentError, `evaluate: ${text}`);
    assertEquals(backend.bytesInUse, before, text);
  }
  const reason = new Error("mine");
  const failing = create({ loss: () => Promise.reject(reason) });
  assertEquals(await failing.step().catch((error) => error), reason);
  assertEquals([backend.bytesInUse, await model.parameters.weight.tensor!.read()], [
    before,
    weights,
  ]);
});

Deno.test("datasets refuse targets that do not fit their shape", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 3).init(backend), optimizer = new SGD(model, { lr: 0.1 });
  const targets: [target: unknown, text: string][] = [
    [
      undefined,
      "the target of sample 0 is undefined, must be a list of 3 numbers, as targetShape says",
    ],
    [null, "the target of sample 0 is null"],
    ["abc", "the target of sample 0 is"],
    [{}, "the target of sample 0 is"],
    [7, "the number of numbers in the target of sample 0 is 1, must be a list of 3"],
    [[1, 2], "the number of numbers in the target of sample 0 is 2"],
    [new Float32Array(4), "the number of numbers in the target of sample 0 is 4"],
  ];
  const options = { optimizer, batchSize: 1, epochs: 1, loss: meanSquared };
  for (const [target, text] of targets) {
    const data: Dataset = { ...points(), length: 1, read: () => target as number[] };
    const trainer = new Trainer(model, data, options);
    await assertRejects(() => trainer.step(), ArgumentError, `Dataset: ${text}`);
  }
  const broken: Dataset = { ...points(), read: () => [1, NaN, 2] };
  const trainer = new Trainer(model, broken, options);
  await assertRejects(() => trainer.step(), PembrokeError, "its samples have values that are NaN");

  using one = new Linear(2, 1).init(backend), other = new SGD(one, { lr: 0.1 });
  const numbers: Dataset = { length: 2, sampleShape: [2], targetShape: [1], read: (i) => i + 0.5 };
  await new Trainer(one, numbers, { ...options, optimizer: other }).step();
  const wrong: [() => unknown, string][] = [
    [
      () => arrayDataset(new Float32Array(4), [1, 2, 3], [2], { targetShape: [2] }),
      "labels is 3, must be a multiple of 2",
    ],
    [
      () => arrayDataset(new Float32Array(4), [1, 2], [2], { targetShape: [2] }),
      "values is 4, must be 2, 2 for each of the 1 targets",
    ],
    [
      () => arrayDataset(new Float32Array(4), [1, 2], [2], { targetShape: [0] }),
      "targetShape is [0]",
    ],
    [() => arrayDataset(new Float32Array(4), [1, 2], [2], [2] as object), "options"],
  ];
  for (const [create, text] of wrong) assertThrows(create, ArgumentError, text);
});
