/** The bundled model. */

import { createBackend } from "../../src/backend/mod.ts";
import { decodeImage, type RgbImage } from "../../src/image/mod.ts";
import { tinyImagenetPreprocessing } from "../../src/image/preprocess.ts";
import { bundledWeights } from "../../src/models/bundled.ts";
import { openInput } from "../../src/models/load.ts";
import { loadModel } from "../../src/models/mod.ts";
import { imagenetClasses } from "../../src/models/imagenet_classes.ts";
import { type Recipe, type RecipeNetwork, recipes } from "../../weights/recipe/recipe.ts";
import { assert, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

const photo = (name: string) => new URL(`../photos/${name}`, import.meta.url);

testOnEveryBackend(
  "loadModel() loads the bundled model, which recognises a coffee",
  async (backend) => {
    using model = await loadModel({ backend });
    assertEquals(model.network, "resnet-tiny");
    const image = await decodeImage(await Deno.readFile(photo("coffee.jpg")));
    const [{ label, probability }] = await model.classify(image);
    assert(label === "espresso" && probability > 0.9, `${label} ${probability}`);
  },
);

Deno.test("the bundled model has 200 classes and the preprocessing of its training", async () => {
  using backend = await createBackend({ threads: 1 });
  using model = await loadModel({ backend });
  assertEquals(model.preprocessing, tinyImagenetPreprocessing);
  assertEquals(model.numClasses, 200);
  const names = new Map(imagenetClasses().map(({ wnid, label }) => [wnid, label]));
  for (const { wnid, label } of model.classes) assertEquals(label, names.get(wnid));
  using file = await openInput(bundledWeights());
  // the file is older than some of the fields, whose values have no effect
  const stored: Partial<Recipe> = JSON.parse(file.metadata.get("recipe")!);
  const recipe = recipes[file.metadata.get("architecture") as RecipeNetwork];
  const augmentation = { ...recipe.augmentation, ...stored.augmentation };
  assertEquals({ ...recipe, ...stored, augmentation }, recipe);
  const { size } = await Deno.stat(bundledWeights());
  assert(size <= 8_000_000, `${size} bytes`);
});

Deno.test("the bundled model classifies images of any size", async () => {
  using backend = await createBackend({ threads: 1 });
  using model = await loadModel({ backend });
  for (const [width, height] of [[1, 1], [64, 64], [3, 500], [2000, 30]]) {
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => i % 251);
    const predictions = await model.classify({ width, height, data }, { topK: 1000 });
    assertEquals(predictions.length, 200);
    const sum = predictions.reduce((sum, { probability }) => sum + probability, 0);
    assert(Math.abs(sum - 1) < 1e-5);
  }
});

/**
 * Crops a photo: at nine places for each size, each also mirrored.
 *
 * @param shares The sizes, as shares of the photo's width and height.
 */
function* cropsOf(photo: RgbImage, shares: readonly number[]): Generator<RgbImage> {
  for (const share of shares) {
    const [width, height] = [photo.width, photo.height].map((side) => Math.round(side * share));
    for (let place = 0; place < 9; place++) {
      const left = Math.round((photo.width - width) * (place % 3) / 2);
      const top = Math.round((photo.height - height) * Math.floor(place / 3) / 2);
      for (const mirrored of [false, true]) {
        const data = new Uint8Array(width * height * 3);
        for (let i = 0; i < data.length; i++) {
          const pixel = Math.floor(i / 3), row = Math.floor(pixel / width), x = pixel % width;
          const column = mirrored ? width - 1 - x : x;
          data[i] = photo.data[((top + row) * photo.width + left + column) * 3 + i % 3];
        }
        yield { width, height, data };
      }
    }
  }
}

Deno.test("the bundled model recognises photos in most crops", async () => {
  using backend = await createBackend({ threads: 1 });
  using model = await loadModel({ backend });
  // Photo, class, K, and the least number of the 36 crops with the class in the top K. The actual
  // numbers are 36, 36 and 23.
  const cases = [
    ["coffee.jpg", "espresso", 1, 33],
    ["rocket.jpg", "projectile, missile", 5, 33],
    ["chelsea.png", "Egyptian cat", 5, 20],
  ] as const;
  for (const [name, expected, topK, minimum] of cases) {
    let count = 0;
    for (const crop of cropsOf(await decodeImage(await Deno.readFile(photo(name))), [0.9, 0.7])) {
      const predictions = await model.classify(crop, { topK });
      if (predictions.some(({ label }) => label === expected)) count++;
    }
    assert(count >= minimum, `${name}: ${expected} in ${count} of 36 crops`);
  }
});

Deno.test("ImageNet's classes have their ids and labels", () => {
  const classes = imagenetClasses();
  assertEquals(classes.length, 1000);
  assertEquals(classes[0], { wnid: "n01440764", label: "tench, Tinca tinca" });
  assertEquals(classes[281], { wnid: "n02123045", label: "tabby, tabby cat" });
  assertEquals(classes.at(-1)?.wnid, "n15075141");
  assert(classes.every(({ label }) => label !== ""));
});
