import { type Backend, createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { bceWithLogits, crossEntropy, mseLoss } from "../../src/ops/mod.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, Draw, type Floats, floats, upload } from "./harness.ts";

/** Compares loss and gradient with the reference, and checks that the logits are unchanged. */
async function check(backend: Backend, x: Floats, targets: number[], labelSmoothing?: number) {
  const expected = reference.crossEntropy(x, targets, labelSmoothing);
  const before = backend.bytesInUse;
  using tx = upload(backend, x);
  using result = crossEntropy(tx, targets, { labelSmoothing });
  const { loss, gradient } = result;
  assertEquals([loss.shape, gradient.shape], [[1], x.shape]);
  const name = `x [${x.shape}] smoothing ${labelSmoothing}`;
  assertAllClose(await loss.read(), [expected.loss], { abs: 2e-6, rel: 2e-6, name });
  // the sum of exponentials is rounded once per class
  const abs = (8 + Math.sqrt(x.shape[1])) * 2 ** -23 / x.shape[0];
  assertAllClose(await gradient.read(), expected.dx.data, { abs, name: `dx of ${name}` });
  assertEquals(bits(await tx.read()), bits(x.data));
  result[Symbol.dispose]();
  tx.dispose();
  assertEquals(backend.bytesInUse, before);
}

testOnEveryBackend(
  "crossEntropy() works with all numbers of samples and classes",
  async (backend) => {
    const draw = new Draw(1);
    for (const classes of [1, 2, 3, 4, 5, 8, 9, 33, 1000]) {
      for (const n of [1, 2, 3, 5, 8]) {
        const targets = Array.from({ length: n }, () => draw.integer(0, classes - 1));
        await check(backend, draw.floats([n, classes], -6, 6), targets);
      }
    }
  },
);

testOnEveryBackend("crossEntropy() smooths labels", async (backend) => {
  const draw = new Draw(2);
  for (const smoothing of [0, 0.1, 0.5, 1]) {
    const targets = Array.from({ length: 4 }, () => draw.integer(0, 9));
    await check(backend, draw.floats([4, 10], -6, 6), targets, smoothing);
  }
});

testOnEveryBackend("crossEntropy() does not overflow or underflow", async (backend) => {
  for (const scale of [1, 1e2, 1e4, 1e30]) {
    const x = floats([2, 3], [1, -2, 3, -1, -5, 2].map((v) => v * scale));
    for (const targets of [[0, 1], [2, 2], [1, 0]]) {
      const expected = reference.crossEntropy(x, targets);
      using tx = upload(backend, x);
      using result = crossEntropy(tx, targets);
      const { loss, gradient } = result;
      assertAllClose(await loss.read(), [expected.loss], { rel: 1e-6, abs: 1e-6 });
      assertAllClose(await gradient.read(), expected.dx.data, { abs: 1e-6 });
    }
  }
  await check(backend, floats([1, 3], [1e4, 1e4 - 1, 1e4 + 1]), [1]);
  await check(backend, floats([1, 3], [-1e4, -1e4 - 1, -1e4 + 1]), [1], 0.1);
});

testOnEveryBackend(
  "crossEntropy() accepts impossible classes, with a logit of −∞",
  async (backend) => {
    await check(backend, floats([2, 3], [0, -Infinity, 1, 2, 3, -Infinity]), [0, 1]);
    await check(backend, floats([1, 2], [0, -Infinity]), [1]); // an infinite loss
  },
);

testOnEveryBackend("crossEntropy() limits NaN to its row of the gradient", async (backend) => {
  const x = new Draw(3).floats([3, 4]);
  x.data[5] = NaN;
  using tx = upload(backend, x);
  using result = crossEntropy(tx, [0, 1, 2]);
  const { loss, gradient } = result;
  assert(Number.isNaN((await loss.read())[0]));
  const expected = reference.crossEntropy(x, [0, 1, 2]).dx;
  assertAllClose(await gradient.read(), expected.data, { abs: 1e-6 });
});

testOnEveryBackend(
  "crossEntropy() averages over large batches without losing digits",
  async (b) => {
    const x = new Draw(4).floats([5000, 3], -1, 1);
    await check(b, x, Array.from({ length: 5000 }, (_, i) => i % 3));
  },
);

testOnEveryBackend(
  "crossEntropy() refuses other targets than classes, and options that it lacks",
  (backend) => {
    using x = backend.upload([1, 2, 3, 4, 5, 6], [2, 3]);
    const before = backend.bytesInUse;
    const missing = new Map<string, number>().get("ant")!; // a class that the caller does not know
    for (const wrong of [-1, 3, 1.5, NaN, Infinity, 2 ** 32, missing]) {
      const error = assertThrows(() => crossEntropy(x, [0, wrong]), ArgumentError);
      assertEquals(
        error.message,
        `crossEntropy: a target is ${wrong}, must be a class from 0 to 2`,
      );
    }
    for (const targets of [[], [0], [0, 1, 2]]) {
      assertThrows(() => crossEntropy(x, targets), ArgumentError, "the number of targets");
    }
    for (const labelSmoothing of [-0.1, 1.1, NaN, Infinity]) {
      assertThrows(
        () => crossEntropy(x, [0, 1], { labelSmoothing }),
        ArgumentError,
        "labelSmoothing",
      );
    }
    assertThrows(() => crossEntropy(x.view([6]), [0]), ArgumentError, "the shape of x");
    // PyTorch has these, too
    for (const options of [{ reduction: "sum" }, { weight: [1, 2, 3] }, { ignoreIndex: 1 }]) {
      const text = `crossEntropy: an option is "${Object.keys(options)[0]}"`;
      assertThrows(() => crossEntropy(x, [0, 1], options as object), ArgumentError, text);
    }
    assertEquals(backend.bytesInUse, before);
  },
);

/** The losses that compare a tensor with another one. */
const losses = { mseLoss, bceWithLogits };
type LossName = keyof typeof losses;
const names = Object.keys(losses) as LossName[];

/** Compares a loss and its gradient with the reference, and checks that the inputs are unchanged. */
async function checkTarget(
  backend: Backend,
  name: LossName,
  x: Floats,
  target: Floats,
  { abs = 0, rel = 2e-6 } = {},
): Promise<void> {
  const expected = reference[name](x, target), before = backend.bytesInUse;
  using tx = upload(backend, x), ty = upload(backend, target);
  {
    using result = losses[name](tx, ty);
    const { loss, gradient } = result, text = `${name} [${x.shape}]`;
    assertEquals([loss.shape, gradient.shape], [[1], x.shape]);
    assertAllClose(await loss.read(), [expected.loss], { abs, rel, name: text });
    // near a target of 1, the sigmoid has the rounding error of 1
    const close = { abs: 2 ** -22 / x.data.length, rel: 2 ** -21, name: `dx of ${text}` };
    assertAllClose(await gradient.read(), expected.dx.data, close);
  }
  assertEquals([bits(await tx.read()), bits(await ty.read())], [bits(x.data), bits(target.data)]);
  tx.dispose();
  ty.dispose();
  assertEquals(backend.bytesInUse, before);
}

testOnEveryBackend("mseLoss() and bceWithLogits() work with all shapes", async (backend) => {
  const draw = new Draw(5);
  const sizes = [1, 2, 3, 4, 5, 63, 64, 65, 1023, 1024, 1025].map((n) => [n]);
  for (
    const shape of [...sizes, [], [1, 1], [7, 1], [1, 7], [3, 4, 5], [2, 3, 4, 5], [5, 1, 1, 2]]
  ) {
    await checkTarget(backend, "mseLoss", draw.floats(shape, -6, 6), draw.floats(shape, -6, 6));
    const target = draw.floats(shape, 0, 1);
    await checkTarget(backend, "bceWithLogits", draw.floats(shape, -6, 6), target);
    target.data.set(target.data.map(Math.round));
    await checkTarget(backend, "bceWithLogits", draw.floats(shape, -6, 6), target);
  }
});

testOnEveryBackend(
  "bceWithLogits() keeps the digits of small and large losses",
  async (backend) => {
    for (
      const [v, t] of [[17, 1], [-17, 0], [60, 1], [1e30, 1], [-1e30, 0], [1e30, 0], [-1e30, 1]]
    ) {
      const tolerance = { abs: 1e-37, rel: 2e-5 }; // the exponential of a shader has fewer digits
      await checkTarget(backend, "bceWithLogits", floats([1], [v]), floats([1], [t]), tolerance);
    }
  },
);

testOnEveryBackend("mseLoss() does not overflow where the mean does not", async (backend) => {
  const x = floats([1, 4096], Array(4096).fill(3e19)),
    zeros = floats([1, 4096], Array(4096).fill(0));
  x.data.fill(0, 1); // (3e19)² is too large for float32
  await checkTarget(backend, "mseLoss", x, zeros);
});

testOnEveryBackend("mean losses of many elements lose no digits", async (backend) => {
  for (const shape of [[2, 3, 250, 350], [300_000, 1], [300_000]]) {
    const n = shape.reduce((a, b) => a * b);
    const x = floats(shape, Array(n).fill(0.1)), target = floats(shape, Array(n).fill(0));
    // a lane adds up to 150 numbers of the same kind; a sum of all would have an error of 10⁻³
    for (const name of names) await checkTarget(backend, name, x, target, { rel: 2 ** -16 });
  }
});

testOnEveryBackend("losses limit NaN to its element of the gradient", async (backend) => {
  for (const name of names) {
    const x = new Draw(6).floats([3, 4]), target = new Draw(7).floats([3, 4], 0, 1);
    x.data[5] = NaN;
    target.data[9] = NaN;
    using tx = upload(backend, x), ty = upload(backend, target);
    using result = losses[name](tx, ty);
    assert(Number.isNaN((await result.loss.read())[0]));
    const expected = reference[name](x, target).dx.data;
    assertEquals([...expected.keys()].filter((i) => Number.isNaN(expected[i])), [5, 9]);
    assertAllClose(await result.gradient.read(), expected, { abs: 1e-6, name });
  }
});

testOnEveryBackend("losses of infinite outputs are PyTorch's", async (backend) => {
  const cases: [LossName, x: number, target: number, loss: number, gradient: number][] = [
    ["mseLoss", Infinity, 0, Infinity, Infinity],
    ["mseLoss", -Infinity, 0, Infinity, -Infinity],
    ["mseLoss", Infinity, Infinity, NaN, NaN],
    ["bceWithLogits", Infinity, 0, Infinity, 1],
    ["bceWithLogits", Infinity, 1, NaN, 0],
    ["bceWithLogits", -Infinity, 0.5, NaN, -0.5],
  ];
  for (const [name, x, target, loss, gradient] of cases) {
    using tx = backend.upload([x], [1]), ty = backend.upload([target], [1]);
    using result = losses[name](tx, ty);
    const text = `${name} of ${x}, ${target}`;
    assertAllClose(await result.loss.read(), [loss], { name: text });
    assertAllClose(await result.gradient.read(), [gradient], { abs: 1e-7, name: text });
  }
});

testOnEveryBackend("losses refuse targets of another shape, type or backend", async (backend) => {
  using x = backend.upload([1, 2, 3, 4, 5, 6], [2, 3]), integers = backend.emptyIndices([2, 3]);
  using other = await createBackend({ device: "wasm", threads: 1 });
  using elsewhere = other.upload([1, 2, 3, 4, 5, 6], [2, 3]), column = backend.empty([2, 1]);
  using gone = backend.empty([2, 3]);
  gone.dispose();
  const before = backend.bytesInUse;
  for (const name of names) {
    const fails = (target: unknown, text: string) =>
      assertThrows(() => losses[name](x, target as Tensor), PembrokeError, `${name}: ${text}`);
    fails(column, "the shape of target is [2, 1], must be [2, 3]");
    fails(x.view([6]), "the shape of target is [6]");
    fails([1, 2, 3, 4, 5, 6], "target is [1, 2, 3, 4, 5, 6], must be a Tensor");
    fails(integers, "target is ");
    fails(elsewhere, "target is ");
    fails(gone, "");
    assertThrows(() => losses[name](null as unknown as Tensor, x), ArgumentError, "x is null");
    using same = losses[name](x, x);
    assert(Number.isFinite((await same.loss.read())[0]));
  }
  assertEquals(backend.bytesInUse, before);
});
