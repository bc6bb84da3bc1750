import * as ops from "../../src/ops/mod.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, floats, upload } from "./harness.ts";

const lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33];

testOnEveryBackend("reluBackward() works at every length", async (backend) => {
  const draw = new Draw(1);
  for (const n of lengths) {
    const dy = draw.floats([n]), y = draw.coarse([n], [0, -0, 0, 1e-45, 1, 2]);
    const dx = await compute(
      backend,
      [dy, y],
      [n],
      (out, dy, y) => ops.reluBackward(dy, y, { out }),
    );
    assertEquals(dx, Float32Array.from(reference.reluBackward(dy, y).data));
  }
});

testOnEveryBackend(
  "reluBackward() propagates NaN where y is NaN or positive, and only there",
  async (backend) => {
    for (let shift = 0; shift < 8; shift++) {
      const front = Array(shift).fill(1);
      const y = floats([8 + shift], [...front, NaN, NaN, 0, 1, Infinity, 0, -0, 3]);
      const dy = floats([8 + shift], [...front, 5, NaN, NaN, NaN, 7, Infinity, -Infinity, -8]);
      const dx = await compute(
        backend,
        [dy, y],
        y.shape,
        (out, dy, y) => ops.reluBackward(dy, y, { out }),
      );
      assertAllClose(dx, [...front, 5, NaN, 0, NaN, 7, 0, 0, -8]);
    }
  },
);

for (
  const [name, op, forward, backward] of [
    ["softmaxBackward", ops.softmaxBackward, reference.softmax, reference.softmaxBackward],
    [
      "logSoftmaxBackward",
      ops.logSoftmaxBackward,
      reference.logSoftmax,
      reference.logSoftmaxBackward,
    ],
  ] as const
) {
  testOnEveryBackend(`${name}() works on each axis of each rank`, async (backend) => {
    const draw = new Draw(2);
    for (const shape of [[1], [7], [3, 4], [2, 5, 3], [2, 3, 4, 5], [1, 1000], [130, 131]]) {
      for (let dim = -shape.length; dim < shape.length; dim++) {
        const y = floats(shape, forward(draw.floats(shape, -8, 8), dim).data);
        const dy = draw.floats(shape);
        const expected = backward(dy, y, dim);
        const dx = await compute(
          backend,
          [dy, y],
          shape,
          (out, dy, y) => op(dy, y, dim, { out }),
        );
        const size = shape.at(dim < 0 ? dim : dim - shape.length)!;
        // the sum is rounded once per element, and subtracted from dy
        const abs = 4 * Math.sqrt(size) * 2 ** -23;
        assertAllClose(dx, expected.data, { abs, rel: 1e-6, name: `[${shape}] dim ${dim}` });
      }
    }
  });

  testOnEveryBackend(`${name}() limits NaN to its row`, async (backend) => {
    const draw = new Draw(3);
    for (const dim of [0, 1]) {
      const x = draw.floats([3, 5]), dy = draw.floats([3, 5]);
      const y = floats([3, 5], forward(x, dim).data);
      dy.data[6] = NaN;
      const dx = await compute(backend, [dy, y], [3, 5], (out, dy, y) => op(dy, y, dim, { out }));
      assertAllClose(dx, backward(dy, y, dim).data, { abs: 1e-6 });
    }
  });
}

testOnEveryBackend("gradients of activations may overwrite dy", async (backend) => {
  const draw = new Draw(4);
  const y = draw.floats([3, 7], 0, 1), dy = draw.floats([3, 7]);
  using ty = upload(backend, y);
  const calls: ((dy: Tensor, out?: Tensor) => Tensor)[] = [
    (dy, out) => ops.reluBackward(dy, ty, { out }),
    (dy, out) => ops.softmaxBackward(dy, ty, 1, { out }),
    (dy, out) => ops.softmaxBackward(dy, ty, 0, { out }),
    (dy, out) => ops.logSoftmaxBackward(dy, ty, 0, { out }),
  ];
  for (const call of calls) {
    using tdy = upload(backend, dy);
    using fresh = call(tdy);
    assertEquals(fresh.shape, [3, 7]);
    call(tdy, tdy);
    assertEquals(bits(await tdy.read()), bits(await fresh.read()));
  }
});
