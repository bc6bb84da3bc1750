/** The model that comes with the library: weights/alexnet_tiny.safetensors. */

import { createBackend } from "../../src/backend.ts";
import { decodeImage } from "../../src/image/mod.ts";
import { bundledWeights } from "../../src/models/bundled.ts";
import { openInput } from "../../src/models/load.ts";
import { AlexNet, AlexNetTiny, alexnetTinyPreprocessing } from "../../src/models/mod.ts";
import { imagenetClasses } from "../../weights/imagenet_classes.ts";
import { defaultRecipe } from "../../weights/recipe/options.ts";
import { readCardFiles } from "../../weights/recipe/card.ts";
import { sums } from "../../weights/recipe/accuracy.ts";
import { assert, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

const photo = (name: string) => new URL(`../photos/${name}`, import.meta.url);

testOnEveryBackend("AlexNet.load() gives the bundled model, which knows a cat", async (backend) => {
  using model = await AlexNet.load({ backend });
  assert(model instanceof AlexNetTiny);
  const image = await decodeImage(await Deno.readFile(photo("chelsea.png")));
  const [{ label, probability }] = await model.classify(image);
  assert(/\b(cat|tabby)\b/.test(label) && probability > 0.1, `${label} ${probability}`);
});

Deno.test("the bundled model has 200 of ImageNet's classes, and the preprocessing of its training", async () => {
  using backend = await createBackend({ threads: 1 });
  using model = await AlexNet.load({ backend });
  assertEquals(model.preprocessing, alexnetTinyPreprocessing);
  assertEquals(model.numClasses, 200);
  const names = new Map(imagenetClasses.map(({ wnid, label }) => [wnid, label]));
  for (const { wnid, label } of model.classes) assertEquals(label, names.get(wnid));
  using file = await openInput(bundledWeights());
  assertEquals(JSON.parse(file.metadata.get("recipe")!), defaultRecipe);
  const { size } = await Deno.stat(bundledWeights());
  assert(size <= 8_000_000, `${size} bytes`);
});

Deno.test("the bundled model takes images of any size", async () => {
  using backend = await createBackend({ threads: 1 });
  using model = await AlexNet.load({ backend });
  for (const [width, height] of [[1, 1], [64, 64], [3, 500], [2000, 30]]) {
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => i % 251);
    const predictions = await model.classify({ width, height, data }, { topK: 1000 });
    assertEquals(predictions.length, 200);
    const sum = predictions.reduce((sum, { probability }) => sum + probability, 0);
    assert(Math.abs(sum - 1) < 1e-5);
  }
});

Deno.test("what was measured of the bundled model is good enough, and quantising cost little", async () => {
  const { results, log } = await readCardFiles();
  const { count, top1, top5 } = sums(results);
  assertEquals([results.length, count], [200, 5000]);
  assert(top1 / count >= 0.42 && top5 / count >= 0.67, `${top1 / count}, ${top5 / count}`);
  assert(log.at(-1)!.top1 - top1 / count <= 0.005, "half a point at most");
});
