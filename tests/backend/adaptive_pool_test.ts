/** Adaptive pooling, and the mean of whole planes. */

import type { Backend } from "../../src/backend/mod.ts";
import * as ops from "../../src/ops/mod.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { compute, Draw, type Floats, floats, largest, upload } from "./harness.ts";

/** Checks maxima, their positions and the gradient. */
async function checkMax(backend: Backend, x: Floats, size: reference.Pair): Promise<void> {
  const { y, indices: positions } = reference.adaptiveMaxPool2d(x, size);
  const name = `[${x.shape}] to ${size}`;
  const alone = await compute(
    backend,
    [x],
    y.shape,
    (out, x) => ops.adaptiveMaxPool2d(x, [...size], { out }),
  );
  assertAllClose(alone, y.data, { name });
  using tx = upload(backend, x);
  const { output, indices } = ops.adaptiveMaxPool2dWithIndices(tx, [...size]);
  using _output = output, _indices = indices;
  assertAllClose(await output.read(), y.data, { name: `${name} with indices` });
  assertAllClose(await indices.read(), positions.data, { name: `${name} indices` });
  const dy = new Draw(1).floats(y.shape);
  using gradient = upload(backend, dy);
  using dx = ops.maxPoolBackward(gradient, indices, x.shape);
  const expected = reference.maxPoolBackward(dy, positions, x.shape);
  assertAllClose(await dx.read(), expected.data, {
    abs: size[0] * size[1] * 2 ** -23,
    name: `${name} dx`,
  });
}

testOnEveryBackend(
  "adaptiveMaxPool2d() computes any output size from any input",
  async (backend) => {
    const draw = new Draw(1);
    for (const [h, w] of [[1, 1], [2, 3], [7, 5], [13, 9], [75, 73]]) { // the last: several items
      for (const size of [[1, 1], [3, 5], [8, 17], [13, 1]] as const) {
        await checkMax(backend, draw.coarse([2, 2, h, w]), size);
      }
    }
  },
);

testOnEveryBackend(
  "adaptiveMaxPool2d() finds NaN, −∞ and the first of equal values",
  async (backend) => {
    const draw = new Draw(2);
    for (const values of [[NaN, 1, 2, Infinity], [-Infinity], [-3, -2], [-0, 0], [NaN]]) {
      await checkMax(backend, draw.coarse([1, 2, 6, 7], values), [2, 3]);
      await checkMax(backend, draw.coarse([1, 2, 6, 7], values), [1, 1]);
    }
  },
);

/** Checks the mean of each plane, and its gradient. */
async function checkMeans(backend: Backend, x: Floats): Promise<void> {
  const expected = reference.adaptiveAvgPool2d(x, [1, 1]);
  const run = (out: Parameters<typeof ops.adaptiveAvgPool2d>[0], x: typeof out) =>
    ops.adaptiveAvgPool2d(x, 1, { out });
  const y = await compute(backend, [x], expected.shape, run);
  // 64 sums in float32 at most, whose errors grow like the root of their length
  const abs = 2 ** -21 * largest(x), name = `[${x.shape}]`;
  assertAllClose(y, expected.data, { abs, name });
  const dy = new Draw(3).floats(expected.shape);
  const dx = reference.adaptiveAvgPool2dBackward(dy, x.shape);
  const gradient = await compute(
    backend,
    [dy],
    x.shape,
    (out, dy) => ops.adaptiveAvgPoolBackward(dy, x.shape, { out }),
  );
  assertAllClose(gradient, dx.data, { rel: 2 ** -22, name: `${name} dx` });
}

testOnEveryBackend("the mean of a plane of every size is exact", async (backend) => {
  const draw = new Draw(4);
  for (const n of [1, 2, 3, 4, 5, 15, 16, 17, 49, 64, 65, 4095, 4096, 4097, 20000]) {
    await checkMeans(backend, draw.floats([1, 3, 1, n]));
  }
  await checkMeans(backend, draw.floats([7, 13, 7, 7]));
  // far from 0, float32 sums of many values would lose digits
  await checkMeans(backend, draw.floats([1, 2, 100, 100], 1000, 1001));
});

testOnEveryBackend("NaN and infinity stay in their plane", async (backend) => {
  const x = floats([1, 5, 3, 7], new Draw(5).floats([105]).data);
  for (const [i, v] of [NaN, Infinity, -Infinity].entries()) x.data[i * 21 + 5 * i] = v;
  using tx = upload(backend, x), y = ops.adaptiveAvgPool2d(tx, 1);
  const means = [...await y.read()];
  assertEquals(means.slice(0, 3), [NaN, Infinity, -Infinity]);
  assertEquals(means.slice(3).every(Number.isFinite), true);
});

testOnEveryBackend(
  "adaptiveAvgPool2d() computes any output size from any input size",
  async (backend) => {
    const draw = new Draw(9);
    for (const [h, w] of [[1, 1], [2, 3], [6, 6], [7, 5], [13, 9], [75, 73]]) {
      for (const [oh, ow] of [[1, 1], [2, 2], [3, 5], [6, 6], [7, 5], [8, 17], [13, 1]] as const) {
        const x = draw.floats([2, 2, h, w]);
        const expected = reference.adaptiveAvgPool2d(x, [oh, ow]);
        const y = await compute(
          backend,
          [x],
          expected.shape,
          (out, x) => ops.adaptiveAvgPool2d(x, [oh, ow], { out }),
        );
        assertAllClose(y, expected.data, { abs: (h * w + 1) * 2 ** -24, rel: 2 ** -22 });
      }
    }
  },
);

testOnEveryBackend("adaptiveAvgPool1d() does the same along one axis", async (backend) => {
  const x = new Draw(10).floats([2, 3, 11]);
  for (const out of [1, 2, 3, 4, 5, 10, 11, 12, 30]) {
    const expected = reference.adaptiveAvgPool1d(x, out);
    const y = await compute(
      backend,
      [x],
      expected.shape,
      (y, x) => ops.adaptiveAvgPool1d(x, out, { out: y }),
    );
    assertAllClose(y, expected.data, { abs: 12 * 2 ** -24, rel: 2 ** -22 });
  }
});

testOnEveryBackend(
  "adaptiveAvgPool1d() is correct where index · size exceeds 2³¹",
  async (backend) => {
    const size = 50000, x = floats([1, 1, size], Array.from({ length: size }, (_, i) => i % 7));
    const expected = reference.adaptiveAvgPool1d(x, 49999);
    using tx = upload(backend, x);
    using y = ops.adaptiveAvgPool1d(tx, 49999);
    assertAllClose(await y.read(), expected.data, { rel: 2 ** -22 });
  },
);

// Windows of padding whose area exceeds 2³¹ and 2³², where 32 bits give another sign or size

testOnEveryBackend(
  "adaptiveAvgPool1d() finds its windows where index · remainder passes 2³²",
  async (backend) => {
    const x = new Draw(33).floats([1, 1, 139_999]), out = 70_000;
    const expected = reference.adaptiveAvgPool1d(x, out);
    using tx = upload(backend, x);
    using y = ops.adaptiveAvgPool1d(tx, out);
    assertAllClose(await y.read(), expected.data, { abs: 1e-6 });
    const dy = new Draw(34).floats([1, 1, out]);
    using ty = upload(backend, dy);
    using dx = ops.adaptiveAvgPoolBackward(ty, x.shape);
    assertAllClose(await dx.read(), reference.adaptiveAvgPool1dBackward(dy, x.shape).data, {
      abs: 1e-5,
    });
  },
);
