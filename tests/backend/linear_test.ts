import { linear } from "../../src/ops/mod.ts";
import { assertAllClose } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { compute, Draw, floats, sumTolerance } from "./harness.ts";

testOnEveryBackend(
  "linear() is right on each side of every edge of its vectors",
  async (backend) => {
    const draw = new Draw(1);
    for (const inF of [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100]) {
      for (const outF of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
        const n = draw.integer(1, 5), relu = draw.pick([true, false]);
        const x = draw.floats([n, inF]), w = draw.floats([outF, inF]);
        const bias = draw.pick([null, draw.floats([outF])]);
        const plain = reference.linear(x, w, bias);
        const expected = relu ? reference.relu(plain) : plain;
        const y = await compute(
          backend,
          [x, w, bias],
          [n, outF],
          (out, x, w, bias) => linear(x, w, bias, { activation: relu ? "relu" : undefined, out }),
        );
        const name = `x [${x.shape}] w [${w.shape}]`;
        assertAllClose(y, expected.data, { ...sumTolerance(inF, x, w), name });
      }
    }
  },
);

testOnEveryBackend("linear() takes batches on each side of four", async (backend) => {
  const draw = new Draw(2);
  for (let n = 1; n <= 9; n++) {
    const x = draw.floats([n, 37]), w = draw.floats([11, 37]), bias = draw.floats([11]);
    const y = await compute(
      backend,
      [x, w, bias],
      [n, 11],
      (out, x, w, bias) => linear(x, w, bias, { out }),
    );
    assertAllClose(y, reference.linear(x, w, bias).data, sumTolerance(37, x, w));
  }
});

testOnEveryBackend("linear() takes x of any rank", async (backend) => {
  const draw = new Draw(3);
  const w = draw.floats([6, 10]), bias = draw.floats([6]);
  for (const shape of [[10], [1, 10], [2, 3, 10], [2, 1, 3, 10]]) {
    const x = draw.floats(shape);
    const expected = reference.linear(x, w, bias);
    const y = await compute(
      backend,
      [x, w, bias],
      expected.shape,
      (out, x, w, bias) => linear(x, w, bias, { out }),
    );
    assertAllClose(y, expected.data, sumTolerance(10, x, w));
  }
});

testOnEveryBackend("linear() adds up thousands of products", async (backend) => {
  const draw = new Draw(4);
  const x = draw.floats([2, 4097]), w = draw.floats([9, 4097]), bias = draw.floats([9]);
  const y = await compute(
    backend,
    [x, w, bias],
    [2, 9],
    (out, x, w, bias) => linear(x, w, bias, { out }),
  );
  assertAllClose(y, reference.linear(x, w, bias).data, sumTolerance(4097, x, w));
});

testOnEveryBackend("linear() hands NaN and infinities through, with relu too", async (backend) => {
  const w = new Draw(5).floats([9, 3], 0.5, 1);
  const x = floats([4, 3], [NaN, 1, 2, Infinity, 1, 2, -Infinity, 1, 2, Infinity, -Infinity, 2]);
  for (const activation of [undefined, "relu"] as const) {
    const plain = reference.linear(x, w, null);
    const expected = activation ? reference.relu(plain) : plain;
    const y = await compute(
      backend,
      [x, w],
      [4, 9],
      (out, x, w) => linear(x, w, null, { activation, out }),
    );
    assertAllClose(y, expected.data, sumTolerance(3, x, w));
  }
});
