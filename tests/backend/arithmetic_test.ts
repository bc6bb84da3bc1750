import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError } from "../../src/errors.ts";
import { add, mul } from "../../src/ops/arithmetic.ts";
import { assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, floats, upload } from "./harness.ts";

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
  { fresh: true },
);

Deno.test("add() and mul() refuse different shapes, and numbers that are not finite", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using a = backend.upload([1, 2, 3, 4], [2, 2]), b = backend.upload([1, 2, 3, 4], [4]);
  assertThrows(() => add(a, b), ArgumentError, "add: the shape of b is [4], must be [2, 2]");
  assertThrows(() => mul(a, b), ArgumentError, "mul: the shape of b is [4], must be [2, 2]");
  assertThrows(() => add(a, a, { alpha: NaN }), ArgumentError, "add: alpha is NaN");
});
