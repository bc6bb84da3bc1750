import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError } from "../../src/errors.ts";
import { Tensor } from "../../src/tensor.ts";
import { add, addBackward, mul, mulBackward } from "../../src/ops/arithmetic.ts";
import { assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, floats, skipsShape, sum, sumTolerance, upload } from "./harness.ts";

const lengths = [1, 2, 3, 4, 5, 7, 8, 9, 16383, 16384, 16385, 40000];
const tolerance = { abs: 2 ** -23, rel: 2 ** -23 };

testOnEveryBackend("add() and mul() agree with the reference at every length", async (backend) => {
  const draw = new Draw(1);
  for (const n of lengths) {
    const a = draw.floats([n]), b = draw.floats([n]);
    const sum = await compute(backend, [a, b], [n], (out, a, b) => add(a, b, { out }));
    assertAllClose(sum, reference.add(a, b).data, tolerance);
    const scaled = await compute(
      backend,
      [a, b],
      [n],
      (out, a, b) => add(a, b, { alpha: -0.3, out }),
    );
    assertAllClose(scaled, reference.add(a, b, Math.fround(-0.3)).data, tolerance);
    const product = await compute(backend, [a, b], [n], (out, a, b) => mul(a, b, { out }));
    assertAllClose(product, reference.mul(a, b).data, tolerance);
  }
});

testOnEveryBackend("add() and mul() keep NaN, infinity and zero", async (backend) => {
  const special = [NaN, Infinity, -Infinity, 0, -0, 1, 3e38, -3e38];
  const pairs = special.flatMap((a) => special.map((b) => [a, b]));
  const a = floats([pairs.length + 3], [...pairs.map(([a]) => a), 1, 2, NaN]);
  const b = floats([pairs.length + 3], [...pairs.map(([, b]) => b), NaN, 2, 3]);
  for (const [op, expected] of [[add, reference.add], [mul, reference.mul]] as const) {
    const y = await compute(backend, [a, b], a.shape, (out, a, b) => op(a, b, { out }));
    assertAllClose(y, Float32Array.from(expected(a, b).data), tolerance);
  }
});

testOnEveryBackend(
  "add() and mul() may overwrite an operand, and accept the same operand twice",
  async (backend) => {
    const draw = new Draw(2), shape = [3, 5, 7];
    const a = draw.floats(shape), b = draw.floats(shape);
    for (const op of [add, mul]) {
      using x = upload(backend, a), y = upload(backend, b), fresh = op(x, y);
      const expected = bits(await fresh.read());
      using left = upload(backend, a), right = upload(backend, b);
      using other = upload(backend, a), more = upload(backend, b);
      op(left, right, { out: left });
      op(other, more, { out: more });
      assertEquals(bits(await left.read()), expected);
      assertEquals(bits(await more.read()), expected);
      using twice = op(other, other);
      const { data } = op === add ? reference.add(a, a) : reference.mul(a, a);
      assertAllClose(await twice.read(), data, tolerance);
    }
  },
);

/** Shapes of a, and of b, which is repeated. */
const repeats: readonly (readonly [a: readonly number[], b: readonly number[]])[] = [
  [[2, 3, 4, 5], [2, 3, 1, 1]],
  [[2, 3, 5, 7], [1, 3, 1, 1]],
  [[2, 3, 5, 7], [3, 1, 1]],
  [[2, 3, 4, 5], [2, 1, 4, 5]],
  [[2, 3, 4, 5], [1]],
  [[3, 7], []],
  [[3, 7], [7]],
  [[3, 7], [3, 1]],
  [[2, 3, 4], [1, 3, 4]],
  [[2, 1, 3], [2, 1, 1]],
  [[1, 1, 1], [1]],
  [[1, 4], [4]],
  [[2, 5, 9000], [1, 5, 1]],
  [[2, 2, 16385], [2, 1, 16385]],
  [[40001], [1]],
  [[3, 16385], [16385]],
];

testOnEveryBackend("add() and mul() repeat b, forward and backward", async (backend) => {
  const draw = new Draw(3);
  for (const [shape, small] of repeats) {
    if (skipsShape(backend) && shape.length !== 4) continue;
    const a = draw.floats(shape), b = draw.floats(small), name = `[${shape}] and [${small}]`;
    const added = await compute(
      backend,
      [a, b],
      shape,
      (out, a, b) => add(a, b, { alpha: -0.3, out }),
    );
    const expected = reference.add(a, b, Math.fround(-0.3));
    assertAllClose(added, expected.data, { ...tolerance, name });
    const product = await compute(backend, [a, b], shape, (out, a, b) => mul(a, b, { out }));
    assertAllClose(product, reference.mul(a, b).data, { ...tolerance, name });

    const dy = draw.floats(shape), start = draw.floats(small), terms = dy.data.length;
    const close = { ...sumTolerance(terms / start.data.length, dy, a), name };
    const sums = await compute(
      backend,
      [dy],
      small,
      (into, dy) => addBackward(dy, small, { into }),
      start,
    );
    assertAllClose(sums, sum(start, reference.repeatBackward(dy, small)), close);
    const products = await compute(
      backend,
      [dy, a],
      small,
      (into, dy, a) => mulBackward(dy, a, small, { into }),
      start,
    );
    const both = reference.repeatBackward(reference.mul(dy, a), small);
    assertAllClose(products, sum(start, both), close);
  }
});

testOnEveryBackend("add() and mul() may overwrite a while b is repeated", async (backend) => {
  const draw = new Draw(4), shape = [2, 3, 2, 5];
  const a = draw.floats(shape), b = draw.floats([2, 3, 1, 1]);
  for (const op of [add, mul]) {
    using x = upload(backend, a), gate = upload(backend, b), fresh = op(x, gate);
    op(x, gate, { out: x });
    assertEquals(bits(await x.read()), bits(await fresh.read()));
  }
});

Deno.test("any number of threads gives the same bits: sums over repeated axes", async () => {
  const draw = new Draw(5),
    shape = [3, 37, 41, 43],
    dy = draw.floats(shape),
    a = draw.floats(shape);
  const results: Int32Array[] = [];
  for (const threads of [1, 2, 3]) {
    using backend = await createBackend({ device: "wasm", threads });
    using tdy = upload(backend, dy), ta = upload(backend, a);
    const all: number[] = [];
    for (const small of [[1, 37, 1, 1], [3, 37, 1, 1], [3, 1, 41, 43], [1]]) {
      using db = mulBackward(tdy, ta, small);
      all.push(...await db.read());
    }
    results.push(bits(Float32Array.from(all)));
  }
  assertEquals(results[1], results[0]);
  assertEquals(results[2], results[0]);
});

Deno.test("add() and mul() refuse different shapes, and numbers that are not finite", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using a = backend.upload([1, 2, 3, 4], [2, 2]), b = backend.upload([1, 2, 3, 4], [4]);
  assertThrows(() => add(a, b), ArgumentError, "add: the shape of b is [4], must be [2, 2]");
  assertThrows(() => mul(a, b), ArgumentError, "mul: the shape of b is [4], must be [2, 2]");
  assertThrows(() => add(a, a, { alpha: NaN }), ArgumentError, "add: alpha is NaN");
  using x = backend.empty([2, 3, 4, 5]);
  for (const shape of [[2, 1, 4, 1], [1, 3, 1, 5], [2, 3, 2, 1], [1, 1, 2, 3, 4, 5], [0]]) {
    assertThrows(() => mulBackward(x, x, shape), ArgumentError, "mulBackward: ");
  }
  using one = backend.empty([1]), out = backend.empty([1]);
  assertThrows(
    () => add(one, x),
    ArgumentError,
    "add: the shape of b is [2, 3, 4, 5], must be [1]",
  );
  assertThrows(() => mul(x, one, { out }), ArgumentError, "mul: the shape of out is [1]");
  const row = x.view([120]), part = new Tensor(backend, [5], x.storage, Float32Array);
  assertThrows(() => add(x, part, { out: x }), ArgumentError, "the memory of an input");
  assertThrows(() => addBackward(x, [5], { into: part }), ArgumentError, "the memory of an input");
  assertThrows(
    () => mulBackward(x, row, [5]),
    ArgumentError,
    "mulBackward: the shape of a is [120]",
  );
});
