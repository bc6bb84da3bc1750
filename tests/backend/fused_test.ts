/** Activations and residuals that operations compute together with their result. */

import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError } from "../../src/errors.ts";
import {
  batchNorm,
  conv1d,
  conv2d,
  type FusedActivation,
  linear,
  prepareConv,
  quantizeLinear,
} from "../../src/ops/mod.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testOnWasm } from "../backends.ts";
import * as reference from "../reference.ts";
import {
  bits,
  compute,
  Draw,
  type Floats,
  floats,
  largest,
  skipsShape,
  sumTolerance,
  upload,
} from "./harness.ts";

const clamp = (v: number) => v < 0 ? 0 : v > 6 ? 6 : v;

/** The activations in float64. A NaN stays NaN. */
const formulas: Readonly<Record<FusedActivation | "none", (v: number) => number>> = {
  none: (v) => v,
  relu: (v) => v < 0 ? 0 : v,
  relu6: clamp,
  hardswish: (v) => v * clamp(v + 3) / 6,
  silu: (v) => v / (1 + Math.exp(-v)),
};

const activations = Object.keys(formulas) as (FusedActivation | "none")[];

const optionOf = (name: FusedActivation | "none") => name === "none" ? undefined : name;

/** activation(y + residual). */
function fuse(
  y: reference.NumArray64,
  residual: Floats | null,
  activation: FusedActivation | "none",
): Float64Array {
  return y.data.map((v, i) => formulas[activation](v + (residual?.data[i] ?? 0)));
}

interface Case {
  readonly x: readonly [number, number, number, number];
  readonly w: readonly [number, number, number, number];
  readonly groups?: number;
  readonly stride?: number;
  readonly algorithm?: "direct" | "winograd";
  readonly bias?: boolean;
}

/** Compares each activation, with a residual, without one, and in place, with the reference. */
async function check(backend: Backend, c: Case): Promise<void> {
  if (skipsShape(backend)) return;
  const draw = new Draw(5), { groups = 1, stride = 1, algorithm } = c;
  // sums between −20 and 20, beyond all bends of the activations
  const x = draw.floats(c.x, -3, 3), w = draw.floats(c.w, -2, 2);
  const bias = c.bias === false ? null : draw.floats([c.w[0]], -4, 4);
  const options = { padding: 1, groups, stride, algorithm };
  const plain = reference.conv2d(x, w, bias, {
    padding: [1, 1, 1, 1],
    groups,
    stride: [stride, stride],
  });
  const residual = draw.floats(plain.shape, -4, 4);
  // hardswish multiplies errors by 1.5 at most; winograd rounds more, as winograd_test.ts says
  const { abs } = algorithm === "winograd"
    ? { abs: 1e-4 * largest(plain) }
    : sumTolerance(c.w[1] * c.w[2] * c.w[3], x, w);
  const tolerance = { abs: 1.5 * abs, rel: 1e-6 };
  for (const name of activations) {
    const message = `${name} of x [${c.x}] w [${c.w}] ${JSON.stringify(options)}`;
    const activation = optionOf(name);
    const y = await compute(backend, [x, w, bias], plain.shape, (out, x, w, bias) => {
      return conv2d(x, w, bias, { ...options, activation, out });
    });
    assertAllClose(y, fuse(plain, null, name), { ...tolerance, name: message });

    const expected = fuse(plain, residual, name);
    const sum = await compute(
      backend,
      [x, w, bias, residual],
      plain.shape,
      (out, x, w, bias, residual) =>
        conv2d(x, w, bias, { ...options, activation, residual: residual!, out }),
    );
    assertAllClose(sum, expected, { ...tolerance, name: `residual, ${message}` });

    const into = await compute(
      backend,
      [x, w, bias],
      plain.shape,
      (out, x, w, bias) => conv2d(x, w, bias, { ...options, activation, residual: out, out }),
      residual,
    );
    assertEquals(bits(into), bits(sum), `residual in place, ${message}`);
  }
}

testOnEveryBackend("conv2d() fuses activations and residuals", async (backend) => {
  await check(backend, { x: [2, 3, 5, 7], w: [9, 3, 3, 3] });
  await check(backend, { x: [1, 2, 4, 4], w: [4, 2, 3, 3], bias: false });
  await check(backend, { x: [1, 4, 6, 9], w: [10, 2, 3, 3], groups: 2, stride: 2 });
  await check(backend, { x: [1, 200, 3, 2], w: [5, 200, 3, 1] }); // two blocks of k
  await check(backend, { x: [1, 1, 30, 30], w: [5, 1, 3, 3] }); // two blocks of columns
});

testOnWasm("winograd fuses activations and residuals", async (backend) => {
  const algorithm = "winograd";
  await check(backend, { x: [2, 3, 9, 7], w: [5, 3, 3, 3], algorithm });
  await check(backend, { x: [1, 4, 8, 8], w: [10, 2, 5, 5], algorithm, groups: 2, bias: false });
  await check(backend, { x: [1, 2, 17, 18], w: [4, 2, 6, 6], algorithm, stride: 2 });
});

testOnEveryBackend(
  "conv1d() and prepared weights fuse activations and residuals",
  async (backend) => {
    const draw = new Draw(6);
    const x = draw.floats([2, 3, 11], -3, 3), w = draw.floats([5, 3, 2], -2, 2);
    const plain = reference.conv1d(x, w, null), residual = draw.floats(plain.shape, -4, 4);
    const y = await compute(backend, [x, w, residual], plain.shape, (out, x, w, residual) => {
      using prepared = prepareConv(w);
      return conv1d(x, prepared, null, { activation: "hardswish", residual, out });
    });
    const tolerance = { abs: 4 * sumTolerance(6, x, w).abs, rel: 1e-6 };
    assertAllClose(y, fuse(plain, residual, "hardswish"), tolerance);
  },
);

testOnEveryBackend("linear() fuses activations for one sample, a few and many", async (backend) => {
  const draw = new Draw(7);
  // the last ones are more than a thread's work
  const few = backend.device === "webgpu" ? [] : [[1, 17], [9, 14], [41, 401], [241, 131]];
  for (const [n, outF] of [[2, 5], [26, 7], [64, 6], ...few]) {
    const x = draw.floats([n, 20], -2, 2), w = draw.floats([outF, 20], -2, 2);
    const bias = draw.floats([outF], -4, 4), plain = reference.linear(x, w, bias);
    for (const name of activations) {
      const y = await compute(
        backend,
        [x, w, bias],
        plain.shape,
        (out, x, w, bias) => linear(x, w, bias, { activation: optionOf(name), out }),
      );
      const tolerance = { abs: 4 * sumTolerance(20, x, w).abs, rel: 1e-6 };
      assertAllClose(y, fuse(plain, null, name), { ...tolerance, name: `${name} of ${n}×${outF}` });
    }
  }
});

testOnEveryBackend("linear() with int8 weights fuses activations", async (backend) => {
  const draw = new Draw(8);
  const x = draw.floats([3, 12], -2, 2), w = draw.floats([13, 12], -2, 2);
  using tx = upload(backend, x), tw = upload(backend, w);
  const quantized = quantizeLinear(tw);
  using plain = linear(tx, quantized, null);
  const values = { shape: plain.shape, data: Float64Array.from(await plain.read()) };
  for (const name of activations) {
    using y = linear(tx, quantized, null, { activation: optionOf(name) });
    const expected = fuse(values, null, name);
    assertAllClose(await y.read(), expected, { abs: 1e-5, rel: 1e-6, name });
  }
  quantized.dispose();
});

testOnEveryBackend("batchNorm() fuses activations, also in place", async (backend) => {
  const draw = new Draw(9);
  for (const plane of [9, 1, 3, 4]) {
    if (skipsShape(backend)) continue;
    const x = draw.floats([2, 3, plane], -9, 9), mean = draw.floats([3]);
    const variance = draw.floats([3], 0.5, 1), weight = draw.floats([3]), bias = draw.floats([3]);
    const plain = reference.batchNorm(x, { mean, variance, weight, bias }, 1e-5);
    for (const name of activations) {
      const run = (
        out: Tensor,
        x: Tensor,
        mean: Tensor,
        variance: Tensor,
        w: Tensor,
        b: Tensor,
      ) => {
        const tensors = { runningMean: mean, runningVar: variance, weight: w, bias: b };
        return batchNorm(x, tensors, { activation: optionOf(name), out });
      };
      const others = [mean, variance, weight, bias] as const;
      const y = await compute(backend, [x, ...others], x.shape, run);
      assertAllClose(y, fuse(plain, null, name), { abs: 2e-5, rel: 1e-6, name });
      const into = await compute(
        backend,
        others,
        x.shape,
        (out, ...tensors) => run(out, out, ...tensors),
        x,
      );
      assertEquals(bits(into), bits(y), `${name} in place`);
    }
  }
});

testOnEveryBackend("activations keep NaN and infinities as their formulas do", async (backend) => {
  // −∞ · 0 in hardswish is NaN, as in PyTorch
  const values = [NaN, Infinity, -Infinity, -0, 6, 6.5, -3, -3.5, 3, 1e30, -1e30, 2];
  const x = floats([1, 1, 3, 4], values), one = floats([5, 1, 1, 1], Array(5).fill(1));
  const zero = floats([1], [0]), unit = floats([1], [1]), square = floats([12, 1], values);
  for (const name of activations) {
    const expected = values.map(formulas[name]), activation = optionOf(name);
    const tolerance = { abs: 1e-6, rel: 1e-6, name };
    const y = await compute(backend, [x, one], [1, 5, 3, 4], (out, x, w) => {
      return conv2d(x, w, null, { activation, out });
    });
    assertAllClose(y, Array(5).fill(expected).flat(), tolerance);
    const dense = await compute(backend, [square, unit], [12, 1], (out, x, w) => {
      return linear(x, w.view([1, 1]), null, { activation, out });
    });
    assertAllClose(dense, expected, tolerance);
    const normal = await compute(backend, [x, zero, unit], [1, 1, 3, 4], (out, x, mean, one) => {
      return batchNorm(x, { runningMean: mean, runningVar: one }, { eps: 0, activation, out });
    });
    assertAllClose(normal, expected, tolerance);
  }
});

testOnWasm(
  "winograd keeps NaN and infinities of a residual to themselves",
  async (backend) => {
    const values = [NaN, Infinity, -Infinity, -0, 6.5, -3.5, 3, 2, -2];
    using residual = upload(backend, floats([1, 1, 3, 3], values));
    using x = backend.upload(Array(9).fill(0), [1, 1, 3, 3]);
    for (const name of activations) {
      const activation = optionOf(name);
      using y = conv2d(x, x, null, { padding: 1, algorithm: "winograd", residual, activation });
      const expected = values.map(formulas[name]);
      assertAllClose(await y.read(), expected, { abs: 1e-6, rel: 1e-6, name });
    }
  },
);

testOnEveryBackend(
  "a residual must have the output's shape and may only overlap `out`",
  (backend) => {
    using x = backend.upload(new Float32Array(9), [1, 1, 3, 3]);
    using w = backend.upload([1], [1, 1, 1, 1]), bias = backend.upload([1], [1]);
    using other = backend.upload(new Float32Array(4), [1, 1, 2, 2]);
    assertThrows(
      () => conv2d(x, w, null, { residual: other }),
      ArgumentError,
      "conv2d: the shape of residual is [1, 1, 2, 2], must be [1, 1, 3, 3]",
    );
    assertThrows(
      () => conv2d(x, w, null, { residual: x, out: x }),
      ArgumentError,
      "conv2d: out is the memory of an input",
    );
    using y = conv2d(x, w, bias, { residual: x }); // x may be both
    assertEquals(y.shape, [1, 1, 3, 3]);
  },
);
