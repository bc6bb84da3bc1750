import { RandomGenerator } from "../../src/random.ts";
import { imageDataset } from "../../weights/recipe/dataset.ts";
import { epochsOf, recipes, scheduleOf, sideOf } from "../../weights/recipe/recipe.ts";
import {
  createRun,
  loadRun,
  readRecipe,
  saveRun,
  trainEpoch,
  withFinalValues,
} from "../../weights/recipe/run.ts";
import { updateStatistics } from "../../weights/recipe/statistics.ts";
import { PembrokeError } from "../../src/errors.ts";
import { assert, assertAllClose, assertEquals, assertRejects } from "../assert.ts";
import { testWithThreads } from "../backends.ts";

const recipe = { ...recipes["alexnet-tiny"], epochs: 2, batch: 4, lr: 0.02 };

/** Ten random images in three classes. */
function randomImages() {
  const generator = new RandomGenerator(1);
  const pixels = new Uint8Array(10 * 64 * 64 * 3).map(() => generator.random() & 255);
  return {
    size: 64,
    length: 10,
    pixels,
    labels: Uint16Array.from({ length: 10 }, (_, i) => i % 3),
  };
}

const classes = ["n1", "n2", "n3"].map((wnid) => ({ wnid, label: wnid }));
const statistics = { mean: [0.5, 0.5, 0.5], std: [0.3, 0.3, 0.3] } as const;
const data = imageDataset(randomImages(), { statistics, augmentation: recipe.augmentation });

testWithThreads(
  "a run resumed within an epoch gives the losses of an uninterrupted run",
  async (backend) => {
    using whole = createRun(backend, data, classes, recipe);
    const expected: number[] = [];
    for (let i = 0; i < 6; i++) expected.push((await whole.trainer.step()).loss);

    const losses: number[] = [];
    using first = createRun(backend, data, classes, recipe);
    for (let i = 0; i < 2; i++) losses.push((await first.trainer.step()).loss);
    first.seconds = 12.5;
    const bytes = await saveRun(first);
    using second = createRun(backend, data, classes, await readRecipe(bytes, "run", { lr: 0.02 }));
    await loadRun(second, bytes, "run");
    assertEquals([second.recipe, second.seconds], [recipe, 12.5]);
    for (let i = 2; i < 6; i++) losses.push((await second.trainer.step()).loss);
    assertEquals(losses, expected);
    await assertRejects(
      () => readRecipe(bytes, "run", { lr: 0.1 }),
      PembrokeError,
      "has lr 0.02, not 0.1",
    );
  },
);

testWithThreads("weight decay applies to weights only", async (backend) => {
  using run = createRun(backend, data, classes, { ...recipe, lr: 0.02, weightDecay: 0.5 });
  using other = createRun(backend, data, classes, { ...recipe, lr: 0.02, weightDecay: 0 });
  await run.trainer.step();
  await other.trainer.step();
  const withoutDecay = other.model.stateDict();
  for (const [name, { tensor, shape, requiresGrad }] of run.model.stateDict()) {
    const expected = await withoutDecay.get(name)!.tensor!.read();
    const isEqual = (await tensor!.read()).every((value, i) => value === expected[i]);
    assertEquals(isEqual, !requiresGrad || shape.length === 1, name);
  }
});

testWithThreads(
  "resnet-tiny resumes with its average and its size of images",
  async (backend) => {
    const small = {
      ...recipes["resnet-tiny"],
      epochs: 3,
      restarts: [],
      batch: 4,
      sizes: [[16, 0.34], [24, 0.67], [32, 1]],
    } as const;
    const images = () =>
      imageDataset(randomImages(), { statistics, augmentation: small.augmentation });
    const valuesOf = async (run: ReturnType<typeof createRun>) =>
      await withFinalValues(run, async () => {
        const values = [...run.model.stateDict().values()].map(({ tensor }) => tensor!.read());
        return await Promise.all(values);
      });

    const data = images(), sides: number[] = [], losses: number[] = [];
    using whole = createRun(backend, data, classes, small);
    let middle: Uint8Array | undefined;
    while (whole.trainer.state.epoch < 3) {
      await trainEpoch(whole, data, async ({ epoch, batch, loss }) => {
        sides.push(data.side);
        losses.push(loss);
        if (epoch === 1 && batch === 2) middle = await saveRun(whole);
      });
    }
    assertEquals(sides, [16, 16, 16, 24, 24, 24, 32, 32, 32]);
    assertEquals([0, 1, 2].map((epoch) => sideOf(small, epoch)), [16, 24, 32]);

    const again = images(), rest: number[] = [];
    using resumed = createRun(backend, again, classes, await readRecipe(middle!, "run", {}));
    await loadRun(resumed, middle!, "run");
    while (resumed.trainer.state.epoch < 3) {
      await trainEpoch(resumed, again, ({ loss }) => void rest.push(loss));
    }
    assertEquals(rest, losses.slice(5));
    const [expected, actual] = [await valuesOf(whole), await valuesOf(resumed)];
    assertEquals(actual, expected);
    const own = await Promise.all(
      [...whole.model.stateDict().values()].map(({ tensor }) => tensor!.read()),
    );
    assert(own.every((values, i) => values.some((value, j) => value !== expected[i][j])));
  },
);

testWithThreads("updateStatistics() averages over images without augmentation", async (backend) => {
  using run = createRun(backend, data, classes, { ...recipes["resnet-tiny"], batch: 4 });
  const { model } = run, mean = new Float32Array(32), variance = new Float32Array(32).fill(1);
  const size = 3 * 64 * 64, count = 4 * 32 * 32;
  for (const batch of [[0, 9, 8, 7], [6, 5, 4, 3]]) { // 7919 steps are 9 of 10
    const values = new Float32Array(4 * size);
    for (const [i, index] of batch.entries()) {
      data.read(index, values.subarray(i * size, (i + 1) * size), undefined);
    }
    using x = backend.upload(values, [4, 3, 64, 64]);
    const [conv1] = model.outputsOf(x, ["conv1"]);
    using _ = conv1;
    const y = await conv1.read();
    for (let c = 0; c < 32; c++) {
      const channel = y.filter((_, i) => Math.floor(i / 1024) % 32 === c);
      const average = channel.reduce((a, b) => a + b) / count;
      const squares = channel.reduce((sum, value) => sum + (value - average) ** 2, 0);
      mean[c] = 0.9 * mean[c] + 0.1 * average;
      variance[c] = 0.9 * variance[c] + 0.1 * squares / (count - 1);
    }
  }
  await updateStatistics(model, data, 4);
  const state = model.stateDict();
  assertAllClose(await state.get("bn1.running_mean")!.tensor!.read(), mean, { abs: 1e-5 });
  assertAllClose(await state.get("bn1.running_var")!.tensor!.read(), variance, { rel: 1e-4 });
  assertEquals(model.training, false);
});

Deno.test("a warm restart begins the learning rate again, on the largest images", () => {
  const restarted = {
    ...recipe,
    epochs: 4,
    lr: 0.2,
    warmUp: 1,
    sizes: [[32, 0.5], [64, 1]],
    restarts: [{ epochs: 2, lr: 0.1, warmUp: 0 }, { epochs: 1, lr: 0.05, warmUp: 0.25 }],
  } as const;
  const rate = scheduleOf(restarted, 4), steps = Array.from({ length: 28 }, (_, i) => i);
  const halfCosine = (lr: number, steps: number) =>
    Array.from({ length: steps }, (_, i) => lr * (1 + Math.cos(Math.PI * i / steps)) / 2);
  assertAllClose(steps.map(rate), [
    ...[0.04, 0.08, 0.12, 0.16, ...halfCosine(0.2, 12)],
    ...halfCosine(0.1, 8),
    ...[0.025, ...halfCosine(0.05, 3)],
  ], { abs: 1e-12 });
  assertEquals(epochsOf(restarted), 7);
  assertEquals([0, 1, 2, 3, 4, 6].map((epoch) => sideOf(restarted, epoch)), [
    32,
    32,
    64,
    64,
    64,
    64,
  ]);
});
