import { type Backend, createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import {
  BatchNorm2d,
  Conv2d,
  Dropout,
  Flatten,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
} from "../../src/layers/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { ranksOf } from "../../src/train/evaluate.ts";
import {
  AdamW,
  arrayDataset,
  cosineSchedule,
  type Dataset,
  evaluate,
  loadCheckpoint,
  saveCheckpoint,
  SGD,
  Trainer,
  type TrainerOptions,
} from "../../src/train/mod.ts";
import { bytesSource, openWeights, writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { assertQuick } from "../quick.ts";
import { testOnBuilds, testOnEveryBackend, testWithThreads } from "../backends.ts";

/**
 * 64 random images of 2×8×8 with random labels from 4 classes. A network can only memorise them.
 */
function randomDataset(): Dataset {
  const generator = new RandomGenerator(1);
  const values = new Float32Array(64 * 2 * 8 * 8);
  generator.uniform(values, -1, 1);
  return arrayDataset(values, Array.from({ length: 64 }, () => generator.random() % 4), [2, 8, 8]);
}

/** The same dataset with an augmentation: each read adds noise. */
function augmentedDataset(): Dataset {
  const data = randomDataset();
  return {
    ...data,
    async read(index, values, generator) {
      const label = await data.read(index, values);
      const extra = new Float32Array(values.length);
      generator?.uniform(extra, -0.1, 0.1);
      for (let i = 0; i < values.length; i++) values[i] += extra[i];
      return label;
    },
  };
}

function network(backend: Backend, dropout = 0): Sequential {
  return new Sequential([
    new Conv2d(2, 8, 3, { padding: 1, bias: false }),
    new BatchNorm2d(8),
    new ReLU(),
    new MaxPool2d(3, { stride: 2, padding: 1 }),
    new Conv2d(8, 12, 3),
    new ReLU(),
    new Flatten(),
    new Dropout(dropout),
    new Linear(12 * 4, 4),
  ]).init(backend, { seed: 3 });
}

const options = { batchSize: 24, epochs: 40 } as const; // the last batch has 16 samples

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

const optimizers = {
  SGD: (model: Sequential) => new SGD(model, { lr: 0.05, momentum: 0.9, weightDecay: 1e-3 }),
  AdamW: (model: Sequential) => new AdamW(model, { lr: 0.01 }),
};

for (const [name, make] of Object.entries(optimizers)) {
  testOnEveryBackend(
    `a ${name} run resumed from checkpoints gives the losses of an uninterrupted run`,
    async (backend) => {
      const schedule = cosineSchedule({ lr: 0.05, steps: 12, warmUp: 2 });
      const createRun = () => {
        const model = network(backend, 0.3), optimizer = make(model);
        const trainer = new Trainer(model, augmentedDataset(), {
          ...options,
          epochs: 4,
          optimizer,
          schedule,
          seed: 7,
        });
        return { model, optimizer, trainer };
      };
      const whole = createRun();
      const expected: number[] = [];
      while (whole.trainer.state.epoch < 4) expected.push((await whole.trainer.step()).loss);

      const losses: number[] = [];
      let bytes: Uint8Array | undefined;
      for (const steps of [3, 4, 1, 4]) { // at the end of an epoch, and in the middle
        const { model, optimizer, trainer } = createRun();
        if (bytes) await loadCheckpoint(trainer, bytes);
        for (let i = 0; i < steps; i++) losses.push((await trainer.step()).loss);
        bytes = await saveCheckpoint(trainer);
        model.dispose();
        optimizer.dispose();
      }
      assertEquals(losses, expected);
      whole.model.dispose();
      whole.optimizer.dispose();
      assertEquals(backend.bytesInUse, 0);
    },
  );
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
    model.parameters.bias.write(Float32Array.from(bias));
    const { accuracy, loss } = await evaluate(model, data);
    assertEquals([accuracy, loss], [0, NaN]);
  }
  assertEquals(ranksOf(Float32Array.of(1, 3, 2, 3), [3]), [1]);
  assertEquals(ranksOf(Float32Array.of(NaN, NaN), [0]), [Infinity]);
});

Deno.test("saveCheckpoint() saves the run as it is when it is called", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = network(backend), optimizer = new SGD(model, { lr: 0.1, momentum: 0.9 });
  const trainer = new Trainer(model, randomDataset(), { ...options, optimizer });
  await trainer.step();
  const expected = await saveCheckpoint(trainer, { note: "a" });
  const metadata = { note: "a" }, saving = saveCheckpoint(trainer, metadata);
  metadata.note = "b";
  trainer.state.batch = 2;
  await trainer.step();
  assertEquals(await saving, expected);
});

Deno.test("a checkpoint keeps the position of the run", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = network(backend), optimizer = new SGD(model, { lr: 0.1 });
  const create = () => new Trainer(model, randomDataset(), { ...options, optimizer });
  const saved = create(), loaded = create();
  await saved.step();
  const bytes = await saveCheckpoint(saved);
  await loadCheckpoint(loaded, bytes);
  assertEquals(loaded.state, saved.state);
  using file = await openWeights(bytesSource(bytes, "run"));
  const { correct, ...position } = saved.state;
  assertEquals(JSON.parse(file.metadata.get("run")!).state, { ...position, right: correct });
});

Deno.test("loadCheckpoint() rejects positions that the run does not have", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const create = (batchSize: number, data: Dataset) => {
    const model = network(backend), optimizer = new SGD(model, { lr: 0.1 });
    return new Trainer(model, data, { optimizer, batchSize, epochs: 2 });
  };
  const data = randomDataset(), saved = create(24, data);
  await saved.step();
  await saved.step();
  const bytes = await saveCheckpoint(saved);
  const expected = "its epoch has finished 48 samples in 2 batches, but ";
  for (
    const [trainer, differs] of [
      [create(16, data), "batchSize is 16; create the trainer with"],
      [create(25, data), "batchSize is 25; create the trainer with"],
      [create(24, { ...data, length: 48 }), "the dataset has 48; create the trainer with"],
    ] as const
  ) {
    const valueOf = () => trainer.model.stateDict().get("0.weight")!.tensor!.read();
    trainer.model.stateDict().get("0.weight")!.write(new Float32Array(144).fill(7));
    await assertRejects(() => loadCheckpoint(trainer, bytes, "a"), FileError, expected + differs);
    assertEquals(await valueOf(), new Float32Array(144).fill(7));
    assertEquals([trainer.state.batch, trainer.options.optimizer.steps], [0, 0]);
  }
  const same = create(24, data);
  await loadCheckpoint(same, bytes);
  assertEquals((await same.step()).batch, 3);
  const next = create(16, { ...data, length: 40 }); // any run has the start of an epoch
  await loadCheckpoint(next, await saveCheckpoint(same));
  assertEquals(next.state.epoch, 1);
});

/** A checkpoint with other fields in its header. */
async function withHeader(bytes: Uint8Array, fields: object): Promise<Uint8Array> {
  using file = await openWeights(bytesSource(bytes, "run"));
  const entries = [];
  for (const [name, { shape }] of file.entries) {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    await file.read(name, (values, offset) => data.set(values, offset));
    entries.push({ name, dtype: "F32" as const, shape: [...shape], data });
  }
  const header = { ...JSON.parse(file.metadata.get("run")!), ...fields };
  return writeSafetensors(entries, {
    ...Object.fromEntries(file.metadata),
    run: JSON.stringify(header),
  });
}

Deno.test("loadCheckpoint() rejects hostile headers at once, in a short line", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = network(backend), optimizer = new SGD(model, { lr: 0.1 });
  const trainer = new Trainer(model, randomDataset(), { ...options, optimizer });
  const bytes = await saveCheckpoint(trainer);
  await loadCheckpoint(trainer, await withHeader(bytes, {})); // a checkpoint as before
  const refused = async (fields: object, message: string) => {
    const hostile = await withHeader(bytes, fields);
    await assertQuick(5000, async () => { // milliseconds; to copy the list took minutes
      const error = await assertRejects(() => loadCheckpoint(trainer, hostile, "a"), FileError);
      assertEquals(error.message.slice(0, message.length), message);
      assert(error.message.length < 300, `${error.message.length} characters`);
    });
  };
  for (const generator of [{ length: 2 ** 32 - 1 }, { length: 2e8 }, "1".repeat(625), null, 1]) {
    await refused({ generator }, "a: its header is damaged");
  }
  await refused(
    { optimizer: { type: `\x9b31m\u202e${"a".repeat(1e6)}` } },
    'a: the type of its optimizer is "\\u{9b}31m\\u{202e}aaa',
  );
});

testOnEveryBackend(
  "loadCheckpoint() rejects checkpoints of other models and truncated ones",
  async (backend) => {
    const createTrainer = (model: Sequential, options: Partial<TrainerOptions> = {}) =>
      new Trainer(model, randomDataset(), {
        batchSize: 8,
        epochs: 1,
        optimizer: new SGD(model, { lr: 1 }),
        ...options,
      });
    using model = network(backend);
    using other = new Sequential([new Flatten(), new Linear(128, 4)]).init(backend);
    const bytes = await saveCheckpoint(createTrainer(model));
    await assertRejects(() => loadCheckpoint(createTrainer(other), bytes), FileError, "1.weight");
    const cut = bytes.subarray(0, bytes.length / 2);
    await assertRejects(() => loadCheckpoint(createTrainer(model), cut), FileError);
  },
);
