/** Single steps of the optimisers, and their vector operations. */

import { kernelsOf } from "../../src/backend/interface.ts";
import type { Backend } from "../../src/backend/mod.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, floats, guarded, upload } from "./harness.ts";

/** The lengths of tensors. Reading from a GPU is slow. */
const lengthsOn = ({ device }: Backend) =>
  device === "webgpu" ? [1, 3, 4, 5, 33] : [1, 2, 3, 4, 5, 6, 7, 8, 9, 33];
/** The lengths of parameters: the longest one is more than a thread's work. */
const parameterLengthsOn = (backend: Backend) => [...lengthsOn(backend), 16389];
const stepCount = 5;

/** In float32, each step rounds a few times by 2⁻²⁴ of the weights. */
const close = { abs: stepCount * 4 * 2 ** -24, rel: stepCount * 2 ** -23 };

const sgd: reference.Sgd[] = [
  { lr: 0.1 },
  { lr: 0.1, weightDecay: 0.3 },
  { lr: 0.05, momentum: 0.9 },
  { lr: 0.05, momentum: 0.9, weightDecay: 0.2 },
  { lr: 0.05, momentum: 0.5, nesterov: true },
  { lr: 0.05, momentum: 0.9, weightDecay: 0.2, nesterov: true },
  { lr: 0 },
];

for (const o of sgd) {
  testOnEveryBackend(
    `sgdStep() takes ${stepCount} steps of ${JSON.stringify(o)}`,
    async (backend) => {
      const draw = new Draw(1);
      for (const n of parameterLengthsOn(backend)) {
        const start = draw.floats([n]);
        using w = guarded(backend, [n], start.data);
        using v = guarded(backend, [n], o.momentum ? new Float32Array(n) : undefined); // else NaN
        const expected = Float64Array.from(start.data), velocity = new Float64Array(n);
        for (let t = 1; t <= stepCount; t++) {
          const dw = draw.floats([n]);
          using gradient = upload(backend, dw);
          const { lr, momentum = 0, weightDecay = 0, nesterov = false } = o;
          const step = { lr, momentum, weightDecay, nesterov };
          kernelsOf(backend).sgdStep(w.tensor, gradient, momentum === 0 ? null : v.tensor, step);
          reference.sgdStep(expected, dw.data, velocity, t, o);
          assertEquals(bits(await gradient.read()), bits(dw.data), "the gradient changed");
        }
        assertAllClose(await w.read(), expected, { ...close, name: `w of ${n}` });
        const held = await v.read();
        if (o.momentum) assertAllClose(held, velocity, { ...close, name: `velocity of ${n}` });
        else assertEquals(bits(held), bits(new Float32Array(n).fill(NaN)));
      }
    },
  );
}

const adamw: reference.AdamW[] = [
  { lr: 1e-2, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01 },
  { lr: 0.1, betas: [0.5, 0.9], eps: 1e-3, weightDecay: 0 },
  { lr: 0.1, betas: [0, 0], eps: 1, weightDecay: 0.5 },
];

for (const o of adamw) {
  testOnEveryBackend(
    `adamwStep() takes ${stepCount} steps of ${JSON.stringify(o)}`,
    async (backend) => {
      const draw = new Draw(2);
      for (const n of parameterLengthsOn(backend)) {
        const start = draw.floats([n]);
        using w = guarded(backend, [n], start.data);
        using m = guarded(backend, [n], new Float32Array(n));
        using v = guarded(backend, [n], new Float32Array(n));
        const expected = Float64Array.from(start.data);
        const mean = new Float64Array(n), square = new Float64Array(n);
        for (let t = 1; t <= stepCount; t++) {
          const dw = draw.floats([n]);
          using gradient = upload(backend, dw);
          const { lr, betas: [beta1, beta2], eps, weightDecay } = o;
          kernelsOf(backend).adamwStep(w.tensor, gradient, m.tensor, v.tensor, {
            shrink: 1 - lr * weightDecay,
            beta1,
            rest1: 1 - beta1,
            beta2,
            rest2: 1 - beta2,
            step: lr / (1 - beta1 ** t),
            root: Math.sqrt(1 - beta2 ** t),
            eps,
          });
          reference.adamwStep(expected, dw.data, mean, square, t, o);
          assertEquals(bits(await gradient.read()), bits(dw.data), "the gradient changed");
        }
        assertAllClose(await w.read(), expected, { ...close, name: `w of ${n}` });
        assertAllClose(await m.read(), mean, { ...close, name: `m of ${n}` });
        assertAllClose(await v.read(), square, { rel: close.rel, name: `v of ${n}` });
      }
    },
  );
}

testOnEveryBackend("axpby() works at every length", async (backend) => {
  const draw = new Draw(3);
  for (const n of lengthsOn(backend)) {
    for (const [a, b] of [[2, 3], [-0.5, 1], [0.25, 0], [0, 0.25], [1, 1]]) {
      const x = draw.floats([n]), y = draw.floats([n]);
      const expected = y.data.map((v, i) => a * x.data[i] + b * v);
      const result = await compute(backend, [x], [n], (y, x) => {
        kernelsOf(backend).axpby(y, x, a, b);
        return y;
      }, y);
      assertAllClose(result, expected, { abs: 2 ** -22 });
    }
  }
});

testOnEveryBackend("axpby() may scale in place, and propagates NaN", async (backend) => {
  using x = backend.upload([1, -2, 3, NaN, 5, Infinity], [6]);
  kernelsOf(backend).axpby(x, x, 0.5, 0.25);
  assertAllClose(await x.read(), [0.75, -1.5, 2.25, NaN, 3.75, Infinity]);
});

async function squares(backend: Backend, values: Float32Array): Promise<number> {
  using x = backend.upload(values, [values.length]);
  return await kernelsOf(backend).squaredNorm(x);
}

testOnEveryBackend("squaredNorm() works at every length", async (backend) => {
  const draw = new Draw(4);
  for (const n of [...lengthsOn(backend), 1022, 1023, 1024, 1025, 1028, 2047, 2048, 2049, 5000]) {
    const x = draw.floats([n]);
    const expected = x.data.reduce((sum, v) => sum + v * v, 0);
    assertAllClose([await squares(backend, x.data)], [expected], { rel: 1e-6, name: `of ${n}` });
  }
});

testOnEveryBackend("squaredNorm() keeps its digits over millions of elements", async (backend) => {
  const n = 4_000_003;
  assertEquals(await squares(backend, new Float32Array(n).fill(1)), n);
  const values = new Float32Array(n).fill(1e-3);
  values[0] = 1000; // the others are below its last digit in float32
  const expected = 1e6 + (n - 1) * Math.fround(1e-3) ** 2;
  assertAllClose([await squares(backend, values)], [expected], { rel: 1e-7 });
});

testOnEveryBackend("squaredNorm() of NaN is NaN, of infinity infinite", async (backend) => {
  const base = new Draw(5).floats([21]).data;
  for (let i = 0; i < 21; i++) {
    assertEquals(await squares(backend, base.with(i, NaN)), NaN);
    assertEquals(await squares(backend, base.with(i, -Infinity)), Infinity);
  }
  assertEquals(await squares(backend, floats([3], [0, -0, 0]).data), 0);
});
