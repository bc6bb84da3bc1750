/** Concatenation, slices, permutations and padding: they move values and must keep every bit. */

import type { Backend } from "../../src/backend/mod.ts";
import * as ops from "../../src/ops/mod.ts";
import type { Shape, Tensor } from "../../src/tensor.ts";
import { assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, type Floats, floats } from "./harness.ts";

/** Checks that an operation gives the same bits as its reference. */
async function checkBits(
  backend: Backend,
  x: Floats,
  expected: reference.NumArray,
  run: (out: Tensor, x: Tensor) => Tensor,
  name: string,
): Promise<void> {
  const y = await compute(backend, [x], expected.shape, run);
  assertEquals(bits(y), bits(Float32Array.from(expected.data)), name);
}

/**
 * Sizes around a vector, the shortest row for memory.copy and on a GPU, and the work of a thread or
 * group.
 */
const lengths = [1, 3, 4, 5, 63, 64, 127, 128, 131, 255, 256, 257, 16387];

testOnEveryBackend("cat() joins blocks of every length", async (backend) => {
  const draw = new Draw(1);
  for (const n of lengths) {
    const inputs = [draw.floats([3, n]), draw.floats([3, 2]), draw.floats([3, n + 1])];
    const expected = reference.cat(inputs, 1);
    const y = await compute(
      backend,
      inputs,
      expected.shape,
      (out, a, b, c) => ops.cat([a, b, c], 1, { out }),
    );
    assertEquals(bits(y), bits(Float32Array.from(expected.data)), `${n}`);
  }
});

testOnEveryBackend("cat() joins along every axis, and the same tensor twice", async (backend) => {
  const draw = new Draw(2);
  for (const axis of [0, 1, 2, 3]) {
    const a = draw.floats([2, 3, 4, 5]), b = draw.floats([2, 3, 4, 5].with(axis, 1));
    for (const list of [[a], [a, b], [a, b, b, a]]) {
      const expected = reference.cat(list, axis);
      const y = await compute(backend, [a, b], expected.shape, (out, ta, tb) => {
        const tensors = list.map((x) => x === a ? ta : tb);
        return ops.cat(tensors, axis - 4, { out });
      });
      assertEquals(bits(y), bits(Float32Array.from(expected.data)), `axis ${axis}`);
    }
  }
});

const slices: [Shape, reference.Range][] = [
  [[7], { axis: 0, start: 2, end: 6, step: 1 }],
  [[7], { axis: 0, start: 0, end: 7, step: 3 }],
  [[3, 9], { axis: 1, start: 1, end: 9, step: 4 }],
  [[3, 9], { axis: 1, start: 8, end: 9, step: 1 }],
  [[3, 9], { axis: 0, start: 1, end: 3, step: 1 }],
  [[2, 5, 4, 3], { axis: 1, start: 1, end: 4, step: 1 }],
  [[2, 5, 4, 3], { axis: 2, start: 0, end: 4, step: 2 }],
  [[2, 3, 130], { axis: 2, start: 1, end: 130, step: 1 }],
  [[1, 2, 16390], { axis: 2, start: 2, end: 16388, step: 1 }],
];

testOnEveryBackend("slice() and its gradient take every axis and step", async (backend) => {
  const draw = new Draw(3);
  for (const [shape, range] of slices) {
    const { axis, start, end, step } = range, size = shape[axis];
    const x = draw.floats(shape), y = reference.slice(x, range);
    const name = `[${shape}] ${JSON.stringify(range)}`;
    const last = end === size ? undefined : end - size;
    await checkBits(
      backend,
      x,
      y,
      (out, x) => ops.slice(x, axis - shape.length, start - size, last, { step, out }),
      name,
    );
    const dy = draw.floats(y.shape);
    await checkBits(
      backend,
      dy,
      reference.sliceBackward(dy, shape, range),
      (out, dy) => ops.sliceBackward(dy, shape, axis, start, end, { step, out }),
      name,
    );
  }
});

/** Every order of n axes. */
function orders(n: number): number[][] {
  if (n === 0) return [[]];
  return orders(n - 1).flatMap((order) =>
    Array.from({ length: n }, (_, at) => order.toSpliced(at, 0, n - 1))
  );
}

testOnEveryBackend("permute() takes every order of up to four axes", async (backend) => {
  const draw = new Draw(4);
  for (const shape of [[], [5], [4, 9], [5, 4, 6], [3, 5, 2, 4]]) {
    for (const dims of orders(shape.length)) {
      const x = draw.floats(shape), name = `[${shape}] ${dims}`;
      const y = reference.permute(x, dims);
      await checkBits(backend, x, y, (out, x) => ops.permute(x, dims, { out }), name);
    }
  }
});

const transposes: [Shape, number[]][] = [
  [[4, 4], [1, 0]],
  [[3, 33], [1, 0]],
  [[65, 3], [1, 0]],
  [[66, 131], [1, 0]],
  [[1, 9, 7, 5], [0, 3, 1, 2]],
  [[2, 5, 9, 7], [0, 2, 3, 1]],
  [[3, 2, 5, 4, 6], [4, 2, 0, 3, 1]],
  [[3, 2, 5, 4, 6], [1, 4, 3, 2, 0]],
  [[2, 3, 2, 2, 4, 5], [0, 1, 4, 2, 5, 3]],
  [[1, 3, 1, 4, 1], [4, 3, 2, 1, 0]],
];

testOnEveryBackend("permute() takes sizes around its tiles, and many axes", async (backend) => {
  const draw = new Draw(5);
  for (const [shape, dims] of transposes) {
    const x = draw.floats(shape), name = `[${shape}] ${dims}`;
    const y = reference.permute(x, dims);
    await checkBits(backend, x, y, (out, x) => ops.permute(x, dims, { out }), name);
    const dy = draw.floats(y.shape), inverse = ops.inversePermutation(dims);
    const dx = reference.permuteBackward(dy, shape, dims);
    await checkBits(backend, dy, dx, (out, dy) => ops.permute(dy, inverse, { out }), name);
  }
});

testOnEveryBackend(
  "channelShuffle() and its gradient take every number of groups",
  async (backend) => {
    const draw = new Draw(6);
    for (const shape of [[1, 6], [2, 12, 7, 7], [3, 4, 5]]) {
      for (const groups of [1, 2, 3, 4, 6, 12].filter((g) => shape[1] % g === 0)) {
        const x = draw.floats(shape), name = `[${shape}] ${groups}`;
        const y = reference.channelShuffle(x, groups);
        await checkBits(backend, x, y, (out, x) => ops.channelShuffle(x, groups, { out }), name);
        const dx = reference.channelShuffleBackward(x, groups), back = shape[1] / groups;
        await checkBits(backend, x, dx, (out, dy) => ops.channelShuffle(dy, back, { out }), name);
      }
    }
  },
);

const paddings: [Shape, number[]][] = [
  [[3], [1, 2]],
  [[2, 3, 4, 5], [1, 1, 1, 1]],
  [[2, 3, 4, 5], [0, 3, 2, 0]],
  [[2, 3, 4, 5], [-1, 2, 1, -2]],
  [[2, 3, 4, 5], [-2, -2, 0, 0, 1, 1]],
  [[2, 3, 4, 5], [0, 0, 0, 0, -1, 0, 2, -1]],
  [[1, 2, 130], [3, 5]],
  [[2, 4], [-4, 3]], // nothing of x remains
  [[2, 4], [5, -5, 3, -2]],
  [[2, 4], []],
  [[2, 2, 2, 2, 2], [1, 0, 0, 1, 1, 1, 1, 0, 0, 1]],
];

testOnEveryBackend("pad() pads and crops, and so does its gradient", async (backend) => {
  const draw = new Draw(7);
  for (const [shape, padding] of paddings) {
    const x = draw.floats(shape), name = `[${shape}] ${padding}`;
    for (const value of [0, -1.5, NaN, -Infinity]) {
      const y = reference.pad(x, padding, value);
      await checkBits(backend, x, y, (out, x) => ops.pad(x, padding, { value, out }), name);
    }
    const dy = draw.floats(reference.pad(x, padding).shape), back = padding.map((side) => -side);
    const dx = reference.padBackward(dy, shape, padding);
    await checkBits(backend, dy, dx, (out, dy) => ops.pad(dy, back, { out }), name);
  }
});

testOnEveryBackend("copies keep NaN, infinity and −0", async (backend) => {
  const values = [NaN, -0, Infinity, -Infinity, 0, 1e-45, 3e38, -1];
  const x = floats([2, 4], values);
  const runs: [reference.NumArray, (out: Tensor, x: Tensor) => Tensor][] = [
    [reference.cat([x, x], 1), (out, x) => ops.cat([x, x], 1, { out })],
    [reference.permute(x, [1, 0]), (out, x) => ops.permute(x, [1, 0], { out })],
    [reference.pad(x, [1, 1]), (out, x) => ops.pad(x, [1, 1], { out })],
  ];
  for (const [expected, run] of runs) await checkBits(backend, x, expected, run, "");
});
