import { createBackend } from "../../src/backend/mod.ts";
import { createModel } from "../../src/models/registry.ts";
import { RandomGenerator } from "../../src/random.ts";
import { partsOf } from "../../src/train/cross_validate.ts";
import { arrayDataset } from "../../src/train/dataset.ts";
import { fit } from "../../src/train/fit.ts";
import { holdOut } from "../../src/train/hold_out.ts";
import { nearCopies, seriesOf } from "../../src/train/near_copies.ts";
import { assertEquals } from "../assert.ts";
import { assertQuick } from "../quick.ts";

const count = 64;

/** Rows of noise. Of each `size` rows in a row, all are nearly the same. */
function series(samples: number, size: number, count: number): Float32Array {
  const values = new Float32Array(samples * count), small = new Float32Array(samples * count);
  const generator = new RandomGenerator(1), pitch = size * count;
  generator.normal(values, 0, 1);
  generator.normal(small, 0, 0.1);
  return small.map((v, i) => v + values[Math.floor(i / pitch) * pitch + i % count]);
}

Deno.test("holdOut() takes linear time for a series of any length", async () => {
  const samples = 200_000;
  await assertQuick(10_000, () => { // 0.3 s, where copies of lists took minutes
    const held = holdOut(new Int32Array(samples), new Int32Array(samples), 0.2, 1);
    assertEquals(held.length, samples);
  });
});

Deno.test("near copies of a class are found, also mirror images", async () => {
  const labels = Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1), values = series(8, 2, count);
  assertEquals([...await nearCopies({ values, count, labels }, 8)], [0, 0, 2, 2, 4, 4, 6, 6]);
  const others = Int32Array.of(0, 1, 0, 1, 0, 1, 0, 1);
  const none = [...labels.keys()];
  assertEquals([...await nearCopies({ values, count, labels: others }, 8)], none);

  // sample 3 is the mirror image of sample 0
  const rows = new Float32Array(12 * count), all = Int32Array.of(0, 0, 0, 0, 1, 1);
  new RandomGenerator(2).normal(rows, 0, 1);
  rows.copyWithin(3 * count, 6 * count, 7 * count);
  const mirrored = { values: rows, count, labels: Int32Array.of(...all, ...all) };
  assertEquals([...await nearCopies(mirrored, 6)], [0, 1, 2, 0, 4, 5]);

  // a class of nothing but copies: there is no other one to compare with
  const same = { values: new Float32Array(5 * 3).fill(1), count: 3, labels: new Int32Array(5) };
  assertEquals([...await nearCopies(same, 5)], [0, 1, 2, 3, 4]);
});

Deno.test("a class that is a single series is found next to others", () => {
  const labels = Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1, 2), values = series(9, 1, count);
  assertEquals(seriesOf({ values, count, labels }), []);
  values.set(series(4, 4, count));
  assertEquals(seriesOf({ values, count, labels }), [0]);
  assertEquals(seriesOf({ values, count, labels: labels.map(() => 0) }), []);
});

Deno.test("near copies are held out together, and never all of a class", () => {
  const labels = Int32Array.of(0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1);
  const firsts = Int32Array.of(0, 0, 0, 0, 4, 5, 6, 6, 8, 8, 10, 10);
  for (let seed = 0; seed < 20; seed++) {
    for (const folds of [2, 3, 12]) {
      const parts = partsOf(labels, firsts, folds, seed);
      assertEquals(parts, firsts.map((first) => parts[first]));
      for (const from of [0, 6]) {
        assertEquals(new Set(parts.subarray(from, from + 6)).size > 1, true);
      }
    }
    const single = partsOf(labels, firsts.map((_, i) => i), 3, seed);
    for (let part = 0; part < 3; part++) {
      for (const from of [0, 6]) {
        const own = single.subarray(from, from + 6);
        assertEquals(own.filter((p) => p === part).length, 2);
      }
    }
    for (const share of [0.2, 0.99]) {
      const held = holdOut(labels, firsts, share, seed);
      assertEquals(held, [...firsts].map((first) => held[first]));
      assertEquals(held[0], false); // the most copies
      assertEquals(held.slice(0, 6).includes(true), true);
      assertEquals(held.slice(6).filter((is) => is).length, share < 0.5 ? 2 : 4);
    }
  }
});

Deno.test("fit() does not measure near copies of samples that it learned", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
  const { featureCount } = model, values = series(40, 2, 2 * featureCount);
  const labels = Array.from({ length: 40 }, (_, i) => i >> 1 & 1), folds = 40;
  const dataset = arrayDataset(values, labels, [2, featureCount]), classes = ["a", "b"];
  const progress: string[] = [];
  const options = { classes, steps: 10, weightDecays: [10], folds };
  const { accuracy, confusion } = await fit(model, dataset, {
    ...options,
    onProgress: ({ phase, done, total }) => progress.push(`${phase} ${done}/${total}`),
  });
  assertEquals(accuracy < 0.8, true, `${accuracy}`); // the classes are noise
  assertEquals(confusion.map(([a, b]) => a + b), [20, 20]);
  assertEquals(progress.at(-1), "training 41/41");
});
