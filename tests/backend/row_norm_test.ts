/** Layer and group normalisation. */

import { type Backend, createBackend } from "../../src/backend/mod.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import * as ops from "../../src/ops/mod.ts";
import { elements, type Shape, type Tensor } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, type Floats, floats, largest, sum, upload } from "./harness.ts";

/** A normalisation: of the last axes if it has sizes, else of groups. */
interface Norm {
  readonly shape: Shape;
  /** The sizes of the last axes, or the number of groups. */
  readonly over: readonly number[] | number;
}

function rowsOf({ shape, over }: Norm): reference.Rows {
  if (typeof over !== "number") return { groups: 1, channels: elements(over), plane: 1 };
  return { groups: over, channels: shape[1] / over, plane: elements(shape.slice(2)) };
}

function affineShape({ shape, over }: Norm): Shape {
  return typeof over === "number" ? [shape[1]] : over;
}

function normalise(
  x: Tensor,
  { over }: Norm,
  options: Parameters<typeof ops.layerNorm>[2],
): Tensor {
  return typeof over === "number"
    ? ops.groupNorm(x, over, options)
    : ops.layerNorm(x, over, options);
}

/** Checks a normalisation, what it saves, and its gradient. */
async function check(backend: Backend, x: Floats, norm: Norm, learns = true): Promise<void> {
  const draw = new Draw(5), rows = rowsOf(norm), eps = 1e-3;
  const [w, b] = [0, 1].map(() => learns ? draw.floats(affineShape(norm)) : null);
  const name = `[${x.shape}] over ${norm.over}, ${learns ? "affine" : "plain"}`;
  const expected = reference.rowNorm(x, w, b, rows, Math.fround(eps));
  const y = await compute(
    backend,
    [x, w, b],
    x.shape,
    (out, x, weight, bias) => normalise(x, norm, { weight, bias, eps, out }),
  );
  const most = Math.max(1, largest(x));
  const close = { abs: 2 ** -20 * Math.max(1, largest(expected)) * most };
  assertAllClose(y, expected.data, { ...close, name });

  // `using` frees them after the reads below
  using tx = upload(backend, x);
  const { mean: means, variance } = reference.rowStatistics(x, rows);
  using mean = backend.empty(means.shape), rstd = backend.empty(means.shape);
  using saved = normalise(tx, norm, { eps, statistics: { mean, rstd } });
  assertEquals(saved.shape, x.shape);
  assertAllClose(await mean.read(), means.data, { abs: 2 ** -22 * most, name: `${name} mean` });
  const inverse = variance.data.map((v) => 1 / Math.sqrt(v + Math.fround(eps)));
  assertAllClose(await rstd.read(), inverse, { rel: 2 ** -19, name: `${name} rstd` });

  const dy = draw.floats(x.shape), statistics = { mean, rstd }, { over } = norm;
  const gradients = reference.rowNormBackward(dy, x, w, rows, Math.fround(eps));
  const starts = [0, 1].map(() => draw.floats(affineShape(norm)));
  const [dweight, dbias] = starts.map((start) => upload(backend, start));
  const dx = await compute(backend, [dy, w], x.shape, (out, dy, weight) => {
    const options = { weight, dweight, dbias, out };
    return typeof over === "number"
      ? ops.groupNormBackward(dy, tx, statistics, over, options)
      : ops.layerNormBackward(dy, tx, statistics, over, options);
  });
  const tolerance = (v: reference.NumArray) => ({ abs: 2 ** -18 * Math.max(1, largest(v)) * most });
  assertAllClose(dx, gradients.dx.data, { ...tolerance(gradients.dx), name: `${name} dx` });
  const results = [[dweight, gradients.dweight], [dbias, gradients.dbias]] as const;
  for (const [i, [tensor, gradient]] of results.entries()) {
    const total = sum(starts[i], gradient);
    const limits = { ...tolerance({ ...gradient, data: total }), name: `${name} gradient ${i}` };
    assertAllClose(await tensor.read(), total, limits);
    tensor.dispose();
  }
}

const norms: Norm[] = [
  ...[1, 3, 4, 7, 8, 17, 33].map((size) => ({ shape: [5, size], over: [size] })),
  { shape: [2, 3, 4, 5], over: [4, 5] },
  { shape: [2, 3, 4, 5], over: [3, 4, 5] },
  { shape: [67, 130], over: [130] },
  { shape: [2, 20000], over: [20000] }, // more than a thread's work
  { shape: [2, 6, 5, 7], over: 3 },
  { shape: [2, 6, 5, 7], over: 6 }, // instance normalisation
  { shape: [3, 8, 4], over: 1 },
  { shape: [3, 12], over: 4 }, // planes of one value, three to a row
  { shape: [1, 10], over: 2 },
  { shape: [1, 4, 64, 66], over: 2 }, // more than a block of a sum
];

testOnEveryBackend(
  "layerNorm(), groupNorm() and their gradients take every size",
  async (backend) => {
    const draw = new Draw(1);
    for (const norm of norms) await check(backend, draw.floats(norm.shape), norm);
  },
);

testOnEveryBackend("layerNorm() and groupNorm() work without weight and bias", async (backend) => {
  const draw = new Draw(2);
  for (const norm of [norms[5], norms[7], norms[11], norms[14]]) {
    await check(backend, draw.floats(norm.shape), norm, false);
  }
});

testOnEveryBackend(
  "a mean far from 0 costs no digits beyond those of the input",
  async (backend) => {
    const draw = new Draw(3), x = draw.floats([3, 4, 8, 9], 1000, 1001);
    const rows = { groups: 2, channels: 2, plane: 72 };
    const expected = reference.rowNorm(x, null, null, rows, 0);
    const y = await compute(
      backend,
      [x],
      x.shape,
      (out, x) => ops.groupNorm(x, 2, { eps: 0, out }),
    );
    // sums of 144 values are right to 2⁻⁸, so the mean is to 2⁻¹⁴; the deviation is 0.3. In one
    // pass, squares of 10⁶ would leave no digit of the variance.
    assertAllClose(y, expected.data, { abs: 16 * 2 ** -14 });
  },
);

testOnEveryBackend(
  "NaN and infinity stay in their row, and a row of equal values is 0",
  async (backend) => {
    const x = floats([4, 3], [NaN, 1, 2, Infinity, 1, 2, 5, 5, 5, 1, 2, 3]);
    const y = await compute(backend, [x], x.shape, (out, x) => ops.layerNorm(x, [3], { out }));
    assert(y.slice(0, 6).every(Number.isNaN));
    assertEquals([...y.slice(6, 9)], [0, 0, 0]);
    assertAllClose(y.slice(9), [-1.2247356, 0, 1.2247356], { abs: 1e-6 });
  },
);

testOnEveryBackend("layerNorm() may overwrite x, and its gradient dy", async (backend) => {
  const draw = new Draw(4), shape = [5, 37];
  const values = draw.floats(shape), slope = draw.floats(shape), factors = draw.floats([37]);
  using x = upload(backend, values), weight = upload(backend, factors);
  using mean = backend.empty([5]), rstd = backend.empty([5]);
  const statistics = { mean, rstd };
  using y = ops.layerNorm(x, [37], { weight, statistics });
  using own = upload(backend, values);
  ops.layerNorm(own, [37], { weight, out: own });
  assertEquals(bits(await own.read()), bits(await y.read()));
  const gradients = [0, 1].map(() => floats([37], Array(37).fill(0)));
  const [first, second] = gradients.map((zeros) => upload(backend, zeros));
  using dy = upload(backend, slope);
  using dx = ops.layerNormBackward(dy, x, statistics, [37], { weight, dweight: first });
  ops.layerNormBackward(dy, x, statistics, [37], { weight, dweight: second, out: dy });
  assertEquals(bits(await dy.read()), bits(await dx.read()));
  assertEquals(bits(await second.read()), bits(await first.read()));
  first.dispose();
  second.dispose();
});

Deno.test("normalisations and means give the same bits on every number of threads", async () => {
  using one = await createBackend({ device: "wasm" });
  using three = (await WasmBackend.withThreads(3))!;
  const results: Int32Array[][] = [];
  for (const backend of [one, three]) {
    const draw = new Draw(6);
    const tensor = (shape: Shape) => upload(backend, draw.floats(shape));
    const x = tensor([3, 40, 30, 31]), dy = tensor([3, 40, 30, 31]), rows = tensor([90, 700]);
    const weight = tensor([40]), factors = tensor([700]), slope = tensor([90, 700]);
    const statistics = { mean: tensor([12]), rstd: tensor([12]) };
    const others = { mean: tensor([90]), rstd: tensor([90]) };
    const [dw, db, df] = [tensor([40]), tensor([40]), tensor([700])];
    const outputs = [
      ops.adaptiveAvgPool2d(x, 1),
      ops.groupNorm(x, 4, { weight, statistics }),
      ops.groupNormBackward(dy, x, statistics, 4, { weight, dweight: dw, dbias: db }),
      ops.layerNorm(rows, [700], { weight: factors, statistics: others }),
      ops.layerNormBackward(slope, rows, others, [700], { weight: factors, dweight: df }),
    ];
    const read = [...outputs, dw, db, df].map(async (y) => bits(await y.read()));
    results.push(await Promise.all(read));
  }
  assertEquals(results[0], results[1]);
});
