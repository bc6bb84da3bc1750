import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError } from "../../src/errors.ts";
import { crossEntropy } from "../../src/ops/mod.ts";
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
