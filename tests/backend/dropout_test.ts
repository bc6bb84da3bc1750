import { dropout } from "../../src/ops/mod.ts";
import { assert, assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import { bits, compute, Draw, floats, upload } from "./harness.ts";

const ones = (n: number) => floats([n], Array(n).fill(1));

testOnEveryBackend(
  "dropout() works at every length, and scales the elements that it keeps",
  async (backend) => {
    const draw = new Draw(1);
    for (const n of [1, 2, 3, 4, 5, 7, 8, 9, 16, 33, 16389]) { // the last is more than a thread's work
      for (const p of [0.25, 0.5, 0.9]) {
        const x = draw.floats([n], 1, 2), seed = draw.integer(0, 2 ** 31);
        const y = await compute(backend, [x], [n], (out, x) => dropout(x, p, seed, { out }));
        const expected = y.map((v, i) => v === 0 ? 0 : Math.fround(1 / (1 - p)) * x.data[i]);
        assertAllClose(y, expected, { rel: 2 ** -23 });
      }
    }
  },
);

testOnEveryBackend("dropout() keeps a share of 1 − p with any seed", async (backend) => {
  const n = 100_000;
  using x = upload(backend, ones(n));
  for (const p of [0.01, 0.1, 0.5, 0.9, 0.99]) {
    for (const seed of [0, 1, -1, 2 ** 31, 0xdeadbeef]) {
      using y = dropout(x, p, seed);
      const kept = (await y.read()).filter((v) => v !== 0).length;
      const sigma = Math.sqrt(n * p * (1 - p));
      assert(Math.abs(kept - n * (1 - p)) < 4 * sigma, `p ${p}, seed ${seed}: ${kept} kept`);
    }
  }
});

testOnEveryBackend(
  "dropout() drops the same elements for the same seed, so that it computes its own gradient",
  async (backend) => {
    const draw = new Draw(2);
    const x = draw.floats([3, 5, 41], 1, 2), dy = draw.floats([3, 5, 41], 1, 2);
    using tx = upload(backend, x), tdy = upload(backend, dy);
    using y = dropout(tx, 0.4, 77), dx = dropout(tdy, 0.4, 77);
    assertEquals([y.shape, dx.shape], [x.shape, x.shape]);
    const factor = (await y.read()).map((v, i) => v / x.data[i]);
    assertAllClose(await dx.read(), dy.data.map((v, i) => v * factor[i]), { rel: 1e-6 });
  },
);

testOnEveryBackend(
  "dropout() drops elements independently of each other and of other seeds",
  async (backend) => {
    const n = 100_000, p = 0.5;
    using x = upload(backend, ones(n));
    const masks: Float32Array[] = [];
    for (const seed of [3, 4, 5, 3 + 2 ** 16]) {
      using y = dropout(x, p, seed);
      masks.push(await y.read());
    }
    const agree = (a: Float32Array, b: Float32Array, shift: number) => {
      let count = 0;
      for (let i = 0; i + shift < n; i++) count += Number((a[i] > 0) === (b[i + shift] > 0));
      return count;
    };
    const within = (count: number, name: string) =>
      assert(
        Math.abs(count - n / 2) < 4 * Math.sqrt(n) / 2 + 64,
        `${name}: ${count} of ${n} agree`,
      );
    for (let i = 0; i < masks.length; i++) {
      for (let j = 0; j < masks.length; j++) {
        if (i === j) continue;
        for (const shift of [0, 1, 2]) {
          within(agree(masks[i], masks[j], shift), `masks ${i} and ${j} ${shift} further`);
        }
      }
      for (const shift of [1, 2, 4, 64]) {
        within(agree(masks[i], masks[i], shift), `mask ${i} and itself ${shift} further`);
      }
    }
  },
);

testOnEveryBackend(
  "dropout() with p = 0 does not change a bit, with p = 1 gives zeros",
  async (backend) => {
    // for this seed the first element's hash is the largest of all
    const draw = new Draw(3), unlucky = 3302271166;
    for (const seed of [0, 1, unlucky]) {
      const x = draw.floats([77]);
      const all = await compute(backend, [x], [77], (out, x) => dropout(x, 0, seed, { out }));
      assertEquals(bits(all), bits(x.data));
      const none = await compute(backend, [x], [77], (out, x) => dropout(x, 1, seed, { out }));
      assertEquals(none, new Float32Array(77));
    }
  },
);

testOnEveryBackend("dropout() may write in place", async (backend) => {
  using x = upload(backend, new Draw(4).floats([100]));
  using fresh = dropout(x, 0.3, 9);
  dropout(x, 0.3, 9, { out: x });
  assertEquals(bits(await x.read()), bits(await fresh.read()));
});
