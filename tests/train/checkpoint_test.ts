import { createBackend } from "../../src/backend/mod.ts";
import { FileError } from "../../src/errors.ts";
import { Flatten, Linear, Sequential } from "../../src/layers/mod.ts";
import {
  AdamW,
  arrayDataset,
  cosineSchedule,
  type Dataset,
  loadCheckpoint,
  type Optimizer,
  saveCheckpoint,
  SGD,
  Trainer,
  type TrainerOptions,
} from "../../src/train/mod.ts";
import { bytesSource, openWeights, writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";
import { assertQuick } from "../quick.ts";
import { testOnEveryBackend } from "../backends.ts";
import { augmentedDataset, network, options, randomDataset } from "./runs.ts";

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
  const { model, options } = create(24, data); // 64 samples: with dropLast, an epoch has 48
  const dropping = new Trainer(model, data, { ...options, dropLast: true });
  const text = `${expected}an epoch with dropLast has 48; create the trainer with`;
  await assertRejects(() => loadCheckpoint(dropping, bytes), FileError, text);
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
    const left = "left over 0.weight, 1.running_mean, 1.running_var (and 4 more)";
    await assertRejects(() => loadCheckpoint(createTrainer(other), bytes), FileError, left);
    const cut = bytes.subarray(0, bytes.length / 2);
    await assertRejects(() => loadCheckpoint(createTrainer(model), cut), FileError);
  },
);

Deno.test("loadCheckpoint() refuses another optimizer", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend);
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const create = (optimizer: Optimizer) =>
    new Trainer(model, data, { optimizer, batchSize: 2, epochs: 2 });
  const make = {
    plain: () => new SGD(model, { lr: 0.1 }),
    sgd: () => new SGD(model, { lr: 0.1, momentum: 0.9 }),
    nesterov: () => new SGD(model, { lr: 0.1, momentum: 0.9, nesterov: true }),
    adamw: () => new AdamW(model),
    betas: () => new AdamW(model, { betas: [0.9, 0.99] }),
    part: () => new SGD(new Map([["weight", model.parameters.weight]]), { lr: 1, momentum: 0.9 }),
  };
  const cases = [
    ["plain", "adamw", 'the type of its optimizer is "SGD", not "AdamW"; create the optimizer as'],
    ["sgd", "adamw", 'the type of its optimizer is "SGD", not "AdamW"'],
    ["adamw", "plain", 'the type of its optimizer is "AdamW", not "SGD"'],
    ["adamw", "sgd", 'the type of its optimizer is "AdamW", not "SGD"'],
    ["plain", "sgd", "the momentum of its optimizer is 0, not 0.9"],
    ["sgd", "plain", "the momentum of its optimizer is 0.9, not 0"],
    ["sgd", "nesterov", "the nesterov of its optimizer is false, not true"],
    ["betas", "adamw", "the betas of its optimizer is [0.9,0.99], not [0.9,0.999]"],
    ["part", "sgd", "has no velocity.bias; create the optimizer as in the saved run"],
    ["sgd", "part", "velocity.bias does not match a parameter"],
  ] as const;
  for (const [saved, other, message] of cases) {
    using first = make[saved](), second = make[other](), resumed = make[saved]();
    const trainer = create(first);
    await trainer.step();
    const bytes = await saveCheckpoint(trainer), before = backend.bytesInUse;
    await assertRejects(() => loadCheckpoint(create(second), bytes, "a"), FileError, message);
    assertEquals([backend.bytesInUse, second.steps], [before, 0]);
    await loadCheckpoint(create(resumed), bytes);
  }
});

Deno.test("loadCheckpoint() compares the states of checkpoints without settings", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend);
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const create = (optimizer: Optimizer) =>
    new Trainer(model, data, { optimizer, batchSize: 2, epochs: 2 });
  using sgd = new SGD(model, { lr: 0.1, momentum: 0.9 }), adamw = new AdamW(model);
  for (const [saved, other, name] of [[sgd, adamw, "velocity"], [adamw, sgd, "mean"]] as const) {
    await create(saved).step();
    const bytes = await saveCheckpoint(create(saved)), before = backend.bytesInUse;
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    const old = text.replace('\\"optimizer\\":', '\\"otherwise\\":');
    const oldBytes = Uint8Array.from(old, (char) => char.charCodeAt(0));
    const message = `${name}.weight belongs to another optimizer`;
    await assertRejects(() => loadCheckpoint(create(other), oldBytes), FileError, message);
    assertEquals(backend.bytesInUse, before);
    await loadCheckpoint(create(saved), oldBytes);
  }
});

Deno.test("loadCheckpoint() needs no state of parameters that were frozen", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend);
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const create = () =>
    new Trainer(model, data, { optimizer: new AdamW(model), batchSize: 2, epochs: 2 });
  model.parameters.weight.requiresGrad = false;
  const first = create();
  await first.step();
  const bytes = await saveCheckpoint(first);
  model.parameters.weight.requiresGrad = true;
  const second = create();
  await loadCheckpoint(second, bytes);
  assertEquals([second.state, second.options.optimizer.steps], [first.state, 1]);
});

Deno.test("a run whose optimizer has other names than the model is resumed", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Sequential([new Linear(2, 3), new Linear(3, 2)]).init(backend);
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const create = (layer: string) => {
    const optimizer = new SGD(model.children.get(layer)!, { lr: 0.1, momentum: 0.9 });
    return new Trainer(model, data, { optimizer, batchSize: 2, epochs: 2 });
  };
  const first = create("1"),
    stateOf = ({ options: { optimizer } }: Trainer) =>
      Promise.all([...optimizer.stateDict()].map(async ([name, t]) => [name, await t.read()]));
  await first.step();
  const bytes = await saveCheckpoint(first), resumed = create("1");
  await loadCheckpoint(resumed, bytes);
  assertEquals(await stateOf(resumed), await stateOf(first));
  const message = "optimizer.velocity.weight is [2, 3], the optimizer expects [3, 2]";
  await assertRejects(() => loadCheckpoint(create("0"), bytes), FileError, message);
});
