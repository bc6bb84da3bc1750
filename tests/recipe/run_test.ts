import { RandomGenerator } from "../../src/random.ts";
import { imageDataset } from "../../weights/recipe/dataset.ts";
import { defaultRecipe } from "../../weights/recipe/options.ts";
import { createRun, loadRun, recipeOf, saveRun } from "../../weights/recipe/run.ts";
import { validate } from "../../weights/recipe/validate.ts";
import { evaluate } from "../../src/train/mod.ts";
import { PembrokeError } from "../../src/errors.ts";
import { assertAlmostEquals, assertEquals, assertRejects } from "../assert.ts";
import { testOnFewBackends } from "../backends.ts";

const recipe = { ...defaultRecipe, epochs: 2, batch: 4, lr: 0.02 };

/** Ten images of noise in three classes. */
function noise() {
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
const data = imageDataset(noise(), { statistics, augmentation: recipe.augmentation });

testOnFewBackends(
  "a run goes on in the middle of an epoch as if it never stopped",
  async (backend) => {
    using whole = createRun(backend, data, 3, recipe);
    const expected: number[] = [];
    for (let i = 0; i < 6; i++) expected.push((await whole.trainer.step()).loss);

    const losses: number[] = [];
    using first = createRun(backend, data, 3, recipe);
    for (let i = 0; i < 2; i++) losses.push((await first.trainer.step()).loss);
    first.seconds = 12.5;
    const bytes = await saveRun(first);
    using second = createRun(backend, data, 3, await recipeOf(bytes, "run", { lr: 0.02 }));
    await loadRun(second, bytes, "run");
    assertEquals([second.recipe, second.seconds], [recipe, 12.5]);
    for (let i = 2; i < 6; i++) losses.push((await second.trainer.step()).loss);
    assertEquals(losses, expected);
    await assertRejects(
      () => recipeOf(bytes, "run", { lr: 0.1 }),
      PembrokeError,
      "has lr 0.02, not 0.1",
    );
  },
);

testOnFewBackends("weights decay, biases and batch normalisation do not", async (backend) => {
  using run = createRun(backend, data, 3, { ...recipe, lr: 0.02, weightDecay: 0.5 });
  using other = createRun(backend, data, 3, { ...recipe, lr: 0.02, weightDecay: 0 });
  await run.trainer.step();
  await other.trainer.step();
  const others = other.model.stateDict();
  for (const [name, { tensor, shape, requiresGrad }] of run.model.stateDict()) {
    const same = (await tensor!.read()).every(function (this: Float32Array, value, i) {
      return value === this[i];
    }, await others.get(name)!.tensor!.read());
    assertEquals(same, !requiresGrad || shape.length === 1, name);
  }
});

testOnFewBackends(
  "validate() agrees with evaluate(), and mirrored twice is not mirrored",
  async (backend) => {
    using run = createRun(backend, data, 3, recipe);
    await run.trainer.step();
    const images = noise();
    const plain = imageDataset(images, { statistics });
    const mirrored = imageDataset(images, { statistics, mirrored: true });
    const found = await validate(run.model, plain, mirrored, 4);
    const expected = await evaluate(run.model, plain, { batchSize: 4 });
    assertAlmostEquals(found.loss, expected.loss, 1e-6);
    assertEquals([found.top1, found.top5], [expected.accuracy, expected.top5]);
    const same = await validate(run.model, plain, plain, 4);
    assertEquals(same.top1Mirrored, same.top1);
    const warm = backend.bytesInUse;
    const turned = await validate(run.model, mirrored, plain, 4);
    assertEquals(turned.top1Mirrored, found.top1Mirrored);
    assertEquals(backend.bytesInUse, warm); // nothing is left behind
  },
);
