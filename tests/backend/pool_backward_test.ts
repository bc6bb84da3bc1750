import type { Backend } from "../../src/backend/mod.ts";
import * as ops from "../../src/ops/mod.ts";
import { assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import type { Pair } from "../reference.ts";
import { compute, Draw, type Floats, floats, skipsShape, sumTolerance, upload } from "./harness.ts";

type Options = reference.Pool2d;

const one = floats([1], [1]);

/** Converts the reference's options to those of the library. */
function spelled<T extends { readonly kernel: unknown }>({ kernel, ...o }: T) {
  return { kernelSize: kernel as T["kernel"], ...o };
}

/** Runs maxPool2d() and its gradient, and compares both with the reference. */
async function checkMax(backend: Backend, x: Floats, o: Options, draw: Draw): Promise<void> {
  if (skipsShape(backend)) return;
  const maxima = reference.maxPool2d(x, o);
  const dy = draw.floats(maxima.y.shape);
  const expected = reference.maxPoolBackward(dy, maxima.indices, x.shape);
  using tx = upload(backend, x);
  const { output, indices } = ops.maxPool2dWithIndices(tx, spelled(o));
  output.dispose();
  const dx = await compute(
    backend,
    [dy],
    x.shape,
    (out, dy) => ops.maxPoolBackward(dy, indices, x.shape, { out }),
  );
  assertAllClose(await indices.read(), maxima.indices.data, { name: "the indices changed" });
  indices.dispose();
  const name = `x [${x.shape}] ${JSON.stringify(o)}`;
  assertAllClose(dx, expected.data, { ...sumTolerance(o.kernel[0] * o.kernel[1], dy, one), name });
}

async function checkAverage(
  backend: Backend,
  shape: readonly number[],
  o: Options & reference.Average,
  draw: Draw,
): Promise<void> {
  if (skipsShape(backend)) return;
  const { divisor: divisorOverride, ...options } = o;
  const dy = draw.floats(reference.avgPool2d(floats(shape, Array(count(shape))), o).shape);
  const expected = reference.avgPool2dBackward(dy, shape, o);
  const dx = await compute(
    backend,
    [dy],
    shape,
    (out, dy) => ops.avgPool2dBackward(dy, shape, { ...spelled(options), divisorOverride, out }),
  );
  const name = `x [${shape}] ${JSON.stringify(o)}`;
  assertAllClose(dx, expected.data, { ...sumTolerance(o.kernel[0] * o.kernel[1], dy, one), name });
}

function count(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** Draws a random pooling in which every window overlaps the input. */
function drawPool(draw: Draw): { shape: [number, number, number, number]; o: Options } {
  while (true) {
    const kernel = [draw.integer(1, 4), draw.integer(1, 4)] as const;
    const dilation = [draw.pick([1, 1, 2]), draw.pick([1, 1, 2])] as const;
    const stride = [draw.integer(1, 4), draw.integer(1, 4)] as const;
    const side = (axis: 0 | 1) => draw.integer(0, Math.floor(kernel[axis] / 2));
    const padding = [side(0), side(1), side(0), side(1)] as const;
    const [n, c, h, w] = [
      draw.integer(1, 3),
      draw.integer(1, 3),
      draw.integer(1, 11),
      draw.integer(1, 19),
    ];
    const o = { kernel, stride, padding, dilation, ceilMode: draw.pick([true, false]) };
    const fits = [h, w].every((size, axis) => size >= dilation[axis] * kernel[axis]);
    if (fits) return { shape: [n, c, h, w], o };
  }
}

testOnEveryBackend(
  "maxPoolBackward() agrees with the reference on 100 random poolings",
  async (backend) => {
    const draw = new Draw(1);
    for (let i = 0; i < 100; i++) {
      const { shape, o } = drawPool(draw);
      // every other input has many ties
      await checkMax(backend, i % 2 ? draw.coarse(shape) : draw.floats(shape), o, draw);
    }
  },
);

testOnEveryBackend(
  "maxPoolBackward() sums overlapping windows, and takes the first of equal maxima",
  async (backend) => {
    const draw = new Draw(2);
    for (const stride of [1, 2, 3]) {
      const o = { kernel: [3, 3], stride: [stride, stride], padding: [1, 1, 1, 1] } as const;
      await checkMax(backend, draw.floats([2, 3, 9, 14]), o, draw);
      await checkMax(backend, draw.coarse([2, 3, 9, 14]), o, draw);
      await checkMax(backend, floats([1, 2, 6, 9], Array(108).fill(0)), o, draw);
      await checkMax(backend, floats([1, 2, 6, 9], Array(108).fill(-3)), o, draw);
    }
  },
);

testOnEveryBackend(
  "maxPoolBackward() and avgPool2dBackward() take more planes than a thread's work",
  async (backend) => {
    const draw = new Draw(10), shape = [2, 5, 40, 50];
    const o = { kernel: [3, 3], stride: [2, 2] } as const;
    await checkMax(backend, draw.floats(shape), o, draw);
    await checkAverage(backend, shape, o, draw);
  },
);

testOnEveryBackend(
  "maxPoolBackward() adds the gradient at the position of the NaN",
  async (backend) => {
    const draw = new Draw(3), x = draw.floats([1, 2, 6, 9]);
    for (const i of [0, 17, 30, 80, 107]) x.data[i] = NaN;
    for (const stride of [1, 2]) {
      await checkMax(backend, x, { kernel: [2, 3], stride: [stride, stride] }, draw);
    }
  },
);

testOnEveryBackend("maxPoolBackward() propagates NaN and infinity of dy", async (backend) => {
  const dy = floats([1, 2, 3], [NaN, 1, Infinity, 2, -Infinity, 4]);
  const positions = [1, 1, 3, 0, 2, 2];
  const at = { shape: [1, 2, 3], data: positions };
  using indices = backend.uploadIndices(Int32Array.from(positions), [1, 2, 3]);
  const dx = await compute(
    backend,
    [dy],
    [1, 2, 4],
    (out, dy) => ops.maxPoolBackward(dy, indices, [1, 2, 4], { out }),
  );
  assertAllClose(dx, reference.maxPoolBackward(dy, at, [1, 2, 4]).data);
});

testOnEveryBackend("maxPoolBackward() works with one axis", async (backend) => {
  const draw = new Draw(4);
  for (let i = 0; i < 40; i++) {
    const kernel = [draw.integer(1, 5)] as const, stride = [draw.integer(1, 4)] as const;
    const padding = [draw.integer(0, 1), 0] as const, ceilMode = draw.pick([true, false]);
    const x = draw.coarse([draw.integer(1, 3), draw.integer(1, 3), draw.integer(6, 30)]);
    const o = { kernel, stride, padding: kernel[0] > 1 ? padding : [0, 0] as Pair, ceilMode };
    const maxima = reference.maxPool1d(x, o), dy = draw.floats(maxima.y.shape);
    const expected = reference.maxPoolBackward(dy, maxima.indices, x.shape);
    using tx = upload(backend, x);
    const { output, indices } = ops.maxPool1dWithIndices(tx, spelled(o));
    output.dispose();
    const dx = await compute(
      backend,
      [dy],
      x.shape,
      (out, dy) => ops.maxPoolBackward(dy, indices, x.shape, { out }),
    );
    indices.dispose();
    assertAllClose(dx, expected.data, { ...sumTolerance(5, dy, one), name: JSON.stringify(o) });
  }
});

testOnEveryBackend(
  "maxPoolBackward() refuses indices beyond the input, and writes nothing outside",
  async (backend) => {
    using dy = backend.upload([7, 7], [1, 1, 2]);
    using dx = backend.upload(Array(16).fill(1), [1, 1, 16]);
    using beside = backend.upload(Array(16).fill(1), [16]);
    for (const wrong of [16, 17, 31, -1, -16, 2 ** 31 - 1, -(2 ** 31)]) {
      using indices = backend.uploadIndices(Int32Array.of(3, wrong), [1, 1, 2]);
      assertThrows(() => ops.maxPoolBackward(dy, indices, [1, 1, 16], { out: dx }));
      assertEquals([...await beside.read()], Array(16).fill(1));
    }
  },
);

testOnEveryBackend(
  "avgPool2dBackward() agrees with the reference on 100 random poolings",
  async (backend) => {
    const draw = new Draw(5);
    for (let i = 0; i < 100; i++) {
      const { shape, o } = drawPool(draw);
      const countIncludePad = draw.pick([true, false, undefined]);
      const divisor = draw.pick([undefined, undefined, 1, 7]);
      await checkAverage(backend, shape, { ...o, countIncludePad, divisor }, draw);
    }
  },
);

testOnEveryBackend(
  "avgPool2dBackward() divides like the forward pass where ceilMode cuts a window",
  async (backend) => {
    const draw = new Draw(6);
    const o = { kernel: [3, 3], stride: [2, 2], ceilMode: true } as const;
    for (const countIncludePad of [true, false]) {
      for (const padding of [[0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 1]] as const) {
        await checkAverage(backend, [1, 2, 6, 8], { ...o, padding, countIncludePad }, draw);
      }
      await checkAverage(backend, [1, 1, 2, 2], { ...o, countIncludePad }, draw);
    }
  },
);

testOnEveryBackend("avgPool1dBackward() agrees with the reference", async (backend) => {
  const draw = new Draw(7);
  for (let i = 0; i < 40; i++) {
    const kernel = [draw.integer(2, 5)] as const, stride = [draw.integer(1, 4)] as const;
    const padding = [draw.integer(0, 1), draw.integer(0, 1)] as const;
    const o = { kernel, stride, padding, ceilMode: draw.pick([true, false]) };
    const countIncludePad = draw.pick([true, false]), divisor = draw.pick([undefined, 3]);
    const shape = [draw.integer(1, 3), draw.integer(1, 3), draw.integer(6, 30)];
    const all = { ...o, countIncludePad, divisor };
    const dy = draw.floats(reference.avgPool1d(draw.floats(shape), all).shape);
    const expected = reference.avgPool1dBackward(dy, shape, all);
    const spelt = { ...spelled(o), countIncludePad, divisorOverride: divisor };
    const dx = await compute(
      backend,
      [dy],
      shape,
      (out, dy) => ops.avgPool1dBackward(dy, shape, { ...spelt, out }),
    );
    assertAllClose(dx, expected.data, { ...sumTolerance(5, dy, one), name: JSON.stringify(all) });
  }
});

testOnEveryBackend(
  "adaptiveAvgPoolBackward() works with larger and smaller outputs, on one and two axes",
  async (backend) => {
    const draw = new Draw(8);
    for (const [h, w] of [[7, 5], [1, 1], [6, 6], [13, 9], [60, 50]]) { // the last: several items
      for (const [oh, ow] of [[3, 2], [6, 6], [1, 1], [9, 11], [7, 5], [13, 1]]) {
        const dy = draw.floats([2, 3, oh, ow]), shape = [2, 3, h, w];
        const expected = reference.adaptiveAvgPool2dBackward(dy, shape);
        const dx = await compute(
          backend,
          [dy],
          shape,
          (out, dy) => ops.adaptiveAvgPoolBackward(dy, shape, { out }),
        );
        const name = `[${shape}] to ${oh}×${ow}`;
        assertAllClose(dx, expected.data, { ...sumTolerance(oh * ow, dy, one), name });
      }
    }
    for (const [l, out] of [[1, 3], [10, 4], [11, 11], [4, 30], [50000, 49999]]) {
      const dy = draw.floats([1, 2, out]), shape = [1, 2, l];
      const expected = reference.adaptiveAvgPool1dBackward(dy, shape);
      const dx = await compute(
        backend,
        [dy],
        shape,
        (out, dy) => ops.adaptiveAvgPoolBackward(dy, shape, { out }),
      );
      assertAllClose(dx, expected.data, { ...sumTolerance(30, dy, one), name: `${l} to ${out}` });
    }
  },
);
