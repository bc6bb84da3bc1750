import { RandomGenerator } from "../../src/random.ts";
import { imageDataset } from "../../weights/recipe/dataset.ts";
import { defaultRecipe } from "../../weights/recipe/options.ts";
import { createRun, loadRun, readRecipe, saveRun } from "../../weights/recipe/run.ts";
import { validate } from "../../weights/recipe/validate.ts";
import { evaluate } from "../../src/train/mod.ts";
import { PembrokeError } from "../../src/errors.ts";
import { assertAlmostEquals, assertEquals, assertRejects } from "../assert.ts";
import { testWithThreads } from "../backends.ts";

const recipe = { ...defaultRecipe, epochs: 2, batch: 4, lr: 0.02 };

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

const statistics = { mean: [0.5, 0.5, 0.5], std: [0.3, 0.3, 0.3] } as const;
const data = imageDataset(randomImages(), { statistics, augmentation: recipe.augmentation });

testWithThreads(
  "a run resumed within an epoch gives the losses of an uninterrupted run",
  async (backend) => {
    using whole = createRun(backend, data, 3, recipe);
    const expected: number[] = [];
    for (let i = 0; i < 6; i++) expected.push((await whole.trainer.step()).loss);

    const losses: number[] = [];
    using first = createRun(backend, data, 3, recipe);
    for (let i = 0; i < 2; i++) losses.push((await first.trainer.step()).loss);
    first.seconds = 12.5;
    const bytes = await saveRun(first);
    using second = createRun(backend, data, 3, await readRecipe(bytes, "run", { lr: 0.02 }));
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
  using run = createRun(backend, data, 3, { ...recipe, lr: 0.02, weightDecay: 0.5 });
  using other = createRun(backend, data, 3, { ...recipe, lr: 0.02, weightDecay: 0 });
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
  "validate() agrees with evaluate(), in either order of the mirrored images",
  async (backend) => {
    using run = createRun(backend, data, 3, recipe);
    await run.trainer.step();
    const images = randomImages();
    const plain = imageDataset(images, { statistics });
    const mirrored = imageDataset(images, { statistics, mirrored: true });
    const actual = await validate(run.model, plain, mirrored, 4);
    const expected = await evaluate(run.model, plain, { batchSize: 4 });
    assertAlmostEquals(actual.loss, expected.loss, 1e-6);
    assertEquals([actual.top1, actual.top5], [expected.accuracy, expected.top5]);
    const same = await validate(run.model, plain, plain, 4);
    assertEquals(same.top1Mirrored, same.top1);
    const warm = backend.bytesInUse;
    const swapped = await validate(run.model, mirrored, plain, 4);
    assertEquals(swapped.top1Mirrored, actual.top1Mirrored);
    assertEquals(backend.bytesInUse, warm);
  },
);
