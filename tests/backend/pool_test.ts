import { canSplit, kernelsOf, partOf } from "../../src/backend/interface.ts";
import { poolGeometry } from "../../src/ops/pool_geometry.ts";
import type { Backend } from "../../src/backend/mod.ts";
import * as ops from "../../src/ops/mod.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { compute, Draw, type Floats, floats, largest, skipsShape, upload } from "./harness.ts";

type Options = reference.Pool2d;

/** Converts the reference's options to those of the library. */
function spelled({ kernel, stride, padding, dilation, ceilMode }: Options) {
  return { kernelSize: kernel, stride, padding, dilation, ceilMode };
}

/** Checks that maxima, with and without indices, equal the reference. */
async function checkMax(backend: Backend, x: Floats, o: Options): Promise<void> {
  if (skipsShape(backend)) return;
  const { y: maxima, indices: positions } = reference.maxPool2d(x, o);
  const name = `x [${x.shape}] ${JSON.stringify(o)}`;
  const y = await compute(
    backend,
    [x],
    maxima.shape,
    (out, x) => ops.maxPool2d(x, { ...spelled(o), out }),
  );
  assertAllClose(y, maxima.data, { name });
  using tx = upload(backend, x);
  const { output, indices } = ops.maxPool2dWithIndices(tx, spelled(o));
  assertEquals([output.shape, indices.shape], [maxima.shape, maxima.shape]);
  const [values, places] = await Promise.all([output.read(), indices.read()]);
  assertAllClose(values, maxima.data, { name: `${name} with indices` });
  assertAllClose(places, positions.data, { name: `${name} indices` });
  output.dispose();
  indices.dispose();
}

/** Checks that averages equal the reference, up to the rounding of the sum. */
async function checkAverage(
  backend: Backend,
  x: Floats,
  o: Options & reference.Average,
): Promise<void> {
  if (skipsShape(backend)) return;
  const expected = reference.avgPool2d(x, o);
  const { countIncludePad, divisor: divisorOverride } = o;
  const y = await compute(
    backend,
    [x],
    expected.shape,
    (out, x) => ops.avgPool2d(x, { ...spelled(o), countIncludePad, divisorOverride, out }),
  );
  const taps = o.kernel[0] * o.kernel[1];
  const name = `x [${x.shape}] ${JSON.stringify(o)}`;
  const abs = (taps + 1) * 2 ** -23 * largest(x) * Math.max(1, taps / (o.divisor ?? taps));
  assertAllClose(y, expected.data, { abs, rel: 2 ** -22, name });
}

/** Draws a random pooling in which every window overlaps the input. */
function drawPool(draw: Draw): { shape: [number, number, number, number]; options: Options } {
  while (true) {
    const kernel = [draw.integer(1, 4), draw.integer(1, 5)] as const;
    const dilation = [draw.pick([1, 1, 2, 3]), draw.pick([1, 1, 2, 3])] as const;
    const stride = [draw.integer(1, 4), draw.integer(1, 4)] as const;
    const side = (axis: 0 | 1) => draw.integer(0, dilation[axis] * (kernel[axis] - 1));
    const padding = [side(0), side(1), side(0), side(1)] as const;
    const shape: [number, number, number, number] = [
      draw.integer(1, 2),
      draw.integer(1, 3),
      draw.integer(1, 12),
      draw.integer(1, 24),
    ];
    const options = { kernel, stride, padding, dilation, ceilMode: draw.pick([true, false]) };
    if (meetsInput(shape, options)) return { shape, options };
  }
}

function meetsInput([, , h, w]: readonly number[], o: Options): boolean {
  const { stride = o.kernel, dilation = [1, 1], padding = [0, 0, 0, 0] } = o;
  return [h, w].every((size, axis) => {
    const before = padding[axis], after = padding[axis + 2], kernel = o.kernel[axis];
    if (size + before + after < dilation[axis] * (kernel - 1) + 1) return false;
    const out = reference.pooledSize(
      size,
      [before, after],
      kernel,
      stride[axis],
      dilation[axis],
      o.ceilMode ?? false,
    );
    return Array.from({ length: out }, (_, i) => i * stride[axis] - before).every((start) =>
      Array.from({ length: kernel }, (_, k) => start + k * dilation[axis])
        .some((tap) => tap >= 0 && tap < size)
    );
  });
}

testOnEveryBackend("maxPool2d() and avgPool2d() work with all widths", async (backend) => {
  const draw = new Draw(1);
  for (let width = 1; width <= 33; width++) {
    for (const stride of [1, 2, 3]) {
      for (const padding of [[0, 0, 0, 0], [1, 1, 0, 2], [0, 2, 2, 0]] as const) {
        const o = { kernel: [2, 3], stride: [1, stride], padding } as const;
        const x = draw.floats([1, 2, 3, width]);
        if (!meetsInput(x.shape, o)) continue;
        await checkMax(backend, x, o);
        for (const countIncludePad of [true, false]) {
          await checkAverage(backend, x, { ...o, countIncludePad });
        }
      }
    }
  }
});

testOnEveryBackend("maxPool2d() works with rows that are computed in parts", async (backend) => {
  const draw = new Draw(7); // a part has the inputs of 256 columns
  for (const width of [255, 256, 257, 258, 259, 262, 521]) {
    for (const [kernel, stride, dilation] of [[3, 1, 1], [3, 2, 1], [2, 3, 5], [250, 1, 1]]) {
      const x = draw.floats([1, 2, 5, width]);
      const o: Options = {
        kernel: [3, kernel],
        stride: [1, stride],
        dilation: [1, dilation],
        padding: [1, 1, 1, 0],
      };
      await checkMax(backend, x, o);
      x.data[draw.integer(0, x.data.length - 1)] = NaN;
      await checkMax(backend, x, o);
    }
  }
  await checkMax(backend, draw.floats([1, 2, 3, 400]), { kernel: [2, 257], stride: [1, 9] });
  await checkMax(backend, draw.floats([1, 2, 3, 999]), { kernel: [2, 2], stride: [1, 150] });
});

const shapes: [string, [number, number, number, number], Options][] = [
  ["more planes than a thread's work", [2, 5, 40, 50], { kernel: [3, 3], stride: [2, 2] }],
  ["windows of one", [2, 2, 5, 9], { kernel: [1, 1] }],
  ["windows of one, apart", [2, 2, 7, 9], { kernel: [1, 1], stride: [2, 3] }],
  ["a window as large as the input", [2, 3, 6, 5], { kernel: [6, 5] }],
  ["windows side by side", [1, 2, 8, 16], { kernel: [2, 2] }],
  ["windows that overlap, as AlexNet's", [2, 3, 13, 13], { kernel: [3, 3], stride: [2, 2] }],
  ["gaps between windows", [1, 2, 9, 17], { kernel: [2, 2], stride: [3, 3] }],
  ["each side's padding", [1, 2, 7, 9], {
    kernel: [3, 4],
    stride: [1, 1],
    padding: [1, 0, 2, 3],
  }],
  ["dilations that differ", [1, 2, 9, 12], { kernel: [3, 2], stride: [1, 1], dilation: [2, 5] }],
  ["dilation over padding", [1, 2, 6, 11], {
    kernel: [3, 3],
    stride: [2, 1],
    dilation: [3, 2],
    padding: [3, 2, 4, 3],
  }],
  ["a ragged end cut off", [1, 2, 8, 10], { kernel: [3, 3], stride: [2, 2] }],
  ["a ragged end kept", [1, 2, 8, 10], { kernel: [3, 3], stride: [2, 2], ceilMode: true }],
  ["a last window that starts in the leading padding", [1, 3, 2, 2], {
    kernel: [3, 3],
    stride: [3, 3],
    padding: [1, 1, 1, 1],
    ceilMode: true,
  }],
  ["no last window behind the input", [1, 1, 2, 2], {
    kernel: [1, 1],
    stride: [2, 2],
    ceilMode: true,
  }],
  ["a window larger than the input, which ceilMode keeps", [1, 2, 2, 3], {
    kernel: [3, 4],
    stride: [2, 2],
    ceilMode: true,
  }],
  ["ceilMode with padding behind", [1, 2, 7, 11], {
    kernel: [3, 3],
    stride: [3, 3],
    padding: [1, 1, 1, 1],
    ceilMode: true,
  }],
  ["ceilMode with dilation", [1, 2, 9, 14], {
    kernel: [2, 3],
    stride: [3, 2],
    dilation: [3, 2],
    ceilMode: true,
  }],
  ["many planes", [3, 7, 5, 6], { kernel: [2, 2], stride: [1, 1] }],
  ["planes for several threads", [3, 7, 40, 61], { kernel: [3, 2], stride: [2, 3] }],
];
for (const [what, shape, options] of shapes) {
  testOnEveryBackend(`maxPool2d() and avgPool2d() take ${what}`, async (backend) => {
    const x = new Draw(2).floats(shape);
    await checkMax(backend, x, options);
    for (const countIncludePad of [true, false]) {
      await checkAverage(backend, x, { ...options, countIncludePad });
    }
    await checkAverage(backend, x, { ...options, divisor: 3 });
  });
}

testOnEveryBackend(
  "maxPool2d() agrees with the reference on 200 random shapes with many ties",
  async (backend) => {
    const draw = new Draw(30);
    for (let i = 0; i < 200; i++) {
      const { shape, options } = drawPool(draw);
      const values = draw.pick([[-2, -1, 0, 1], [-3, -2, -1], [0], [-Infinity, -1, 1, Infinity]]);
      await checkMax(backend, draw.coarse(shape, values), options);
    }
  },
);

testOnEveryBackend(
  "avgPool2d() agrees with the reference on 200 random shapes",
  async (backend) => {
    const draw = new Draw(31);
    for (let i = 0; i < 200; i++) {
      const { shape, options } = drawPool(draw);
      const countIncludePad = draw.pick([true, false]);
      const divisor = draw.pick([undefined, undefined, 1, 2, 7]);
      await checkAverage(backend, draw.floats(shape), { ...options, countIncludePad, divisor });
    }
  },
);

const padded = { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] } as const;

testOnEveryBackend(
  "maxPool2d() of negative values is never 0 because of padding",
  async (backend) => {
    await checkMax(backend, new Draw(3).floats([1, 2, 6, 11], -2, -1), padded);
  },
);

testOnEveryBackend(
  "maxPool2d() of zeros is 0 at the first position of each window",
  async (backend) => {
    const x = floats([1, 1, 6, 11], Array(66).fill(0));
    await checkMax(backend, x, padded);
    await checkMax(backend, floats(x.shape, Array(66).fill(-0)), padded);
  },
);

testOnEveryBackend(
  "maxPool2d() of −∞ is −∞, at the first position inside the input",
  async (backend) => {
    await checkMax(backend, floats([1, 1, 6, 11], Array(66).fill(-Infinity)), padded);
  },
);

testOnEveryBackend("maxPool2d() is correct for subnormal numbers", async (backend) => {
  const values = [1e-45, -1e-45, 1.2e-38, -1.2e-38, -3.4e38];
  await checkMax(backend, new Draw(4).coarse([1, 2, 6, 11], values), padded);
});

testOnEveryBackend(
  "maxPool2d() gives NaN for every window that contains one, at any position",
  async (backend) => {
    for (let at = 0; at < 55; at++) {
      const x = new Draw(5).floats([1, 1, 5, 11]);
      x.data[at] = NaN;
      await checkMax(backend, x, { kernel: [2, 3], stride: [1, 1] });
      await checkMax(backend, x, { ...padded, stride: [2, 2] });
    }
  },
);

testOnEveryBackend(
  "the index of maxPool2d() is that of the last NaN of a window, as in PyTorch",
  async (backend) => {
    const x = new Draw(6).coarse([1, 2, 8, 19], [NaN, 1, 2, NaN, Infinity]);
    await checkMax(backend, x, padded);
    await checkMax(backend, x, { kernel: [3, 2], stride: [2, 3], dilation: [2, 1] });
  },
);

testOnEveryBackend("maxPool2d() takes the first of equal values, row by row", async (backend) => {
  using x = backend.upload([5, 1, 5, 5, 5, 1, 5, 1, 5], [1, 1, 3, 3]);
  const { output, indices } = ops.maxPool2dWithIndices(x, { kernelSize: 2, stride: 1 });
  using _output = output, _indices = indices;
  assertEquals(await output.read(), new Float32Array([5, 5, 5, 5]));
  assertEquals(await indices.read(), new Int32Array([0, 2, 3, 4]));
});

testOnEveryBackend("maxPool2d() writes its indices and nothing around them", async (backend) => {
  const before = backend.bytesInUse;
  const draw = new Draw(7);
  for (let width = 3; width <= 20; width++) {
    for (const stride of [1, 2]) {
      const x = draw.floats([1, 2, 3, width]);
      const o = { kernel: [2, 2], stride: [1, stride] } as const;
      const { indices: expected } = reference.maxPool2d(x, o);
      const size = expected.data.length;
      // there is no `out` for indices, so this calls the kernel, with a part of a larger tensor
      using tx = upload(backend, x);
      using y = backend.empty(expected.shape);
      const start = canSplit(backend) ? 64 : 0, end = start + size;
      using whole = backend.uploadIndices(new Int32Array(end + 64).fill(-7), [end + 64]);
      const { g } = poolGeometry("maxPool2d", 2, x.shape, spelled(o));
      kernelsOf(backend).maxPool2d(y, partOf(whole, start, expected.shape), tx, g);
      const written = await whole.read();
      assertAllClose(written.subarray(start, end), expected.data);
      assert(written.subarray(end).every((v) => v === -7), "wrote behind the indices");
      assert(written.subarray(0, start).every((v) => v === -7), "wrote before the indices");
    }
  }
  assertEquals(backend.bytesInUse, before);
});

testOnEveryBackend(
  "avgPool2d() propagates NaN and infinities to their windows only",
  async (backend) => {
    const x = new Draw(8).floats([1, 1, 6, 14]);
    x.data.set([NaN, 1, 1, Infinity, 1, 1, -Infinity], 17);
    x.data[60] = Infinity;
    await checkAverage(backend, x, padded);
    await checkAverage(backend, x, { kernel: [2, 3], stride: [2, 2] });
  },
);

testOnEveryBackend(
  "avgPool2d() counts padding by default, but not what ceilMode adds to it",
  async (backend) => {
    using x = backend.upload([1, 2, 3, 4], [1, 1, 2, 2]);
    const read = async (y: Tensor) => {
      using _ = y;
      return Array.from(await y.read());
    };
    const options = { kernelSize: 2, stride: 2, padding: 1 };
    assertEquals(await read(ops.avgPool2d(x, options)), [0.25, 0.5, 0.75, 1]);
    const alone = ops.avgPool2d(x, { ...options, countIncludePad: false });
    assertEquals(await read(alone), [1, 2, 3, 4]);
    // the padded input is 4×4: windows start at −1 and 2; the second is cut at 3 and has one row
    const cut = { kernelSize: 3, stride: 2, padding: [0, 0, 1, 1], ceilMode: true } as const;
    assertEquals(await read(ops.avgPool2d(x, cut)), [10 / 9].map(Math.fround));
  },
);

testOnEveryBackend(
  "pooling along one axis agrees with the reference on 100 random shapes",
  async (backend) => {
    const draw = new Draw(32);
    for (let i = 0; i < 100; i++) {
      const { shape, options: o } = drawPool(draw);
      if (skipsShape(backend)) continue;
      const x = draw.coarse([shape[0], shape[1], shape[3]]);
      const flat: reference.Pool1d = {
        kernel: [o.kernel[1]],
        stride: [o.stride![1]],
        padding: [o.padding![1], o.padding![3]],
        dilation: [o.dilation![1]],
        ceilMode: o.ceilMode,
      };
      const options = {
        kernelSize: flat.kernel,
        stride: flat.stride,
        padding: flat.padding,
        dilation: flat.dilation,
        ceilMode: flat.ceilMode,
      };
      const name = `x [${x.shape}] ${JSON.stringify(flat)}`;
      const { y: maxima, indices: positions } = reference.maxPool1d(x, flat);
      const max = await compute(
        backend,
        [x],
        maxima.shape,
        (out, x) => ops.maxPool1d(x, { ...options, out }),
      );
      assertAllClose(max, maxima.data, { name });
      using tx = upload(backend, x);
      const { output, indices } = ops.maxPool1dWithIndices(tx, options);
      assertEquals([output.shape, indices.shape], [maxima.shape, maxima.shape]);
      assertAllClose(await output.read(), maxima.data, { name });
      assertAllClose(await indices.read(), positions.data, { name });
      output.dispose();
      indices.dispose();
      const countIncludePad = draw.pick([true, false]);
      const means = reference.avgPool1d(x, { ...flat, countIncludePad });
      const average = await compute(
        backend,
        [x],
        means.shape,
        (out, x) => ops.avgPool1d(x, { ...options, countIncludePad, out }),
      );
      assertAllClose(average, means.data, { abs: 1e-6, name });
    }
  },
);

const vast: [what: string, kernel: [number, number], padding: Options["padding"]][] = [
  ["past 2³¹", [46341, 46341], [23170, 23170, 23170, 23170]],
  ["past 2³²", [65537, 65537], [32768, 32768, 32768, 32768]],
  ["2³² exactly", [65536, 65536], [32767, 32767, 32768, 32768]],
  ["past 2⁵⁷ on one row", [2 ** 29, 2 ** 29 - 3], [2 ** 28, 2 ** 28, 2 ** 28, 2 ** 28]],
];
for (const [what, kernelSize, [top, left, bottom, right] = [0, 0, 0, 0]] of vast) {
  testOnEveryBackend(`avgPool2d() divides by an area ${what}`, async (backend) => {
    const area = kernelSize[0] * kernelSize[1];
    const x = new Draw(5).floats([1, 2, 3, 9], 1, 2), [, , h, w] = x.shape;
    using tx = upload(backend, x);
    const options = { kernelSize, stride: 1, padding: [top, left, bottom, right] } as const;
    const oh = h + top + bottom - kernelSize[0] + 1, ow = w + left + right - kernelSize[1] + 1;
    const sums = [0, 1].map((p) => x.data.subarray(p * 27, p * 27 + 27).reduce((a, b) => a + b));
    // every window holds the whole plane
    using y = ops.avgPool2d(tx, options);
    assertEquals(y.shape, [1, 2, oh, ow]);
    const expected = Float64Array.from(
      { length: 2 * oh * ow },
      (_, i) => sums[Math.floor(i / (oh * ow))] / area,
    );
    assertAllClose(await y.read(), expected, { rel: 1e-6 });
    using dx = ops.avgPool2dBackward(y, x.shape, options);
    const gradients = Float64Array.from(
      { length: 54 },
      (_, i) => oh * ow * sums[Math.floor(i / 27)] / area / area,
    );
    assertAllClose(await dx.read(), gradients, { rel: 1e-5 });
    using inside = ops.avgPool2d(tx, { ...options, countIncludePad: false });
    assertAllClose(await inside.read(), expected.map((v) => v * area / 27), { rel: 1e-6 });
  });
}

testOnEveryBackend("avgPool2d() divides rows of padding times columns inside", async (backend) => {
  // 1 × 4 outputs whose windows lie inside the row, with 2²⁹ rows of padding
  using x = backend.upload(new Float32Array(16).fill(1), [1, 1, 1, 16]);
  const options = { kernelSize: [2 ** 29, 13], stride: 1, padding: [2 ** 28, 0] } as const;
  using y = ops.avgPool2d(x, options);
  assertEquals(y.shape, [1, 1, 2, 4]);
  assertAllClose(await y.read(), new Float32Array(8).fill(2 ** -29), { rel: 1e-6 });
  using dx = ops.avgPool2dBackward(y, x.shape, options);
  const [first, second] = await dx.read();
  assertAllClose([first, second], [2 / 13, 4 / 13].map((v) => v * 2 ** -58), { rel: 1e-6 });
});
