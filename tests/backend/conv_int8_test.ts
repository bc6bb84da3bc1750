import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError } from "../../src/errors.ts";
import { conv } from "../../src/ops/conv.ts";
import { conv1d, conv2d, quantizeConv } from "../../src/ops/mod.ts";
import type { Shape } from "../../src/tensor.ts";
import { assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testOnWasm } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, compute, Draw, type Floats, skipsShape, upload } from "./harness.ts";

/** A convolution to test. */
interface Case {
  readonly n?: number;
  readonly inC: number;
  readonly outC: number;
  readonly h: number;
  readonly w: number;
  readonly kernel?: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly padding?: readonly [number, number, number, number];
  readonly dilation?: readonly [number, number];
  readonly groups?: number;
}

/** How the result of a case is finished. */
interface Finish {
  readonly bias?: Floats | null;
  readonly residual?: boolean;
  readonly relu?: boolean;
  readonly range?: readonly [number, number];
}

/** The shape of the result, which a residual has, too. */
function outputShape({ shape: [n, , h, w] }: Floats, filter: Floats, options: Case): Shape {
  const [outC, , kh, kw] = filter.shape,
    [top, left, bottom, right] = options.padding ?? [0, 0, 0, 0];
  const [sh, sw] = options.stride ?? [1, 1], [dh, dw] = options.dilation ?? [1, 1];
  const size = (padded: number, kernel: number, stride: number, dilation: number) =>
    Math.floor((padded - dilation * (kernel - 1) - 1) / stride) + 1;
  return [n, outC, size(top + h + bottom, kh, sh, dh), size(left + w + right, kw, sw, dw)];
}

/** Computes with 8 bits, and compares every bit with the reference. */
async function compare(backend: Backend, x: Floats, w: Floats, options: Case, finish: Finish = {}) {
  const { groups = 1, stride, padding, dilation } = options, { bias = null, relu, range } = finish;
  const shape = outputShape(x, w, options);
  const residual = finish.residual ? new Draw(9).floats(shape) : null;
  const expected = reference.conv2dInt8(x, w, bias, { ...options, residual, relu, range });
  using weights = upload(backend, w);
  using quantized = quantizeConv(weights, { groups });
  const y = await compute(backend, [x, bias, residual], shape, (out, x, bias, residual) => {
    const activation = relu ? "relu" : undefined;
    const epilogue = { out, activation, residual: residual ?? undefined } as const;
    const inputRange = range ?? null, geometry = { stride, padding, dilation, groups };
    return conv(2, x, quantized, bias, { ...geometry, ...epilogue }, { inputRange });
  });
  const name = JSON.stringify(options);
  assertEquals(bits(y), bits(Float32Array.from(expected.data)), name);
}

async function check(backend: Backend, draw: Draw, options: Case) {
  if (skipsShape(backend)) return;
  const { n = 1, inC, outC, h, w, kernel = [1, 1], groups = 1 } = options;
  const x = draw.floats([n, inC, h, w], draw.pick([-1, 0, -3]), draw.pick([1, 2]));
  const weights = draw.floats([outC, inC / groups, ...kernel]);
  const bias = draw.pick([null, draw.floats([outC])]);
  const finish = { bias, residual: draw.pick([true, false]), relu: draw.pick([true, false]) };
  await compare(backend, x, weights, options, finish);
}

testOnWasm("quantizeConv() rounds each output channel by its own scale", async (backend) => {
  const draw = new Draw(1);
  const shapes: Shape[] = [[1, 1, 1, 1], [5, 3, 3, 3], [4, 4, 1, 1], [9, 5, 2], [8, 6, 1, 7]];
  for (const shape of shapes) {
    const w = draw.floats(shape, -3, 2);
    const groups = shape[0] === 9 ? 3 : 1;
    using weights = upload(backend, w);
    using quantized = quantizeConv(weights, { groups });
    const { integers, steps } = reference.roundWeights(w);
    assertEquals(await quantized.read(), Int8Array.from(integers.data));
    const scale = await quantized.scale.read();
    assertEquals(scale, Float32Array.from(steps));
    // rounding the rounded weights changes nothing
    const size = w.data.length / shape[0];
    const data = Float32Array.from(integers.data, (q, i) => q * steps[Math.floor(i / size)]);
    using again = upload(backend, { shape, data });
    using same = quantizeConv(again, { groups });
    assertEquals(await same.read(), await quantized.read());
    assertEquals(await same.scale.read(), scale);
  }
});

testOnWasm(
  "quantizeConv() takes given scales, and keeps integers from -128 to 127",
  async (backend) => {
    const integers = Int8Array.from({ length: 256 }, (_, i) => i - 128);
    const scales = Float32Array.of(0.1, 0.3, 1e-5, 7 / 3); // not of 16 bits
    for (const groups of [1, 2]) {
      const data = Float32Array.from(integers, (q, i) => q * scales[i >> 6]);
      using weights = upload(backend, { shape: [4, 64, 1, 1], data });
      using quantized = quantizeConv(weights, { groups, scales });
      assertEquals(await quantized.read(), integers);
      assertEquals(await quantized.scale.read(), scales);
    }
    const data = Float32Array.of(1000, -1000, 0.49, NaN);
    using weights = upload(backend, { shape: [2, 2, 1, 1], data });
    using clamped = quantizeConv(weights, { scales: Float32Array.of(1, 1) });
    assertEquals(await clamped.read(), Int8Array.of(127, -128, 0, 0));
    assertEquals(await clamped.scale.read(), Float32Array.of(1, NaN));
    for (const wrong of [[1], [1, 0], [1, -1], [1, NaN], [Infinity, 1]]) {
      const scales = Float32Array.from(wrong);
      assertThrows(() => quantizeConv(weights, { scales }), ArgumentError, "scale");
    }
    for (const scales of [null, 0, ""] as unknown as Float32Array[]) {
      assertThrows(() => quantizeConv(weights, { scales }), ArgumentError, "scales");
    }
  },
);

testOnWasm("conv2d() in 8 bits is exact around the edges of its tiles", async (backend) => {
  const draw = new Draw(2);
  for (const outC of [1, 3, 4, 5, 8, 9]) {
    for (const pixels of [1, 2, 4, 5, 7, 8, 9, 15, 16, 17, 20, 31, 33, 50]) {
      const inC = draw.integer(1, 9);
      await check(backend, draw, { inC, outC, h: 1, w: pixels });
    }
  }
  for (const inC of [1, 2, 3, 4, 5, 7, 8, 9, 16, 33]) {
    await check(backend, draw, { inC, outC: 5, h: 3, w: 5 });
    await check(backend, draw, { inC, outC: 6, h: 4, w: 3, kernel: [3, 3], padding: [1, 1, 1, 1] });
    await check(backend, draw, { inC, outC: 13, h: 1, w: 1 });
  }
});

testOnWasm("conv2d() in 8 bits takes every kernel, stride, padding and group", async (backend) => {
  const draw = new Draw(3);
  for (let i = 0; i < 60; i++) {
    const kernel = [draw.integer(1, 4), draw.integer(1, 4)] as const;
    const dilation = [draw.integer(1, 2), draw.integer(1, 2)] as const;
    const side = () => draw.integer(0, 2);
    const groups = draw.pick([1, 1, 2, 3]);
    await check(backend, draw, {
      n: draw.integer(1, 3),
      inC: groups * draw.integer(groups === 1 ? 1 : 2, 7),
      outC: groups * draw.integer(1, 6),
      h: draw.integer(7, 12),
      w: draw.integer(7, 14),
      kernel,
      stride: [draw.integer(1, 3), draw.integer(1, 3)],
      padding: [side(), side(), side(), side()],
      dilation,
      groups,
    });
  }
});

testOnWasm("conv2d() in 8 bits is exact beyond one block", async (backend) => {
  const draw = new Draw(4);
  await check(backend, draw, { inC: 18, outC: 3, h: 31, w: 33 }); // more than 736 columns
  // columns of 17.6 KB, of which 24 fit, or with 16-bit integers 8 of twice the size
  await check(backend, draw, { inC: 1100, outC: 2, h: 5, w: 17, kernel: [4, 4] });
  await check(backend, draw, { inC: 8192, outC: 40, h: 1, w: 9 }); // 32 rows of weights, then 8
  await check(backend, draw, { n: 3, inC: 4, outC: 2, h: 700, w: 600, stride: [99, 99] });
});

testOnWasm("conv2d() in 8 bits holds the largest sums", async (backend) => {
  if (skipsShape(backend)) return;
  const size = 131072, shape = [1, size, 1, 1];
  for (const sign of [1, -1]) {
    const x = { shape, data: new Float32Array(size).fill(127 * sign) };
    const w = { shape: [2, size, 1, 1], data: new Float32Array(2 * size).fill(127) };
    await compare(backend, x, w, { inC: size, outC: 2, h: 1, w: 1 });
  }
});

testOnWasm(
  "conv2d() in 8 bits rounds inputs of few channels to 14 bits",
  async (backend) => {
    const draw = new Draw(10);
    for (const inC of [1, 2, 3, 4, 5, 15, 16, 17]) { // up to 4, or 16 if the kernel has several taps
      for (const pixels of [1, 3, 4, 5, 9, 18]) {
        await check(backend, draw, { inC, outC: draw.integer(1, 9), h: 1, w: pixels });
        const kernel = [2, 3] as const, padding = [1, 1, 2, 1] as const;
        await check(backend, draw, { n: 2, inC, outC: 6, h: 3, w: pixels, kernel, padding });
      }
    }
    const padding = [1, 1, 1, 1] as const, kernel = [3, 3] as const;
    await check(backend, draw, { inC: 4, outC: 6, groups: 2, h: 5, w: 7, kernel, padding });
    await check(backend, draw, { inC: 3, outC: 4, groups: 1, h: 40, w: 50, kernel, padding });
    if (skipsShape(backend)) return;
    for (const size of [256, 257]) { // as many as have 14 bits, and one more
      for (const sign of [1, -1]) {
        const options = { inC: 1, outC: 2, h: 1, w: size, kernel: [1, size] as const };
        const x = { shape: [1, 1, 1, size], data: new Float32Array(size).fill(127 * sign) };
        const w = { shape: [2, 1, 1, size], data: new Float32Array(2 * size).fill(127) };
        await compare(backend, x, w, options);
      }
    }
  },
);

testOnWasm("conv2d() in 8 bits takes a known range, and clamps to it", async (backend) => {
  const draw = new Draw(5), options = { n: 2, inC: 5, outC: 6, h: 6, w: 7 };
  const x = draw.floats([2, 5, 6, 7], -2, 3), w = draw.floats([6, 5, 1, 1]);
  const wide = { ...options, kernel: [2, 3] as const }, filter = draw.floats([6, 5, 2, 3]);
  for (const range of [[-2, 3], [-0.5, 1], [0, 2.5], [-1, 0], [1, 2]] as const) {
    await compare(backend, x, w, options, { range, bias: draw.floats([6]), relu: true });
    await compare(backend, x, filter, wide, { range });
  }
  x.data[250] = NaN; // in the second sample
  await compare(backend, x, w, options, { range: [-1, 1] });
});

testOnWasm("conv2d() in 8 bits computes with zeros, NaN and extremes", async (backend) => {
  const draw = new Draw(6), options = { n: 2, inC: 3, outC: 5, h: 4, w: 5 };
  const w = draw.floats([5, 3, 1, 1]), size = 60;
  const samples: ((i: number) => number)[] = [
    () => 0,
    () => -0,
    (i) => i === 59 ? NaN : 1,
    (i) => i === 7 ? Infinity : -i,
    (i) => i === 0 ? -Infinity : i,
    (i) => i % 2 ? 3e38 : -3e38,
    (i) => 1e-40 * i,
    (i) => -i,
  ];
  for (const value of samples) {
    const x = draw.floats([2, 3, 4, 5]);
    for (let i = 0; i < size; i++) x.data[size + i] = value(i);
    for (const relu of [true, false]) await compare(backend, x, w, options, { relu });
  }
  for (const value of [NaN, Infinity, -Infinity]) {
    const odd = { shape: w.shape, data: w.data.with(4, value) };
    await compare(backend, draw.floats([2, 3, 4, 5]), odd, options);
  }
  const zeros = { shape: w.shape, data: w.data.map((v, i) => i < 6 ? 0 : v) };
  await compare(backend, draw.floats([2, 3, 4, 5]), zeros, options);
});

testOnWasm("conv2d() in 8 bits gives NaN for those pixels that are not finite", async (backend) => {
  const draw = new Draw(10), options = { inC: 6, outC: 5, h: 1, w: 39 }; // pixels have their own steps
  const w = draw.floats([5, 6, 1, 1]);
  for (const value of [NaN, Infinity, -Infinity]) {
    for (const pixel of [0, 3, 5, 10, 15, 16, 31, 32, 36, 38]) {
      const x = draw.floats([1, 6, 1, 39]);
      x.data[4 * 39 + pixel] = value;
      await compare(backend, x, w, options);
    }
  }
});

testOnWasm("conv1d() in 8 bits equals conv2d() of height 1", async (backend) => {
  const draw = new Draw(7), x = draw.floats([2, 6, 11]), w = draw.floats([4, 3, 3]);
  const flat = { shape: [2, 6, 1, 11], data: x.data };
  const kernel = { shape: [4, 3, 1, 3], data: w.data };
  const expected = reference.conv2dInt8(flat, kernel, null, {
    groups: 2,
    stride: [1, 2],
    padding: [0, 1, 0, 1],
  });
  using weights = upload(backend, w);
  using quantized = quantizeConv(weights, { groups: 2 });
  const y = await compute(backend, [x], [2, 4, 6], (out, x) => {
    return conv1d(x, quantized, null, { stride: 2, padding: 1, groups: 2, out });
  });
  assertEquals(bits(y), bits(Float32Array.from(expected.data)));
});

testOnWasm("conv2d() in 8 bits fuses every activation", async (backend) => {
  const draw = new Draw(8),
    x = draw.floats([1, 6, 5, 5], -1, 2),
    w = draw.floats([7, 6, 1, 1], -3, 3);
  using input = upload(backend, x);
  using weights = upload(backend, w);
  using quantized = quantizeConv(weights);
  using plain = conv2d(input, quantized, null);
  const values = await plain.read();
  const six = (v: number) => Math.min(Math.max(v, 0), 6);
  const functions = {
    relu6: six,
    hardswish: (v: number) => v * six(v + 3) / 6,
    silu: (v: number) => v / (1 + Math.exp(-v)),
  };
  for (const activation of ["relu6", "hardswish", "silu"] as const) {
    using y = conv2d(input, quantized, null, { activation });
    const result = await y.read();
    for (const [i, v] of values.entries()) {
      const expected = functions[activation](v);
      const isClose = Math.abs(result[i] - expected) <= 1e-6 * Math.max(1, Math.abs(expected));
      assertEquals(isClose, true, `${activation}(${v}) = ${result[i]}`);
    }
  }
});

testOnEveryBackend("quantizeConv() refuses what has no kernel", (backend) => {
  using depthwise = backend.upload(new Float32Array(18), [2, 1, 3, 3]);
  assertThrows(() => quantizeConv(depthwise, { groups: 2 }), ArgumentError, "not depthwise");
  using matrix = backend.upload(new Float32Array(6), [2, 3]);
  assertThrows(() => quantizeConv(matrix), ArgumentError, "the shape of weight");
  using weight = backend.upload(new Float32Array(6), [3, 2, 1]);
  assertThrows(() => quantizeConv(weight, { groups: 2 }), ArgumentError, "groups");
  if (backend.device === "webgpu") {
    assertThrows(() => quantizeConv(weight), ArgumentError, "on Wasm");
    return;
  }
  using quantized = quantizeConv(weight, { groups: 3 });
  using x = backend.upload(new Float32Array(8), [1, 2, 4]);
  assertThrows(() => conv1d(x, quantized, null), ArgumentError, "groups");
  quantized.dispose();
  assertThrows(() => conv1d(x, quantized, null, { groups: 1 }), Error, "disposed");
});
