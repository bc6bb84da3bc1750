import { createBackend, loadModel } from "../../mod.ts";
import { Batcher } from "../../src/serve/mod.ts";
import { assertAlmostEquals, assertEquals, assertRejects } from "../assert.ts";

const photo = (seed: number) => ({
  width: 70,
  height: 64,
  data: Uint8Array.from({ length: 70 * 64 * 3 }, (_, i) => (i * (seed + 3)) % 253),
});

Deno.test("Batcher gives each photo the model's own result, in batches up to maxBatchSize", async () => {
  using backend = await createBackend({ threads: 1 });
  using model = await loadModel({ backend });
  const sizes: number[] = [];
  const batcher = new Batcher(model, { maxBatchSize: 4, onBatch: (size) => sizes.push(size) });
  const photos = Array.from({ length: 10 }, (_, i) => photo(i));
  const answers = await Promise.all(
    photos.map((photo, i) => batcher.classify(photo, { topK: 1 + i % 3 })),
  );
  assertEquals(sizes, [4, 4, 2]);
  for (const [i, answer] of answers.entries()) {
    const alone = await model.classify(photos[i], { topK: 1 + i % 3 });
    assertEquals(answer.map(({ index }) => index), alone.map(({ index }) => index));
    for (const [k, { probability }] of answer.entries()) {
      assertAlmostEquals(probability, alone[k].probability, 1e-5);
    }
  }
});

Deno.test("Batcher collects photos that arrive during a batch, without using more memory", async () => {
  using backend = await createBackend({ threads: 1 });
  using model = await loadModel({ backend });
  const sizes: number[] = [];
  const batcher = new Batcher(model, { onBatch: (size) => sizes.push(size) });
  const first = batcher.classify(photo(1));
  const others = first.then(() => Promise.all([2, 3].map((i) => batcher.classify(photo(i)))));
  await others;
  assertEquals(sizes, [1, 2]);
  await Promise.all(Array.from({ length: 16 }, (_, i) => batcher.classify(photo(i))));
  const held = backend.bytesInUse;
  await Promise.all(Array.from({ length: 40 }, (_, i) => batcher.classify(photo(i))));
  await Promise.all(Array.from({ length: 16 }, (_, i) => batcher.classify(photo(i))));
  assertEquals(backend.bytesInUse, held);
});

Deno.test("Batcher continues after a failed batch", async () => {
  using backend = await createBackend({ threads: 1 });
  using model = await loadModel({ backend, precision: "f32" });
  const batcher = new Batcher(model);
  model.train();
  await assertRejects(() => batcher.classify(photo(1)));
  model.eval();
  assertEquals((await batcher.classify(photo(1))).length, 5);
});
