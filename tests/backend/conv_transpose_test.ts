import type { Backend } from "../../src/backend/mod.ts";
import * as ops from "../../src/ops/mod.ts";
import { elements, type Shape } from "../../src/tensor.ts";
import { assertAllClose } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { compute, Draw, type Floats, floats, skipsShape, sum, sumTolerance } from "./harness.ts";

type Options = reference.ConvTranspose2d;

/** Checks a transposed convolution and its gradients. */
async function check(backend: Backend, x: Floats, w: Floats, o: Options): Promise<void> {
  const draw = new Draw(7), { groups = 1 } = o;
  const name = `x [${x.shape}] w [${w.shape}] ${JSON.stringify(o)}`;
  const bias = draw.floats([w.shape[1] * groups]);
  const expected = reference.convTranspose2d(x, w, bias, o);
  const y = await compute(
    backend,
    [x, w, bias],
    expected.shape,
    (out, x, w, b) => ops.convTranspose2d(x, w, b, { ...o, out }),
  );
  const products = x.shape[1] / groups * w.shape[2] * w.shape[3];
  assertAllClose(y, expected.data, { ...sumTolerance(products + 1, x, w), name });

  const dy = draw.floats(expected.shape);
  const { dx, dw, db } = reference.convTranspose2dBackward(dy, x, w, o);
  const input = await compute(
    backend,
    [dy, w],
    x.shape,
    (out, dy, w) => ops.convTransposeBackwardInput(dy, w, x.shape, { ...o, out }),
  );
  const taps = elements(w.shape.slice(1));
  assertAllClose(input, dx.data, { ...sumTolerance(taps, dy, w), name: `${name} dx` });
  const start = draw.floats(w.shape), pixels = x.shape[0] * x.shape[2] * x.shape[3];
  const weight = await compute(
    backend,
    [dy, x],
    w.shape,
    (into, dy, x) => ops.convTransposeBackwardWeight(dy, x, w.shape, { ...o, into }),
    start,
  );
  const tolerance = sumTolerance(pixels + 1, dy, x);
  assertAllClose(weight, sum(start, dw), { ...tolerance, name: `${name} dw` });
  const biasStart = draw.floats(db.shape);
  const gradient = await compute(
    backend,
    [dy],
    db.shape,
    (into, dy) => ops.biasBackward(dy, { into }),
    biasStart,
  );
  const count = dy.data.length / db.data.length;
  const close = { abs: (count + 2) * 2 ** -23, name: `${name} db` };
  assertAllClose(gradient, sum(biasStart, db), close);
}

/** The first one also runs on a GPU, which compiles its shaders for each shape. */
const cases: [x: Shape, w: Shape, o: Options][] = [
  [[2, 4, 3, 5], [4, 3, 3, 2], {
    stride: [2, 3],
    padding: [1, 0, 0, 2],
    outputPadding: [1, 0],
    groups: 2,
  }],
  [[2, 3, 4, 5], [3, 5, 3, 2], {}],
  [[1, 2, 4, 5], [2, 3, 1, 2], { stride: [3, 3] }], // the stride is larger than the kernel
  [[1, 5, 7, 6], [5, 9, 3, 3], { stride: [2, 2], padding: [1, 1, 1, 1], outputPadding: [1, 0] }],
  [[1, 2, 4, 3], [2, 3, 2, 2], { dilation: [3, 3], outputPadding: [2, 1] }],
  [[2, 6, 3, 9], [6, 4, 2, 2], { stride: [2, 2], groups: 3 }],
  [[1, 9, 4, 5], [9, 1, 3, 3], { stride: [2, 1], groups: 9 }],
];

testOnEveryBackend("convTranspose2d() and its gradients take all options", async (backend) => {
  const draw = new Draw(1);
  for (const [x, w, o] of cases) {
    if (!skipsShape(backend)) await check(backend, draw.floats(x), draw.floats(w), o);
  }
});

testOnEveryBackend("convTranspose1d() adds a bias to rows of every length", async (backend) => {
  const draw = new Draw(2), w = draw.floats([3, 2, 1]), bias = draw.floats([2]);
  for (const length of [5, 1, 3, 4, 17]) {
    if (skipsShape(backend)) continue;
    const x = draw.floats([2, 3, length]);
    const expected = reference.convTranspose2d(reference.plane(x), reference.plane(w), bias, {});
    const y = await compute(
      backend,
      [x, w, bias],
      [2, 2, length],
      (out, x, w, b) => ops.convTranspose1d(x, w, b, { out }),
    );
    assertAllClose(y, expected.data, sumTolerance(4, x, w));
  }
});

testOnEveryBackend(
  "convTranspose2d() spreads NaN and infinity over their kernels only",
  async (backend) => {
    const x = floats([1, 1, 2, 3], [NaN, 1, Infinity, 2, 3, 4]), w = floats([1, 1, 1, 2], [1, -1]);
    const o = { stride: [1, 2] } as const;
    const y = await compute(
      backend,
      [x, w],
      [1, 1, 2, 6],
      (out, x, w) => ops.convTranspose2d(x, w, null, { ...o, out }),
    );
    assertAllClose(y, [NaN, NaN, 1, -1, Infinity, -Infinity, 2, -2, 3, -3, 4, -4]);
  },
);
