import type { Backend } from "../../src/backend/mod.ts";
import {
  batchNorm,
  batchNormBackward,
  batchNormStatistics,
  localResponseNormBackward,
} from "../../src/ops/mod.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, type Floats, largest, sum, upload } from "./harness.ts";

const planes = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33];

async function checkLrn(backend: Backend, draw: Draw, x: Floats, o: reference.Lrn) {
  const dy = draw.floats(x.shape), { size, alpha, beta, k } = o;
  const expected = reference.localResponseNormBackward(dy, x, o);
  const dx = await compute(
    backend,
    [dy, x],
    x.shape,
    (out, dy, x) => localResponseNormBackward(dy, x, size, { alpha, beta, k, out }),
  );
  // terms cancel, so the tolerance is relative to the largest value
  const abs = 32 * 2 ** -24 * largest(expected);
  assertAllClose(dx, expected.data, { abs, name: `x [${x.shape}] ${JSON.stringify(o)}` });
}

testOnEveryBackend(
  "localResponseNormBackward() works with planes of all sizes",
  async (backend) => {
    const draw = new Draw(1);
    for (const plane of planes) {
      for (const beta of [0.75, 0.5, 1]) {
        const x = draw.floats([2, 5, plane], -3, 3);
        await checkLrn(backend, draw, x, { size: 3, alpha: 0.9, beta, k: 1 });
      }
    }
  },
);

testOnEveryBackend(
  "localResponseNormBackward() works with any window and constants",
  async (backend) => {
    const draw = new Draw(2);
    for (const channels of [1, 2, 3, 5, 8]) {
      for (const size of [1, 3, 5, 7, 21]) {
        const x = draw.floats([2, channels, 3, 3], -3, 3);
        await checkLrn(backend, draw, x, { size, alpha: 1.5, beta: 0.75, k: 2 });
      }
    }
    const constants = [[1e-4, 0.75, 1], [1e-4, 0.75, 2], [0, 0.75, 1], [2, 0, 1], [2, 2, 0.5]];
    for (const [alpha, beta, k] of [...constants, [1, -1, 1]]) {
      await checkLrn(backend, draw, draw.floats([1, 4, 9], -5, 5), { size: 5, alpha, beta, k });
    }
  },
);

testOnEveryBackend(
  "localResponseNormBackward() limits NaN to its neighbours",
  async (backend) => {
    const draw = new Draw(3), x = draw.floats([2, 7, 9]);
    x.data[30] = NaN;
    await checkLrn(backend, draw, x, { size: 3, alpha: 1, beta: 0.75, k: 1 });
  },
);

testOnEveryBackend("localResponseNormBackward() defaults to PyTorch's constants", async (b) => {
  const draw = new Draw(4), x = draw.floats([1, 6, 7], -50, 50), dy = draw.floats([1, 6, 7]);
  using tx = upload(b, x), tdy = upload(b, dy);
  using dx = localResponseNormBackward(tdy, tx, 5);
  const o = { size: 5, alpha: 1e-4, beta: 0.75, k: 1 };
  assertAllClose(await dx.read(), reference.localResponseNormBackward(dy, x, o).data, {
    abs: 1e-6,
  });
});

testOnEveryBackend("batchNormStatistics() works with planes of all sizes", async (backend) => {
  const draw = new Draw(5);
  for (const plane of planes) {
    for (const n of [1, 2, 5]) {
      const x = draw.floats([n, 3, plane], -1, 3);
      const expected = reference.batchNormStatistics(x);
      using tx = upload(backend, x);
      const { mean, variance } = batchNormStatistics(tx);
      assertEquals([mean.shape, variance.shape], [[3], [3]]);
      assertAllClose(await mean.read(), expected.mean.data, { abs: 1e-6 });
      assertAllClose(await variance.read(), expected.variance.data, { abs: 1e-6, rel: 1e-6 });
      assertEquals(bits(await tx.read()), bits(x.data));
      mean.dispose();
      variance.dispose();
    }
  }
  assertEquals(backend.bytesInUse, 0);
});

testOnEveryBackend(
  "batchNormStatistics() keeps its digits with a mean far from 0 and with many elements",
  async (backend) => {
    const draw = new Draw(6);
    for (const [from, to] of [[999, 1001], [-1e4 - 1, -1e4 + 1], [0, 1]]) {
      const x = draw.floats([3, 2, 55, 55], from, to);
      const expected = reference.batchNormStatistics(x);
      using tx = upload(backend, x);
      const { mean, variance } = batchNormStatistics(tx);
      using _mean = mean, _variance = variance;
      assertAllClose(await mean.read(), expected.mean.data, { rel: 1e-6 });
      assertAllClose(await variance.read(), expected.variance.data, { rel: 1e-4 });
    }
  },
);

/** Computes all three gradients; dweight and dbias are added to old values. */
async function checkBatchNorm(
  backend: Backend,
  draw: Draw,
  x: Floats,
  weight: Floats | null,
  eps = 1e-5,
  tolerance = 2e-6,
) {
  const dy = draw.floats(x.shape), channels = [x.shape[1]];
  const expected = reference.batchNormBackward(dy, x, weight, eps);
  const name = `x [${x.shape}] eps ${eps}`;
  using given = upload(backend, x);
  const statistics = batchNormStatistics(given);
  const dx = await compute(
    backend,
    [dy, x, weight],
    x.shape,
    (out, dy, x, weight) => batchNormBackward(dy, x, statistics, { weight, eps, out }),
  );
  const scale = largest(expected.dx);
  // terms as large as weight / √(variance + eps) cancel
  const { variance } = reference.batchNormStatistics(x);
  const factor = Math.max(...variance.data.map((v) => 1 / Math.sqrt(v + eps)));
  assertAllClose(dx, expected.dx.data, { abs: tolerance * Math.max(scale, factor), name });
  for (const which of ["dweight", "dbias"] as const) {
    const start = draw.floats(channels);
    const gradient = await compute(
      backend,
      [dy, x, weight],
      channels,
      (into, dy, x, weight) => {
        batchNormBackward(dy, x, statistics, { weight, eps, [which]: into }).dispose();
        return into;
      },
      start,
    );
    const abs = tolerance * Math.max(1, largest(expected[which]), factor);
    assertAllClose(gradient, sum(expected[which], start), { abs, name: `${which} of ${name}` });
  }
  statistics.mean.dispose();
  statistics.variance.dispose();
}

testOnEveryBackend("batchNormBackward() works with planes of all sizes", async (backend) => {
  const draw = new Draw(7);
  for (const plane of planes) {
    await checkBatchNorm(backend, draw, draw.floats([3, 4, plane], -1, 2), draw.floats([4]));
  }
});

testOnEveryBackend(
  "batchNormBackward() works with two to five axes, with and without weight, with any eps",
  async (backend) => {
    const draw = new Draw(8);
    for (const shape of [[3, 4], [2, 5, 3], [2, 3, 4, 5], [1, 2, 2, 3, 3], [9, 1], [1, 1, 1, 2]]) {
      for (const weight of [null, draw.floats([shape[1]])]) {
        for (const eps of [1e-5, 0.1]) {
          await checkBatchNorm(backend, draw, draw.floats(shape), weight, eps);
        }
      }
    }
  },
);

testOnEveryBackend("batchNormBackward() keeps its digits far from 0", async (backend) => {
  // mirrored around 1000, so that float32 holds the mean exactly
  const draw = new Draw(9), x = draw.floats([4, 2, 34]);
  for (let i = 0; i < x.data.length; i += 2) {
    const away = draw.integer(1, 999) / 1024;
    x.data.set([1000 + away, 1000 - away], i);
  }
  await checkBatchNorm(backend, draw, x, null);
});

testOnEveryBackend("batchNormBackward() sums over many samples and pixels", async (backend) => {
  const draw = new Draw(10);
  for (const shape of [[8, 2, 41, 37], [2, 2, 65, 67]]) { // the second planes exceed a block of a sum
    await checkBatchNorm(backend, draw, draw.floats(shape), draw.floats([2]), 1e-5, 1e-5);
  }
});

testOnEveryBackend(
  "batchNormBackward() gives 0 for one element per channel",
  async (backend) => {
    const draw = new Draw(11);
    await checkBatchNorm(backend, draw, draw.floats([1, 3, 1]), null);
  },
);

testOnEveryBackend("batchNormBackward() limits NaN to its channel", async (backend) => {
  const draw = new Draw(12), x = draw.floats([2, 3, 5]), dy = draw.floats([2, 3, 5]);
  dy.data[7] = NaN;
  const expected = reference.batchNormBackward(dy, x, null, 1e-5);
  using tx = upload(backend, x), tdy = upload(backend, dy);
  const { mean, variance } = batchNormStatistics(tx);
  using _mean = mean, _variance = variance;
  using dx = batchNormBackward(tdy, tx, { mean, variance });
  assertAllClose(await dx.read(), expected.dx.data, { abs: 1e-5 });
});

testOnEveryBackend("batchNormBackward() may overwrite dy", async (backend) => {
  const draw = new Draw(13);
  using x = upload(backend, draw.floats([2, 3, 7]));
  using dy = upload(backend, draw.floats([2, 3, 7]));
  const { mean, variance } = batchNormStatistics(x);
  using _mean = mean, _variance = variance;
  using fresh = batchNormBackward(dy, x, { mean, variance });
  batchNormBackward(dy, x, { mean, variance }, { out: dy });
  assertEquals(bits(await dy.read()), bits(await fresh.read()));
});

testOnEveryBackend(
  "batchNorm() with the statistics of a batch has mean 0 and variance 1",
  async (b) => {
    using x = upload(b, new Draw(14).floats([4, 3, 50], 5, 9));
    const { mean, variance } = batchNormStatistics(x);
    using _mean = mean, _variance = variance;
    using y = batchNorm(x, { runningMean: mean, runningVar: variance }, { eps: 0 });
    const after = reference.batchNormStatistics({ shape: y.shape, data: await y.read() });
    assertAllClose(after.mean.data, [0, 0, 0], { abs: 1e-5 });
    assertAllClose(after.variance.data, [1, 1, 1], { abs: 1e-5 });
  },
);
