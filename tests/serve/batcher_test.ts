import { runInNewContext } from "node:vm";
import { createBackend, loadModel } from "../../mod.ts";
import { Batcher } from "../../src/serve/mod.ts";
import { ArgumentError } from "../../src/errors.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "../assert.ts";

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

/** A model whose predictions are the first value of each photo. */
const fake = {
  type: "Fake",
  preprocess: () => new Float32Array(1),
  classifyBatch(images: readonly unknown[]) {
    const values = images.map((image) => image as Float32Array);
    if (values.some((image) => image.length !== 1)) {
      throw new ArgumentError("classify", "the number of values", 2, "1");
    }
    return Promise.resolve(
      values.map(([index]) => [{ index, wnid: "", label: "", probability: 1 }]),
    );
  },
};

Deno.test("Batcher rejects invalid options", async () => {
  for (const maxBatchSize of [0, -1, NaN, 1.5, Infinity, "4" as unknown as number]) {
    assertThrows(() => new Batcher(fake, { maxBatchSize }), ArgumentError, "maxBatchSize");
  }
  const batcher = new Batcher(fake);
  const good = batcher.classify(runInNewContext("Float32Array.of(7)")); // as Jest runs programs
  for (const topK of [0, -1, NaN, 1.5]) {
    await assertRejects(
      () => batcher.classify(Float32Array.of(1), { topK }),
      ArgumentError,
      "topK",
    );
  }
  const any = (value: unknown) => value as { maxBatchSize?: number; topK?: number };
  for (
    const [options, text] of [[{ size: 4 }, 'an option is "size"'], [{ onBatch: 1 }, "onBatch"]]
  ) {
    assertThrows(() => new Batcher(fake, any(options)), ArgumentError, `Batcher: ${text}`);
  }
  for (const [options, text] of [[{ top: 1 }, 'an option is "top"'], [{ signal: {} }, "signal"]]) {
    const call = () => batcher.classify(Float32Array.of(1), any(options));
    await assertRejects(call, ArgumentError, `Batcher.classify: ${text}`);
  }
  assertEquals((await good)[0].index, 7);
});

Deno.test("Batcher survives callbacks that throw, reject or never end", async () => {
  const callbacks: (() => unknown)[] = [
    () => {
      throw new Error("from onBatch");
    },
    () => Promise.reject(new Error("from onBatch")),
    () => new Promise(() => {}),
  ];
  for (const onBatch of callbacks) {
    const batcher = new Batcher(fake, { onBatch: onBatch as () => void });
    for (let i = 0; i < 3; i++) {
      assertEquals((await batcher.classify(Float32Array.of(i)))[0].index, i);
    }
  }
});

Deno.test("Batcher rejects only the photo at fault", async () => {
  const batcher = new Batcher(fake);
  const results = await Promise.allSettled(
    [1, 2, 3].map((length) => batcher.classify(new Float32Array(length))),
  );
  assertEquals(results.map(({ status }) => status), ["fulfilled", "rejected", "rejected"]);
});

Deno.test("Batcher drops photos whose signal has aborted", async () => {
  const sizes: number[] = [];
  const batcher = new Batcher(fake, { maxBatchSize: 2, onBatch: (size) => sizes.push(size) });
  const abort = new AbortController();
  const { signal } = abort;
  const results = Promise.allSettled(
    [0, 1, 2, 3, 4].map((i) => batcher.classify(Float32Array.of(i), i < 3 ? { signal } : {})),
  );
  abort.abort("gone");
  const settled = await results;
  assertEquals(settled.map((result) => result.status === "rejected" && result.reason), [
    "gone",
    "gone",
    "gone",
    false,
    false,
  ]);
  assertEquals(sizes, [2]);
  assert((await batcher.classify(Float32Array.of(1))).length === 1);
});
