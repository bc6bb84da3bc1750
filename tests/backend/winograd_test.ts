import type { Backend } from "../../src/backend.ts";
import { ArgumentError } from "../../src/errors.ts";
import { Conv2d, ReLU, Sequential } from "../../src/layers/mod.ts";
import { conv2d, prepareConv } from "../../src/ops/mod.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import type { Sides } from "../reference.ts";
import { compute, Draw, largest, upload } from "./harness.ts";

interface Case {
  readonly x: readonly [number, number, number, number];
  readonly w: readonly [number, number, number, number];
  readonly bias?: boolean;
  readonly relu?: boolean;
  readonly padding?: Sides;
  readonly groups?: number;
}

/**
 * How far it may be from float64: the transforms' largest factors (4 and 5 on the way in, 8 on the
 * way out) cost digits that a direct sum keeps. Measured: 2·10⁻⁵ of the largest output at most.
 */
const TOLERANCE = 1e-4;

async function check(backend: Backend, c: Case, draw = new Draw(1)): Promise<void> {
  const { padding, groups = 1, relu = false } = c;
  const x = draw.floats(c.x), w = draw.floats(c.w);
  const bias = c.bias === false ? null : draw.floats([c.w[0]]);
  const plain = reference.conv2d(x, w, bias, { padding, groups });
  const expected = relu ? reference.relu(plain) : plain;
  const y = await compute(backend, [x, w, bias], expected.shape, (out, x, w, bias) => {
    using prepared = prepareConv(w, groups, "winograd");
    assertEquals(prepared.algorithm, "winograd");
    return conv2d(x, prepared, bias, {
      padding,
      groups,
      activation: relu ? "relu" : undefined,
      out,
    });
  });
  const name = `x [${c.x}] w [${c.w}] padding ${padding} groups ${groups}`;
  assertAllClose(y, expected.data, { abs: TOLERANCE * largest(plain), name });
}

testOnEveryBackend("winograd is right on each side of every edge of a tile", async (backend) => {
  for (const k of [3, 5]) {
    for (const oh of [1, 2, 3, 4, 5, 7, 8, 9]) {
      for (const ow of [1, 2, 3, 4, 5, 6, 8, 13]) {
        await check(backend, {
          x: [1, 2, oh + k - 1, ow + k - 1],
          w: [3, 2, k, k],
          relu: ow % 2 > 0,
        });
      }
    }
  }
});

testOnEveryBackend("winograd is right on each side of a panel of channels", async (backend) => {
  for (const outC of [1, 4, 5, 6, 7, 12, 13]) {
    for (const inC of [1, 2, 7]) {
      await check(backend, { x: [1, inC, 6, 7], w: [outC, inC, 3, 3], padding: [1, 1, 1, 1] });
      await check(backend, { x: [1, inC, 6, 7], w: [outC, inC, 5, 5], bias: false });
    }
  }
});

testOnEveryBackend("winograd takes more tiles than fit at once", async (backend) => {
  // 2 MB hold 36 matrices of 400 tiles of 36 channels, or of 16 tiles of 660
  await check(backend, { x: [1, 12, 90, 93], w: [24, 12, 3, 3], padding: [1, 1, 1, 1] });
  await check(backend, { x: [1, 12, 43, 47], w: [24, 12, 5, 5], padding: [2, 2, 2, 2] });
  await check(backend, { x: [1, 330, 17, 17], w: [330, 330, 3, 3], padding: [1, 1, 1, 1] });
});

testOnEveryBackend("winograd takes batches, groups and padding on each side", async (backend) => {
  const paddings: Sides[] = [[0, 0, 0, 0], [1, 0, 2, 3], [4, 5, 0, 1], [0, 7, 6, 0]];
  for (const padding of paddings) {
    for (const k of [3, 5]) {
      await check(backend, { x: [3, 6, 7, 9], w: [4, 3, k, k], padding, groups: 2, relu: true });
      await check(backend, { x: [2, 4, 9, 6], w: [8, 1, k, k], padding, groups: 4 });
    }
  }
});

testOnEveryBackend("winograd is right for shapes drawn at random", async (backend) => {
  const draw = new Draw(4);
  for (let i = 0; i < 60; i++) {
    const k = draw.pick([3, 5]), groups = draw.integer(1, 3);
    const c = groups * draw.integer(1, 9), o = groups * draw.integer(1, 9);
    const padding = [0, 0, 0, 0].map(() => draw.integer(0, 4)) as unknown as Sides;
    const h = draw.integer(k, 17), w = draw.integer(k, 17);
    await check(backend, {
      x: [draw.integer(1, 3), c, h, w],
      w: [o, c / groups, k, k],
      padding,
      groups,
    }, draw);
  }
});

testOnEveryBackend("winograd hands NaN to every output that sees it", async (backend) => {
  using x = backend.upload(Float32Array.from({ length: 81 }, (_, i) => i === 40 ? NaN : 1), [
    1,
    1,
    9,
    9,
  ]);
  using w = backend.upload(new Float32Array(9).fill(1), [1, 1, 3, 3]);
  using prepared = prepareConv(w, 1, "winograd");
  using y = conv2d(x, prepared, null);
  const values = await y.read();
  for (const row of [2, 3, 4]) {
    for (const column of [2, 3, 4]) assert(Number.isNaN(values[row * 7 + column]));
  }
});

testOnEveryBackend("winograd is refused where it cannot be used", (backend) => {
  using w = backend.upload(new Float32Array(9), [1, 1, 3, 3]);
  using wide = backend.upload(new Float32Array(15), [1, 1, 3, 5]);
  using x = backend.upload(new Float32Array(81), [1, 1, 9, 9]);
  assertThrows(() => prepareConv(wide, 1, "winograd"), ArgumentError, "3×3 or 5×5");
  using prepared = prepareConv(w, 1, "winograd");
  assertThrows(() => conv2d(x, prepared, null, { stride: 2 }), ArgumentError, "1 for winograd");
  assertThrows(() => conv2d(x, prepared, null, { dilation: [1, 2] }), ArgumentError, "winograd");
  // deno-lint-ignore no-explicit-any
  assertThrows(() => prepareConv(w, 1, "fft" as any), ArgumentError, '"direct" or "winograd"');
});

testOnEveryBackend(
  "Conv2d takes winograd in evaluation, direct when told or trained",
  async (backend) => {
    const draw = new Draw(9), shape = [1, 16, 10, 10] as const;
    const values = draw.floats(shape);
    using x = upload(backend, values);
    const run = async (net: Sequential) => {
      using y = net.forward(x);
      return await y.read();
    };
    const make = (algorithm?: "direct") =>
      new Sequential([new Conv2d(16, 16, 3, { algorithm }), new ReLU()]).init(backend, { seed: 1 });
    using fast = make();
    using direct = make("direct");
    const exact = await run(direct), rounded = await run(fast);
    const top = Math.max(...exact);
    assertAllClose(rounded, exact, { abs: TOLERANCE * top });
    assert(rounded.some((v, i) => v !== exact[i]), "both went the same way");
    fast.train();
    assertEquals(await run(fast), exact);
    fast.eval();
    assertEquals(await run(fast), rounded);
  },
);
