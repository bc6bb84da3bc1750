import type { Backend } from "../../src/backend/mod.ts";
import { linearBackwardInput, linearBackwardWeight } from "../../src/ops/mod.ts";
import type { Shape } from "../../src/tensor.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, type Floats, sum, sumTolerance, upload } from "./harness.ts";

/** Draws dy, x and w and compares dx and the updated dw with the reference. */
async function check(backend: Backend, draw: Draw, lead: Shape, inF: number, outF: number) {
  const dy = draw.floats([...lead, outF]), x = draw.floats([...lead, inF]);
  await compare(backend, dy, x, draw.floats([outF, inF]), draw);
}

async function compare(backend: Backend, dy: Floats, x: Floats, w: Floats, draw: Draw) {
  const expected = reference.linearBackward(dy, x, w), [outF, inF] = w.shape;
  const name = `x [${x.shape}] w [${w.shape}]`;
  const dx = await compute(
    backend,
    [dy, w],
    x.shape,
    (out, dy, w) => linearBackwardInput(dy, w, { out }),
  );
  assertAllClose(dx, expected.dx.data, { ...sumTolerance(outF, dy, w), name: `dx of ${name}` });
  const start = draw.floats(w.shape);
  const dw = await compute(
    backend,
    [dy, x],
    w.shape,
    (into, dy, x) => linearBackwardWeight(dy, x, { into }),
    start,
  );
  const tolerance = sumTolerance(x.data.length / inF, dy, x);
  assertAllClose(dw, sum(expected.dw, start), { ...tolerance, name: `dw of ${name}` });
}

testOnEveryBackend(
  "linearBackward…() are correct around the edges of their blocks",
  async (backend) => {
    const draw = new Draw(1);
    // reading from a GPU is slow
    const [inputs, outputs] = backend.device === "webgpu"
      ? [[1, 4, 7, 16, 17, 33], [1, 5, 8, 9, 17]]
      : [[1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33], [1, 2, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17]];
    for (const inF of inputs) {
      for (const outF of outputs) {
        await check(backend, draw, [draw.integer(1, 9)], inF, outF);
      }
    }
  },
);

testOnEveryBackend("linearBackward…() work with batches of all sizes", async (backend) => {
  const draw = new Draw(2);
  for (let n = 1; n <= 23; n++) await check(backend, draw, [n], 37, 19);
  for (const n of [239, 240, 241]) {
    for (const inF of [1, 9, 129]) await check(backend, draw, [n], inF, 21);
  }
});

testOnEveryBackend(
  "linearBackward…() are correct around the size of their items",
  async (backend) => {
    const draw = new Draw(7);
    for (const outF of [47, 48, 49, 95, 96, 97]) await check(backend, draw, [3], 21, outF);
    for (const inF of [3271, 3272, 3273, 6550]) await check(backend, draw, [5], inF, 7);
  },
);

testOnEveryBackend("linearBackward…() sum thousands of products", async (backend) => {
  const draw = new Draw(3);
  await check(backend, draw, [5], 9, 4097); // dx over outputs
  for (const n of [768, 769, 4097]) await check(backend, draw, [n], 9, 7); // dw over samples
  await check(backend, draw, [385], 17, 13);
  await check(backend, draw, [3], 1000, 129);
});

testOnEveryBackend("linearBackwardWeight() of constants keeps its digits", async (backend) => {
  const n = 200_000;
  using dy = backend.upload(new Float32Array(n).fill(0.1), [n, 1]);
  using x = backend.upload(new Float32Array(3 * n).fill(1), [n, 3]);
  using dw = linearBackwardWeight(dy, x);
  const sum = Math.fround(0.1) * n;
  // 768 products are added at a time, and then 261 blocks; on a GPU, more
  const rel = backend.device === "webgpu" ? 2 ** -12 : 2 ** -14;
  assertAllClose(await dw.read(), [sum, sum, sum], { abs: 0, rel });
});

testOnEveryBackend("linearBackward…() accept x of any rank", async (backend) => {
  const draw = new Draw(4);
  for (const lead of [[], [1], [2, 3], [2, 1, 3]]) await check(backend, draw, lead, 10, 6);
});

testOnEveryBackend(
  "linearBackward…() propagate NaN and infinities to the affected elements only",
  async (backend) => {
    const draw = new Draw(5);
    for (const bad of [NaN, Infinity, -Infinity]) {
      for (const n of [5, 20]) {
        const dy = draw.floats([n, 9], 0.5, 1), x = draw.floats([n, 11], 0.5, 1);
        const w = draw.floats([9, 11], 0.5, 1);
        for (const { data } of [dy, x, w]) {
          const old = data[23];
          data[23] = bad;
          await compare(backend, dy, x, w, draw);
          data[23] = old;
        }
      }
    }
  },
);

testOnEveryBackend(
  "linearBackward…() without a target return new tensors that start from 0",
  async (backend) => {
    const draw = new Draw(6);
    const dy = draw.floats([3, 7]), x = draw.floats([3, 10]), w = draw.floats([7, 10]);
    using tdy = upload(backend, dy), tx = upload(backend, x), tw = upload(backend, w);
    backend.upload(new Float32Array(4096).fill(NaN), [4096]).dispose();
    using dw = linearBackwardWeight(tdy, tx);
    using dx = linearBackwardInput(tdy, tw);
    assertEquals([dx.shape, dw.shape], [[3, 10], [7, 10]]);
    const zero = { shape: w.shape, data: new Float32Array(70) };
    const into = await compute(
      backend,
      [dy, x],
      w.shape,
      (into, dy, x) => linearBackwardWeight(dy, x, { into }),
      zero,
    );
    assertEquals(bits(await dw.read()), bits(into));
    const expected = reference.linearBackward(dy, x, w);
    assertAllClose(await dx.read(), expected.dx.data, sumTolerance(7, dy, w));
  },
);
