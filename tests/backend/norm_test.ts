import type { Backend } from "../../src/backend/mod.ts";
import { batchNorm, localResponseNorm } from "../../src/ops/mod.ts";
import type { Shape } from "../../src/tensor.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, type Floats, floats, upload } from "./harness.ts";

const planes = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33];

/** `rel` covers the error of the power: beta times that of the sum, and that of pow. */
async function checkLrn(backend: Backend, x: Floats, o: reference.Lrn, rel = 16 * 2 ** -24) {
  const { size, alpha, beta, k } = o;
  const y = await compute(
    backend,
    [x],
    x.shape,
    (out, x) => localResponseNorm(x, size, { alpha, beta, k, out }),
  );
  const name = `x [${x.shape}] ${JSON.stringify(o)}`;
  assertAllClose(y, reference.localResponseNorm(x, o).data, { abs: 1e-37, rel, name });
}

testOnEveryBackend("localResponseNorm() works with planes of all sizes", async (backend) => {
  const draw = new Draw(1);
  for (const plane of planes) {
    for (const beta of [0.75, 0.5, 1]) {
      const x = draw.floats([2, 5, plane], -3, 3);
      await checkLrn(backend, x, { size: 3, alpha: 0.9, beta, k: 1 });
    }
  }
});

testOnEveryBackend(
  "localResponseNorm() works with windows as large as the channels, and larger",
  async (backend) => {
    const draw = new Draw(2);
    for (const channels of [1, 2, 3, 5, 8]) {
      for (const size of [1, 3, 5, 7, 21]) {
        const x = draw.floats([2, channels, 3, 3], -3, 3);
        await checkLrn(backend, x, { size, alpha: 1.5, beta: 0.75, k: 2 });
      }
    }
  },
);

testOnEveryBackend("localResponseNorm() works with any constants", async (backend) => {
  const draw = new Draw(3);
  const constants = [[1e-4, 0.75, 1], [1e-4, 0.75, 2], [0, 0.75, 1], [2, 0, 1], [2, 2, 0.5], [
    1,
    -1,
    1,
  ], [1, 1, 1e39]]; // the last one is infinite in float32
  for (const [alpha, beta, k] of constants) {
    await checkLrn(backend, draw.floats([1, 4, 9], -5, 5), { size: 5, alpha, beta, k });
  }
});

testOnEveryBackend("localResponseNorm() defaults to PyTorch's constants", async (backend) => {
  const x = new Draw(4).floats([1, 6, 7], -50, 50);
  using tensor = upload(backend, x);
  using y = localResponseNorm(tensor, 5);
  const expected = reference.localResponseNorm(x, { size: 5, alpha: 1e-4, beta: 0.75, k: 1 });
  assertAllClose(await y.read(), expected.data, { rel: 1e-6 });
});

testOnEveryBackend(
  "localResponseNorm() limits NaN to its neighbours, and keeps zeros",
  async (backend) => {
    const x = new Draw(5).floats([1, 5, 9]);
    x.data[3] = NaN;
    x.data[22] = NaN;
    x.data.fill(0, 30, 45);
    for (const beta of [0.75, 0.5]) await checkLrn(backend, x, { size: 3, alpha: 1, beta, k: 1 });
  },
);

interface Statistics {
  readonly mean: Floats;
  readonly variance: Floats;
  readonly weight: Floats | null;
  readonly bias: Floats | null;
}

async function checkBatchNorm(backend: Backend, x: Floats, s: Statistics, eps = 1e-5) {
  const y = await compute(
    backend,
    [x, s.mean, s.variance, s.weight, s.bias],
    x.shape,
    (out, x, runningMean, runningVar, weight, bias) =>
      batchNorm(x, { runningMean, runningVar, weight, bias }, { eps, out }),
  );
  // scale and shift are each rounded once; they cancel where x is near the mean
  const abs = 8 * 2 ** -23, rel = 4 * 2 ** -23;
  const expected = reference.batchNorm(x, s, eps);
  assertAllClose(y, expected.data, { abs, rel, name: `x [${x.shape}]` });
}

function drawStatistics(draw: Draw, channels: number, weight = true, bias = true): Statistics {
  return {
    mean: draw.floats([channels]),
    variance: draw.floats([channels], 0.5, 2),
    weight: weight ? draw.floats([channels]) : null,
    bias: bias ? draw.floats([channels]) : null,
  };
}

testOnEveryBackend("batchNorm() works with planes of all sizes", async (backend) => {
  const draw = new Draw(6);
  for (const plane of planes) {
    await checkBatchNorm(backend, draw.floats([2, 3, plane]), drawStatistics(draw, 3));
  }
  // more than a thread's work
  await checkBatchNorm(backend, draw.floats([3, 5, 1200]), drawStatistics(draw, 5));
});

testOnEveryBackend(
  "batchNorm() works with two to five axes, with and without weight and bias",
  async (backend) => {
    const draw = new Draw(7);
    const shapes: Shape[] = [[3, 4], [2, 5, 3], [2, 3, 4, 5], [1, 2, 2, 3, 3], [1, 1, 1, 1]];
    for (const shape of shapes) {
      for (const [weight, bias] of [[true, true], [true, false], [false, true], [false, false]]) {
        await checkBatchNorm(
          backend,
          draw.floats(shape, -2, 2),
          drawStatistics(draw, shape[1], weight, bias),
        );
      }
    }
  },
);

testOnEveryBackend("batchNorm() adds eps to the variance", async (backend) => {
  const x = new Draw(8).floats([1, 2, 6]);
  const s = {
    mean: floats([2], [0, 0.25]),
    variance: floats([2], [0, 1]),
    weight: null,
    bias: null,
  };
  for (const eps of [0.5, 1, 1e39]) await checkBatchNorm(backend, x, s, eps);
});

testOnEveryBackend("batchNorm() limits NaN and infinity to their positions", async (backend) => {
  const draw = new Draw(9);
  const x = draw.floats([1, 2, 9]);
  x.data.set([NaN, Infinity, -Infinity], 6);
  await checkBatchNorm(backend, x, drawStatistics(draw, 2));
});

testOnEveryBackend("batchNorm() may write in place", async (backend) => {
  const draw = new Draw(10);
  using x = upload(backend, draw.floats([2, 3, 7]));
  using runningMean = upload(backend, draw.floats([3]));
  using runningVar = upload(backend, draw.floats([3], 0.5, 2));
  using fresh = batchNorm(x, { runningMean, runningVar });
  batchNorm(x, { runningMean, runningVar }, { out: x });
  assertEquals(bits(await x.read()), bits(await fresh.read()));
});
