/**
 * Compares the features of photos, and a last layer that `fit()` trains on them, with PyTorch's.
 */

import { fit } from "../../src/train/fit.ts";
import { ImageFolder } from "../../src/train/image_folder.ts";
import { assertAlmostEquals, assertEquals } from "../assert.ts";
import { testOnFewBackends } from "../backends.ts";
import { loadNarrow } from "../models/narrow.ts";
import golden from "../fixtures/learn/golden.json" with { type: "json" };

const files = golden.photos.map(([name, file]) => ({
  name: `${name}/${file}`,
  bytes: Deno.readFileSync(new URL(`../photos/${file}`, import.meta.url)),
}));

testOnFewBackends("photos have PyTorch's features, and fit() trains its layer", async (backend) => {
  using model = await loadNarrow("squeezenet1_1", backend);
  const photos = new ImageFolder(files, { preprocessing: model.preprocessing });
  assertEquals(photos.classes, golden.classes);
  const samples = new Float32Array(photos.length * 3 * 224 * 224);
  for (let i = 0; i < photos.length; i++) {
    await photos.read(i, samples.subarray(i * 3 * 224 * 224, (i + 1) * 3 * 224 * 224));
  }
  using x = backend.upload(samples, [photos.length, 3, 224, 224]), features = model.features(x);
  assertClose(await features.read(), golden.features.flat(), "feature");

  const { weightDecay, steps } = golden;
  await fit(model, photos, { weightDecays: [weightDecay], steps, validation: photos });
  using logits = model.forward(x);
  assertClose(await logits.read(), golden.logits.flat(), "logit");
});

function assertClose(actual: Float32Array, expected: readonly number[], name: string): void {
  assertEquals(actual.length, expected.length);
  for (const [i, value] of actual.entries()) {
    assertAlmostEquals(value, expected[i], 1e-4, `${name} ${i}`);
  }
}
