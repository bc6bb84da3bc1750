import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import {
  BatchNorm1d,
  Conv2d,
  Dropout,
  Flatten,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
} from "../../src/layers/mod.ts";
import { createModel } from "../../src/models/registry.ts";
import { ranksOf } from "../../src/train/evaluate.ts";
import {
  AdamW,
  arrayDataset,
  type Dataset,
  evaluate,
  loadCheckpoint,
  type Optimizer,
  saveCheckpoint,
  SGD,
  Trainer,
} from "../../src/train/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnBuilds, testOnEveryBackend, testWithThreads } from "../backends.ts";
import { augmentedDataset, network, options, randomDataset } from "./runs.ts";

for (const test of [testOnBuilds, testWithThreads]) {
  test("Trainer fits a small network to 64 random images", async (backend) => {
    const losses: number[][] = [];
    for (let run = 0; run < 2; run++) {
      using model = network(backend);
      using optimizer = new SGD(model, { lr: 0.03, momentum: 0.9, nesterov: true });
      const trainer = new Trainer(model, randomDataset(), { ...options, optimizer, clipNorm: 5 });
      losses.push([]);
      for await (const { loss } of trainer) losses[run].push(loss);
      const { accuracy, top5, loss } = await evaluate(model, randomDataset(), { batchSize: 10 });
      assertEquals([accuracy, top5], [1, 1]);
      assert(loss < 0.1, `loss ${loss}`);
    }
    assertEquals(losses[0], losses[1]); // the same seed gives the same results
    assertEquals(backend.bytesInUse, 0);
  });
}

testOnEveryBackend("training steps leak no memory", async (backend) => {
  using model = new Sequential([
    new Conv2d(1, 2, 3),
    new ReLU(),
    new MaxPool2d(2),
    new Flatten(),
    new Dropout(),
    new Linear(2, 2),
  ])
    .init(backend);
  using optimizer = new AdamW(model);
  const data = arrayDataset(new Float32Array(4 * 16).fill(0.5), [0, 1, 0, 1], [1, 4, 4]);
  const trainer = new Trainer(model, data, { batchSize: 4, epochs: 1e6, optimizer });
  // Reading from a GPU is slow.
  const [first, steps] = backend.device === "webgpu" ? [10, 40] : [20, 100];
  for (let i = 0; i < first; i++) await trainer.step();
  const warm = backend.bytesInUse;
  for (let i = 0; i < steps; i++) await trainer.step();
  assertEquals(backend.bytesInUse, warm);
});

testOnEveryBackend("Trainer throws when the loss is not finite", async (backend) => {
  using model = network(backend);
  using optimizer = new SGD(model, { lr: 1e30 });
  const trainer = new Trainer(model, randomDataset(), { ...options, optimizer });
  await assertRejects(() => Array.fromAsync(trainer), PembrokeError, "lower the learning rate");
});

Deno.test("a learning rate that is not finite changes no weights", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = network(backend), optimizer = new SGD(model, { lr: 0.1 });
  const weights = async () => [...await model.stateDict().get("0.weight")!.tensor!.read()];
  const before = await weights();
  for (const rate of [undefined, NaN, Infinity]) {
    const schedule = () => rate as number;
    const trainer = new Trainer(model, randomDataset(), { ...options, optimizer, schedule });
    await assertRejects(
      () => trainer.step(),
      ArgumentError,
      "Trainer: the rate of the schedule is",
    );
    assertEquals([optimizer.lr, optimizer.steps, await weights()], [0.1, 0, before]);
  }
  optimizer.lr = NaN;
  assertThrows(() => optimizer.step(), ArgumentError, "Optimizer: lr is NaN");
  assertEquals([optimizer.steps, await weights()], [0, before]);
});

Deno.test("evaluate() beside a step does not change it", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const data = augmentedDataset();
  const run = async (beside: (model: Sequential) => Promise<unknown>) => {
    using model = network(backend, 0.5), optimizer = new SGD(model, { lr: 0.1 });
    const trainer = new Trainer(model, data, { ...options, optimizer });
    const [{ loss }] = await Promise.all([trainer.step(), beside(model)]);
    const values = [...model.stateDict().values()].map(({ tensor }) => tensor!.read());
    return { loss, values: await Promise.all(values) };
  };
  const alone = await run(async () => {});
  for (const batchSize of [2, 64]) {
    assertEquals(await run((model) => evaluate(model, data, { batchSize })), alone);
  }
});

Deno.test("a trainer runs one step at a time", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = network(backend), optimizer = new SGD(model, { lr: 0.1 });
  using trainer = new Trainer(model, randomDataset(), { ...options, optimizer, emaDecay: 0.9 });
  const saved = await saveCheckpoint(trainer), message = "wait until the step has ended";
  const first = trainer.step();
  for (
    const call of [
      () => trainer.step(),
      () => saveCheckpoint(trainer),
      () => loadCheckpoint(trainer, saved),
      () => trainer.withAverage(() => {}),
    ]
  ) {
    await assertRejects(call, PembrokeError, message);
  }
  assertEquals([(await first).batch, trainer.state.batch, optimizer.steps], [1, 1, 1]);
  await trainer.step(() => loadCheckpoint(trainer, saved)); // the step has ended
  assertEquals(trainer.state.batch, 0);
  const map = new Map() as never; // as files of weights have it
  await assertRejects(
    () => saveCheckpoint(trainer, map),
    ArgumentError,
    "metadata is [object Map]",
  );
});

Deno.test("a step that fails leaves the running statistics alone", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = network(backend), optimizer = new SGD(model, { lr: 0.1 });
  const data = randomDataset(), labels = [9, NaN, 0]; // 9 is no class
  const trainer = new Trainer(model, {
    ...data,
    async read(index, values) {
      await data.read(index, values);
      if (Number.isNaN(labels[0])) values.fill(NaN);
      return labels[0] || 0;
    },
  }, { ...options, optimizer });
  const parameters = model.stateDict();
  const statistics = () =>
    Promise.all(["mean", "var"].map((name) => parameters.get(`1.running_${name}`)!.tensor!.read()));
  const before = await statistics();
  await assertRejects(() => trainer.step(), PembrokeError, "a target is 9");
  assertEquals(await statistics(), before);
  labels.shift();
  await assertRejects(() => trainer.step(), PembrokeError, "its samples have values that are NaN");
  assertEquals(await statistics(), before);
  labels.shift();
  await trainer.step();
  assert((await statistics()).every((values, i) => values[0] !== before[i][0]));
});

Deno.test("a network that computes NaN classifies nothing correctly", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 3).init(backend);
  const data = arrayDataset(new Float32Array([1, 2, 3, 4]), [0, 1], [2]);
  // NaN for all classes, then for the last one only
  for (const bias of [[NaN, NaN, NaN], [1e30, 1e30, NaN]]) {
    model.parameters.bias!.write(Float32Array.from(bias));
    const { accuracy, loss } = await evaluate(model, data);
    assertEquals([accuracy, loss], [0, NaN]);
  }
  assertEquals(ranksOf(Float32Array.of(1, 3, 2, 3), [3]), [1]);
  assertEquals(ranksOf(Float32Array.of(NaN, NaN), [0]), [Infinity]);
});

Deno.test("the class of a sample is an integer", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend);
  for (const label of [undefined, null, NaN, 1.5, "1", 2 ** 32, 1n]) {
    const data = { length: 1, sampleShape: [2], read: () => label as number };
    const message = "Dataset: the class of sample 0 is ";
    await assertRejects(() => evaluate(model, data), ArgumentError, message);
  }
});

Deno.test("a trainer rejects the optimizer of another model, or of a replaced layer", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const layers = () => new Sequential([new Flatten(), new Linear(2, 2)]).init(backend);
  using model = layers(), other = layers();
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const options = { batchSize: 2, epochs: 1 };
  const create = (optimizer: Optimizer) => new Trainer(model, data, { ...options, optimizer });
  const wrong = new SGD(other, { lr: 1 }), message = 'a parameter of the optimizer is "1.weight"';
  assertThrows(() => create(wrong), ArgumentError, message);
  create(new AdamW(new Map([["last", model.stateDict().get("1.weight")!]])));
  using classifier = createModel("alexnet-tiny").init(backend);
  const early = new SGD(classifier, { lr: 1 });
  const late = () => new Trainer(classifier, data, { ...options, optimizer: early });
  const trainer = late(); // before its model has another layer
  classifier.replaceHead(["ant", "bee"]);
  const replaced =
    'a parameter of the optimizer is "classifier.4.weight", must be one of the model';
  assertThrows(late, ArgumentError, replaced);
  await assertRejects(() => trainer.step(), ArgumentError, replaced);
});

Deno.test("a trainer refuses to train nothing", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend), optimizer = new SGD(model, { lr: 1 });
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const create = () => new Trainer(model, data, { optimizer, batchSize: 2, epochs: 1 });
  const trainer = create(), message = "Trainer: the number of parameters to train is 0";
  model.freeze();
  assertThrows(create, ArgumentError, message);
  await assertRejects(() => trainer.step(), ArgumentError, message);
  model.unfreeze();
  await trainer.step();
});

Deno.test("a trainer forgets the input ranges behind trained layers", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const convolutions = [1, 2, 2].map((channels) => new Conv2d(channels, 2, 1));
  using model = new Sequential([...convolutions, new Flatten(), new Linear(2, 2)]).init(backend);
  const data = arrayDataset(new Float32Array(2), [0, 1], [1, 1, 1]);
  const rangesAfter = async (except: string[]) => {
    model.unfreeze().freeze({ except });
    using optimizer = new SGD(model, { lr: 1 });
    const trainer = new Trainer(model, data, { optimizer, batchSize: 2, epochs: 1 });
    const saved = await saveCheckpoint(trainer), kept: boolean[][] = [];
    for (const change of [() => trainer.step(), () => loadCheckpoint(trainer, saved)]) {
      for (const layer of convolutions) layer.inputRange = [0, 1];
      await change();
      kept.push(convolutions.map(({ inputRange }) => inputRange !== null));
    }
    assertEquals(kept[0], kept[1]);
    return kept[0];
  };
  assertEquals(await rangesAfter(["4"]), [true, true, true]);
  assertEquals(await rangesAfter(["1", "4"]), [true, true, false]);
  assertEquals(await rangesAfter(["0", "1", "2", "4"]), [true, false, false]);
});

Deno.test("dropLast leaves out a smaller last batch, and other samples in each epoch", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const read: number[] = [];
  const data: Dataset = {
    length: 9,
    sampleShape: [2],
    read(index, values) {
      read.push(index);
      values.fill(index);
      return index % 2;
    },
  };
  using model = new Sequential([new Linear(2, 4), new BatchNorm1d(4), new Linear(4, 2)])
    .init(backend, { seed: 1 });
  using optimizer = new SGD(model, { lr: 0.01 });
  const create = (batchSize: number, dropLast?: boolean, dataset = data) =>
    new Trainer(model, dataset, { optimizer, batchSize, dropLast, epochs: 6 });

  const usual = create(4);
  for (let i = 0; i < 2; i++) await usual.step();
  const text = "BatchNorm1d: the shape of x is [1, 4], must be more than one value per channel; ";
  const last = "the last batch has 1 sample: set dropLast or another batchSize";
  assertEquals((await assertRejects(() => usual.step(), ArgumentError)).message, text + last);
  const each = "each batch has 1 sample: set a larger batchSize";
  const single = create(1, true);
  assertEquals((await assertRejects(() => single.step(), ArgumentError)).message, text + each);

  const left = new Set<number>();
  for await (const { batch, batches, secondsLeft, epoch } of create(4, true)) {
    assertEquals([batch, batches, secondsLeft === 0], [2, 2, epoch === 5]);
    const trained = read.splice(-8);
    assertEquals(new Set(trained).size, 8);
    left.add([0, 1, 2, 3, 4, 5, 6, 7, 8].find((i) => !trained.includes(i))!);
  }
  assert(left.size > 1);
  await create(3, true).trainEpoch(); // all batches are whole
  assertEquals(new Set(read.splice(-9)).size, 9);

  const few = "batchSize is 10, must be at most 9, the samples of the dataset, with dropLast";
  assertThrows(() => create(10, true), ArgumentError, few);
  assertThrows(() => create(4, 1 as unknown as boolean), ArgumentError, "dropLast is 1");
});
