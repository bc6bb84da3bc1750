import type { Backend } from "../../src/backend/mod.ts";
import { linear } from "../../src/ops/mod.ts";
import type { Shape } from "../../src/tensor.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, type Floats, skipsShape, sumTolerance } from "./harness.ts";

/** Draws x, w, perhaps a bias and a ReLU, and compares the result with the reference. */
async function check(backend: Backend, draw: Draw, lead: Shape, inF: number, outF: number) {
  const x = draw.floats([...lead, inF]), w = draw.floats([outF, inF]);
  await compare(backend, x, w, draw.pick([null, draw.floats([outF])]), draw.pick([true, false]));
}

async function compare(backend: Backend, x: Floats, w: Floats, bias: Floats | null, relu: boolean) {
  const plain = reference.linear(x, w, bias);
  const expected = relu ? reference.relu(plain) : plain;
  const y = await run(backend, x, w, bias, relu);
  const name = `x [${x.shape}] w [${w.shape}]`;
  assertAllClose(y, expected.data, { ...sumTolerance(w.shape[1], x, w), name });
  return y;
}

function run(backend: Backend, x: Floats, w: Floats, bias: Floats | null, relu = false) {
  const activation = relu ? "relu" : undefined;
  return compute(
    backend,
    [x, w, bias],
    [...x.shape.slice(0, -1), w.shape[0]],
    (out, x, w, bias) => linear(x, w, bias, { activation, out }),
  );
}

testOnEveryBackend(
  "linear() is correct around the edges of its vectors",
  async (backend) => {
    const draw = new Draw(1);
    for (const inF of [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 100]) {
      for (const outF of [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 24]) {
        const n = draw.integer(1, 9);
        if (!skipsShape(backend)) await check(backend, draw, [n], inF, outF);
      }
    }
  },
);

testOnEveryBackend("linear() works with batches around the size of its panels", async (backend) => {
  const draw = new Draw(2);
  for (let n = 1; n <= 34; n++) {
    for (const outF of [11, 12, 18]) await check(backend, draw, [n], 37, outF);
  }
});

testOnEveryBackend("linear() is correct around the size of its items", async (backend) => {
  const draw = new Draw(3);
  for (const n of [1, 2, 3, 8]) {
    for (const outF of [47, 48, 49, 59, 95, 96, 97, 150]) {
      await check(backend, draw, [n], 345, outF);
    }
    for (const inF of [1023, 1024, 1025, 2048, 2053]) await check(backend, draw, [n], inF, 13);
  }
});

testOnEveryBackend("linear() of many samples is a product of matrices", async (backend) => {
  const draw = new Draw(9);
  for (const n of [63, 64, 65, 239, 240, 241]) {
    for (const outF of [1, 7, 9, 20, 129]) {
      if (!skipsShape(backend)) await check(backend, draw, [n], draw.pick([1, 3, 8, 21]), outF);
    }
  }
  for (const inF of [767, 769, 1537]) await check(backend, draw, [65], inF, 5);
});

testOnEveryBackend("linear() accepts x of any rank", async (backend) => {
  const draw = new Draw(4);
  for (const lead of [[], [1], [2, 3], [2, 1, 3], [4, 2]]) await check(backend, draw, lead, 10, 6);
});

testOnEveryBackend("linear() sums thousands of products", async (backend) => {
  const draw = new Draw(5);
  for (const n of [1, 2, 8, 25, 64]) await check(backend, draw, [n], 4097, 13);
});

testOnEveryBackend(
  "linear() propagates NaN and infinities to the affected outputs, also with relu",
  async (backend) => {
    const draw = new Draw(6);
    for (const n of [1, 3, 8, 15, 64]) {
      for (const bad of [NaN, Infinity, -Infinity]) {
        const x = draw.floats([n, 21], 0.5, 1), w = draw.floats([13, 21], 0.5, 1);
        for (const { data } of [x, w]) {
          for (const at of [0, 20]) {
            const old = data[at];
            data[at] = bad;
            for (const relu of [false, true]) await compare(backend, x, w, null, relu);
            data[at] = old;
          }
        }
      }
    }
    const w = draw.floats([9, 3], 0.5, 1);
    const mixed = [NaN, 1, 2, Infinity, 1, 2, -Infinity, 1, 2, Infinity, -Infinity, 2];
    const x = { shape: [4, 3], data: Float32Array.from(mixed) };
    for (const relu of [false, true]) await compare(backend, x, w, null, relu);
  },
);

testOnEveryBackend("linear() of zeros is exactly the bias", async (backend) => {
  const bias = new Draw(7).floats([25]);
  for (const n of [1, 2, 8, 64]) {
    const x = { shape: [n, 70], data: new Float32Array(n * 70) };
    const y = await run(backend, x, new Draw(8).floats([25, 70]), bias);
    for (let s = 0; s < n; s++) {
      assertEquals(bits(y.slice(s * 25, (s + 1) * 25)), bits(bias.data));
    }
  }
});
