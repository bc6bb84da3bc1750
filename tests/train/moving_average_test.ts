import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { BatchNorm2d, Conv2d, Flatten, Linear, Sequential } from "../../src/layers/mod.ts";
import {
  arrayDataset,
  evaluate,
  loadCheckpoint,
  saveCheckpoint,
  SGD,
  Trainer,
  type TrainerOptions,
} from "../../src/train/mod.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

const values = Float32Array.from({ length: 6 * 8 }, (_, i) => Math.sin(i * i));
const data = arrayDataset(values, [0, 1, 0, 1, 1, 0], [2, 2, 2]);

function begin(backend: Backend, options: Partial<TrainerOptions> = { emaDecay: 0.9 }) {
  const layers = [new Conv2d(2, 3, 1), new BatchNorm2d(3), new Flatten(), new Linear(12, 2)];
  const model = new Sequential(layers).init(backend, { seed: 2 });
  const optimizer = new SGD(model, { lr: 0.1, momentum: 0.9 });
  const trainer = new Trainer(model, data, { optimizer, batchSize: 3, epochs: 10, ...options });
  const dispose = () => {
    for (const part of [model, optimizer, trainer]) part.dispose();
  };
  return { model, trainer, [Symbol.dispose]: dispose };
}

/** All values of a model by name. */
async function valuesOf(model: Sequential): Promise<Record<string, number[]>> {
  const entries = [...model.stateDict()].map(async ([name, { tensor }]) =>
    [name, [...await tensor!.read()]] as [string, number[]]
  );
  return Object.fromEntries(await Promise.all(entries));
}

testOnEveryBackend("Trainer averages parameters and running statistics", async (backend) => {
  using run = begin(backend);
  const average = await valuesOf(run.model);
  for (let step = 0; step < 12; step++) {
    await run.trainer.step();
    const decay = Math.min(0.9, (1 + step) / (10 + step));
    for (const [name, values] of Object.entries(await valuesOf(run.model))) {
      average[name] = average[name].map((a, i) => decay * a + (1 - decay) * values[i]);
    }
  }
  const own = await valuesOf(run.model);
  const actual = await run.trainer.withAverage(() => valuesOf(run.model));
  for (const [name, values] of Object.entries(actual)) {
    assertAllClose(values, average[name], { abs: 1e-5, name });
  }
  assertEquals(await valuesOf(run.model), own);
  assert(own["1.running_mean"].every((value, i) => value !== actual["1.running_mean"][i]));
});

testOnEveryBackend("an average does not change the training", async (backend) => {
  using plain = begin(backend, {}), averaged = begin(backend);
  for (let step = 0; step < 6; step++) {
    const { loss } = await averaged.trainer.step();
    assertEquals(loss, (await plain.trainer.step()).loss);
    await averaged.trainer.withAverage(() => evaluate(averaged.model, data, { batchSize: 3 }));
  }
});

testOnEveryBackend("a resumed run continues the average", async (backend) => {
  using whole = begin(backend), first = begin(backend), second = begin(backend);
  for (let step = 0; step < 3; step++) await first.trainer.step();
  await loadCheckpoint(second.trainer, await saveCheckpoint(first.trainer));
  for (let step = 3; step < 5; step++) await second.trainer.step();
  for (let step = 0; step < 5; step++) await whole.trainer.step();
  const averageOf = ({ model, trainer }: typeof whole) =>
    trainer.withAverage(() => valuesOf(model));
  assertEquals(await averageOf(second), await averageOf(whole));

  using without = begin(backend, {});
  const bytes = await saveCheckpoint(without.trainer);
  const none = "checkpoint: has no moving average; create the trainer without emaDecay";
  await assertRejects(() => loadCheckpoint(whole.trainer, bytes), FileError, none);
  const other = await saveCheckpoint(whole.trainer);
  const one = "checkpoint: has a moving average; create the trainer with emaDecay";
  await assertRejects(() => loadCheckpoint(without.trainer, other), FileError, one);
});

testOnEveryBackend("withAverage() restores the values after an error", async (backend) => {
  using run = begin(backend), plain = begin(backend, {});
  await run.trainer.step();
  const own = await valuesOf(run.model), used = backend.bytesInUse;
  const fail = () => run.trainer.withAverage(() => Promise.reject(new PembrokeError("stop")));
  await assertRejects(fail, PembrokeError, "stop");
  assertEquals(await valuesOf(run.model), own);
  assertEquals(backend.bytesInUse, used);
  const message = "withAverage() needs the option emaDecay";
  await assertRejects(() => plain.trainer.withAverage(() => 1), PembrokeError, message);
});

testOnEveryBackend("Trainer checks emaDecay", (backend) => {
  using run = begin(backend);
  const { options } = run.trainer;
  for (const emaDecay of [1, -0.1, NaN, "0.9" as unknown as number]) {
    const create = () => new Trainer(run.model, data, { ...options, emaDecay });
    assertThrows(create, ArgumentError, "emaDecay is ");
  }
});

testOnEveryBackend("withAverage() refuses what needs the model's own values", async (backend) => {
  using run = begin(backend);
  await run.trainer.step();
  const saved = await saveCheckpoint(run.trainer);
  const own = await valuesOf(run.model), expected = "wait until withAverage() has ended";
  await run.trainer.withAverage(async () => {
    for (
      const call of [
        () => run.trainer.withAverage(() => {}),
        () => run.trainer.step(),
        () => saveCheckpoint(run.trainer),
        () => loadCheckpoint(run.trainer, saved),
      ]
    ) await assertRejects(call, PembrokeError, expected);
  });
  assertEquals(await valuesOf(run.model), own);
  await run.trainer.step();
});
