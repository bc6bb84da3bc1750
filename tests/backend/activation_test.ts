import { logSoftmax, relu, softmax } from "../../src/ops/mod.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, floats, upload } from "./harness.ts";

const lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33];

testOnEveryBackend("relu() works at every length", async (backend) => {
  const draw = new Draw(1);
  for (const n of lengths) {
    const x = draw.floats([n]);
    const y = await compute(backend, [x], [n], (out, x) => relu(x, { out }));
    assertEquals(y, Float32Array.from(reference.relu(x).data));
  }
});

testOnEveryBackend(
  "relu() keeps NaN and infinity, in vectors and in the remainder",
  async (backend) => {
    const special = [NaN, Infinity, -Infinity, 0, -0, 1e-45, -1e-45, 3.4e38, -3.4e38];
    for (let shift = 0; shift < 8; shift++) {
      const x = floats([9 + shift], [...Array(shift).fill(-1), ...special]);
      const y = await compute(backend, [x], x.shape, (out, x) => relu(x, { out }));
      assertAllClose(y, reference.relu(x).data);
    }
  },
);

testOnEveryBackend(
  "relu() works with any shape, also scalars, and may write in place",
  async (backend) => {
    for (const shape of [[], [1], [3, 5], [1, 2, 2, 1, 1], [2, 1, 3, 1, 2, 2]]) {
      const x = new Draw(2).floats(shape);
      using tensor = upload(backend, x);
      using fresh = relu(tensor);
      assertEquals(fresh.shape, shape);
      relu(tensor, { out: tensor });
      assertEquals(bits(await tensor.read()), bits(await fresh.read()));
    }
  },
);

for (
  const [name, op, expect] of [
    ["softmax", softmax, reference.softmax],
    ["logSoftmax", logSoftmax, reference.logSoftmax],
  ] as const
) {
  // exp and log are correct to about an ulp; their sum is rounded once per element
  const tolerance = (size: number) => ({ abs: size * 2 ** -23, rel: 8 * 2 ** -23 });

  testOnEveryBackend(`${name}() works on each axis of each rank`, async (backend) => {
    const draw = new Draw(3);
    for (const shape of [[1], [7], [3, 4], [2, 5, 3], [2, 3, 4, 5], [1, 1000], [130, 131]]) {
      for (let dim = -shape.length; dim < shape.length; dim++) {
        const x = draw.floats(shape, -8, 8);
        const expected = expect(x, dim);
        const y = await compute(backend, [x], shape, (out, x) => op(x, dim, { out }));
        const size = shape.at(dim < 0 ? dim : dim - shape.length)!;
        assertAllClose(y, expected.data, { ...tolerance(size), name: `[${shape}] dim ${dim}` });
      }
    }
  });

  testOnEveryBackend(`${name}() works at every length`, async (backend) => {
    const draw = new Draw(4);
    for (const n of lengths) {
      const x = draw.floats([3, n], -20, 20);
      const y = await compute(backend, [x], x.shape, (out, x) => op(x, 1, { out }));
      assertAllClose(y, expect(x, 1).data, tolerance(n));
      // along the first axis, n positions lie next to each other
      const columns = await compute(backend, [x], x.shape, (out, x) => op(x, 0, { out }));
      assertAllClose(columns, expect(x, 0).data, tolerance(3));
    }
  });

  testOnEveryBackend(`${name}() does not overflow or underflow`, async (backend) => {
    const rows = [
      [1000, 1000, 999],
      [-1000, -1000, -1001],
      [3e38, -3e38, 0],
      [400, -400, 1e-30],
      [0, -0, 0],
    ];
    const x = floats([rows.length, 3], rows.flat());
    const y = await compute(backend, [x], x.shape, (out, x) => op(x, -1, { out }));
    assertAllClose(y, Float32Array.from(expect(x, -1).data), { abs: 1e-6, rel: 1e-6 });
  });

  testOnEveryBackend(
    `${name}() makes a row with NaN or +∞, or of −∞ alone, all NaN`,
    async (backend) => {
      const rows = [
        [1, NaN, 2],
        [NaN, NaN, NaN],
        [-Infinity, -Infinity, -Infinity],
        [NaN, -Infinity, 3],
        [1, 2, 3],
        [1, -Infinity, 2],
        [1, Infinity, 2],
      ];
      for (const before of [0, 3]) { // in the first vector of a row, or in the last one
        const longer = rows.map((row) => [...Array(before).fill(-Infinity), ...row]);
        const x = floats([rows.length, before + 3], longer.flat());
        const y = await compute(backend, [x], x.shape, (out, x) => op(x, 1, { out }));
        assertAllClose(y, expect(x, 1).data, { abs: 1e-6, rel: 1e-6 });
      }
      const x = floats([3, rows.length], rows[0].flatMap((_, i) => rows.map((row) => row[i])));
      const y = await compute(backend, [x], x.shape, (out, x) => op(x, 0, { out }));
      assertAllClose(y, expect(x, 0).data, { abs: 1e-6, rel: 1e-6 });
    },
  );
}
