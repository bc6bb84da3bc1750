/** All activation functions of single elements, forward and backward. */

import * as ops from "../../src/ops/mod.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend, testOnFewBackends } from "../backends.ts";
import * as reference from "../reference.ts";
import { activationCases } from "./activations.ts";
import { bits, compute, Draw, type Floats, floats, skipsShape, sum, upload } from "./harness.ts";

// exp() is correct to two units in the last place, and so is what follows from it
const tolerance = { abs: 1e-6, rel: 1e-6 };

/** Values at and near the kinks, values from −20 to 20, and those that are not finite. */
function points(): Floats {
  const near = [0, -0, 1, -1, 2, -2, 3, -3, 6, -6, 0.5, -0.5, 1e-6, -1e-6, 1e-45, -1e-45];
  const far = [30, -30, 87, -87, 88.5, -88.5, 104, -104, 1e4, -1e4, 1e18, -1e18, 1e38, -1e38];
  const grid = Array.from({ length: 401 }, (_, i) => (i - 200) * 0.1007);
  const values = [...near, ...far, NaN, Infinity, -Infinity, ...grid];
  return floats([values.length], values);
}

testOnEveryBackend("activations and their gradients agree with the reference", async (backend) => {
  const x = points(), dy = new Draw(1).floats(x.shape);
  using tx = upload(backend, x), tdy = upload(backend, dy);
  const results = await Promise.all(activationCases.map(async (c) => {
    using y = c.forward(tx), dx = c.backward(tdy, tx, y);
    return [c, await Promise.all([y.read(), dx.read()])] as const;
  }));
  for (const [c, [y, dx]] of results) {
    const { name } = c;
    assertAllClose(y, reference.map(x, c.reference).data, { ...tolerance, name });
    const expected = reference.mapBackward(dy, x, c.reference).data;
    assertAllClose(dx, expected, { ...tolerance, name: `the gradient of ${name}` });
  }
});

testOnEveryBackend("activations work at every length", async (backend) => {
  const draw = new Draw(2);
  for (const c of activationCases) {
    for (const n of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
      if (skipsShape(backend)) continue;
      const x = draw.floats([n], -4, 4), dy = draw.floats([n]);
      const y = await compute(backend, [x], [n], (out, x) => c.forward(x, { out }));
      assertAllClose(y, reference.map(x, c.reference).data, { ...tolerance, name: c.name });
      const dx = await compute(backend, [dy, x, floats([n], y)], [n], (out, dy, x, y) => {
        return c.backward(dy, x, y, { out });
      });
      const expected = reference.mapBackward(dy, x, c.reference).data;
      assertAllClose(dx, expected, { ...tolerance, name: c.name });
    }
  }
});

testOnEveryBackend("activations work on several chunks", async (backend) => {
  const draw = new Draw(3);
  const few = activationCases.filter(({ name }) => /^(relu|tanh|silu)/.test(name));
  for (const [i, n] of [16383, 16384, 16385, 40001].entries()) {
    const c = few[i % few.length], x = draw.floats([n], -4, 4), dy = draw.floats([n]);
    const y = await compute(backend, [x], [n], (out, x) => c.forward(x, { out }));
    assertAllClose(y, reference.map(x, c.reference).data, { ...tolerance, name: c.name });
    const dx = await compute(backend, [dy, x, floats([n], y)], [n], (out, dy, x, y) => {
      return c.backward(dy, x, y, { out });
    });
    const expected = reference.mapBackward(dy, x, c.reference).data;
    assertAllClose(dx, expected, { ...tolerance, name: c.name });
  }
});

testOnEveryBackend("activations and their gradients may work in place", async (backend) => {
  const x = new Draw(4).floats([3, 7], -4, 4), dy = new Draw(5).floats([3, 7]);
  using tx = upload(backend, x), tdy = upload(backend, dy);
  const results = await Promise.all(activationCases.map(async (c) => {
    using y = c.forward(tx), dx = c.backward(tdy, tx, y);
    using y2 = upload(backend, x), dx2 = upload(backend, dy);
    c.forward(y2, { out: y2 });
    c.backward(dx2, tx, y, { out: dx2 });
    return [c, await Promise.all([y, y2, dx, dx2].map((tensor) => tensor.read()))] as const;
  }));
  for (const [c, values] of results) {
    const [y, y2, dx, dx2] = values.map(bits);
    assertEquals(y2, y, c.name);
    assertEquals(dx2, dx, `the gradient of ${c.name}`);
  }
});

testOnFewBackends("gradients are 0 in flat parts, even for NaN and infinity", async (backend) => {
  const x = floats([12], [-5, -5, -5, -5, 7, 7, 7, 7, 0.25, 0.25, NaN, 0.25]);
  const dy = floats([12], [NaN, Infinity, -Infinity, 1, NaN, Infinity, -Infinity, 1, NaN, 2, 3, 4]);
  using tx = upload(backend, x), tdy = upload(backend, dy);
  for (const c of activationCases.filter(({ name }) => /^(relu|hard)/.test(name))) {
    using y = c.forward(tx), dx = c.backward(tdy, tx, y);
    assertAllClose(await dx.read(), reference.mapBackward(dy, x, c.reference).data, {
      ...tolerance,
      name: c.name,
    });
  }
});

/** Shapes of x and of the weight. */
const preluShapes = [
  [[2, 3, 4, 5], [3]],
  [[2, 3, 4, 5], [1]],
  [[4, 7], [7]],
  [[5], [1]],
  [[2, 2, 129], [2]],
] as const;

testOnEveryBackend("prelu() and its gradients agree with the reference", async (backend) => {
  const draw = new Draw(6);
  for (const [shape, size] of preluShapes) {
    if (skipsShape(backend)) continue;
    const x = draw.floats(shape), dy = draw.floats(shape), weight = draw.floats(size, -2, 2);
    x.data.set([0, -0], 1);
    const own = size[0] > 1 ? [...size, ...shape.slice(2).map(() => 1)] : size;
    const all = reference.repeat({ shape: own, data: weight.data }, shape);
    const name = `[${shape}]`, inputs = [x, weight] as const;
    const y = await compute(backend, inputs, shape, (out, x, w) => ops.prelu(x, w, { out }));
    assertAllClose(y, reference.prelu(x, all).data, { ...tolerance, name });
    const { dx, dweight } = reference.preluBackward(dy, x, all);
    const gradient = await compute(backend, [dy, x, weight], shape, (out, dy, x, w) => {
      return ops.preluBackwardInput(dy, x, w, { out });
    });
    assertAllClose(gradient, dx.data, { ...tolerance, name });
    const start = draw.floats(size), sums = reference.repeatBackward(dweight, own);
    const into = await compute(backend, [dy, x], size, (into, dy, x) => {
      return ops.preluBackwardWeight(dy, x, size, { into });
    }, start);
    assertAllClose(into, sum(start, sums), { abs: 1e-5, name });
  }
});

testOnEveryBackend("prelu() keeps NaN, and may work in place", async (backend) => {
  const x = floats([1, 2, 3], [NaN, Infinity, -Infinity, -4, -0, 2]);
  using tx = upload(backend, x), weight = upload(backend, floats([2], [0.5, -1]));
  ops.prelu(tx, weight, { out: tx });
  assertAllClose(await tx.read(), [NaN, Infinity, -Infinity, 4, 0, 2]);
  using dy = upload(backend, floats([1, 2, 3], [1, 2, 3, 4, 5, 6]));
  using again = upload(backend, x);
  ops.preluBackwardInput(dy, again, weight, { out: dy });
  assertAllClose(await dy.read(), [0.5, 2, 1.5, -4, -5, 6]);
});
