import type { Backend } from "../../src/backend/mod.ts";
import {
  conv1d,
  conv2d,
  conv2dBackwardInput,
  conv2dBackwardWeight,
  prepareConv,
} from "../../src/ops/mod.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend, testOnWasm } from "../backends.ts";
import * as reference from "../reference.ts";
import type { Sides } from "../reference.ts";
import {
  bits,
  compute,
  Draw,
  type Floats,
  floats,
  skipsShape,
  sum,
  sumTolerance,
  upload,
} from "./harness.ts";

interface Case {
  readonly x: readonly [number, number, number, number];
  readonly kernel: readonly [number, number];
  /** Outputs of each channel. */
  readonly multiplier?: number;
  readonly stride?: readonly [number, number];
  readonly padding?: Sides;
  readonly dilation?: readonly [number, number];
}

/** Draws inputs for a case and compares y, dx and the updated dw with the reference. */
async function check(backend: Backend, c: Case): Promise<void> {
  if (skipsShape(backend)) return;
  const draw = new Draw(1), { x: shape, kernel, multiplier = 1 } = c;
  const x = draw.floats(shape), w = draw.floats([multiplier * shape[1], 1, ...kernel]);
  await compare(backend, x, w, c, draw);
}

async function compare(
  backend: Backend,
  x: Floats,
  w: Floats,
  { stride, padding, dilation }: Partial<Case>,
  draw: Draw,
): Promise<void> {
  const options = { stride, padding, dilation, groups: x.shape[1] };
  const name = `x [${x.shape}] w [${w.shape}] ${JSON.stringify(options)}`;
  const bias = draw.floats([w.shape[0]]), taps = w.shape[2] * w.shape[3];
  const plain = reference.conv2d(x, w, bias, options), residual = draw.floats(plain.shape);
  const run = (activation?: "relu") =>
    compute(
      backend,
      [x, w, bias],
      plain.shape,
      (out, x, w, bias) => conv2d(x, w, bias, { ...options, activation, residual: out, out }),
      residual,
    );
  const expected = { shape: plain.shape, data: sum(plain, residual) };
  const tolerance = sumTolerance(taps + 2, x, w);
  assertAllClose(await run(), expected.data, { ...tolerance, name: `y of ${name}` });
  const clamped = reference.relu(expected).data;
  assertAllClose(await run("relu"), clamped, { ...tolerance, name: `relu(y) of ${name}` });

  const dy = draw.floats(plain.shape), gradients = reference.conv2dBackward(dy, x, w, options);
  const dx = await compute(
    backend,
    [dy, w],
    x.shape,
    (out, dy, w) => conv2dBackwardInput(dy, w, x.shape, { ...options, out }),
  );
  const terms = taps * w.shape[0] / x.shape[1];
  assertAllClose(dx, gradients.dx.data, { ...sumTolerance(terms, dy, w), name: `dx of ${name}` });

  const start = draw.floats(w.shape);
  const dw = await compute(
    backend,
    [dy, x],
    w.shape,
    (into, dy, x) => conv2dBackwardWeight(dy, x, w.shape, { ...options, into }),
    start,
  );
  const [n, , oh, ow] = plain.shape;
  assertAllClose(dw, sum(gradients.dw, start), {
    ...sumTolerance(n * oh * ow, dy, x),
    name: `dw of ${name}`,
  });
}

const widths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 17];

for (const size of [3, 5, 7]) {
  testOnEveryBackend(
    `a depthwise ${size}×${size} kernel works with all widths`,
    async (backend) => {
      const half = (size - 1) / 2;
      for (const [i, width] of widths.entries()) {
        for (const stride of [[1, 1], [2, 2], [1, 2], [2, 1]] as const) {
          await check(backend, {
            x: [1, 2, widths[(3 * i + stride[1]) % widths.length], width],
            kernel: [size, size],
            padding: [half, half, half, half],
            stride,
          });
        }
      }
    },
  );
}

testOnEveryBackend("a depthwise kernel works with planes of several strips", async (backend) => {
  // 4096 floats hold 70 rows of 58, for 68 rows of outputs, and 35 of 2 · 57, for 20; the last kernel
  // is 101 rows high
  const padding = [1, 1, 1, 1] as const;
  for (const h of [67, 68, 69, 72, 73, 90]) {
    await check(backend, { x: [1, 2, h, 56], kernel: [3, 3], padding });
  }
  await check(backend, { x: [1, 2, 70, 112], kernel: [3, 3], padding, stride: [2, 2] });
  await check(backend, { x: [2, 2, 1, 5000], kernel: [1, 3] });
  await check(backend, { x: [2, 2, 300, 20], kernel: [5, 5], dilation: [25, 3] });
});

const cases: [string, Case][] = [
  ["batches", { x: [3, 4, 6, 7], kernel: [3, 3], padding: [1, 1, 1, 1] }],
  ["more small planes than fit an item", {
    x: [5, 18, 6, 6],
    kernel: [3, 3],
    padding: [1, 1, 1, 1],
  }],
  ["two outputs of each channel", { x: [2, 3, 6, 9], kernel: [3, 3], multiplier: 2 }],
  ["four outputs and a stride", { x: [2, 3, 9, 9], kernel: [5, 5], multiplier: 4, stride: [2, 2] }],
  ["dilation", { x: [1, 2, 9, 11], kernel: [3, 3], dilation: [2, 2], padding: [2, 2, 2, 2] }],
  ["columns dilated", {
    x: [1, 2, 9, 11],
    kernel: [3, 3],
    dilation: [1, 3],
    padding: [1, 3, 1, 3],
  }],
  ["dilation and stride", { x: [1, 2, 13, 14], kernel: [3, 5], dilation: [3, 2], stride: [2, 3] }],
  ["each side's own padding", { x: [1, 2, 5, 6], kernel: [3, 4], padding: [1, 0, 3, 2] }],
  ["padding larger than the input", { x: [2, 2, 2, 2], kernel: [3, 3], padding: [5, 6, 7, 8] }],
  ["padding larger than the kernel and a stride", {
    x: [2, 2, 3, 2],
    kernel: [3, 2],
    padding: [5, 6, 7, 8],
    stride: [2, 3],
  }],
  ["a kernel as large as the input", { x: [2, 3, 5, 7], kernel: [5, 7] }],
  ["a kernel larger than the input", { x: [1, 2, 3, 2], kernel: [5, 4], padding: [1, 1, 1, 1] }],
  ["a kernel of one", { x: [2, 3, 4, 5], kernel: [1, 1] }],
  ["a stride larger than the kernel", { x: [2, 2, 9, 9], kernel: [1, 2], stride: [2, 4] }],
  ["a stride that leaves columns unread", { x: [2, 2, 10, 9], kernel: [2, 2], stride: [4, 4] }],
  ["a stride beyond the input", { x: [1, 2, 4, 4], kernel: [2, 2], stride: [9, 1 << 28] }],
  ["columns only", { x: [1, 2, 9, 1], kernel: [4, 1], stride: [2, 1], padding: [1, 0, 2, 0] }],
];
for (const [what, c] of cases) {
  testOnEveryBackend(`a depthwise convolution takes ${what}`, (backend) => check(backend, c));
}

testOnEveryBackend(
  "depthwise convolutions agree with the reference on random shapes",
  async (backend) => {
    const draw = new Draw(20);
    for (let i = 0; i < 100; i++) {
      const kernel = [draw.integer(1, 5), draw.integer(1, 5)] as const;
      const dilation = [draw.integer(1, 3), draw.integer(1, 3)] as const;
      const padding = [0, 0, 0, 0].map(() => draw.pick([0, 1, 2, 3])) as unknown as Sides;
      const room = (axis: 0 | 1) =>
        Math.max(1, dilation[axis] * (kernel[axis] - 1) + 1 - padding[axis] - padding[axis + 2]);
      await check(backend, {
        x: [
          draw.integer(1, 2),
          draw.integer(2, 3),
          room(0) + draw.integer(0, 9),
          room(1) + draw.integer(0, 20),
        ],
        kernel,
        multiplier: draw.pick([1, 1, 2, 3]),
        stride: [draw.integer(1, 3), draw.integer(1, 3)],
        padding,
        dilation,
      });
    }
  },
);

testOnWasm("depthwise convolutions limit NaN and infinities to their windows", async (backend) => {
  const draw = new Draw(3);
  for (const [size, stride] of [[3, 1], [3, 2], [5, 1], [2, 4]] as const) {
    const x = draw.floats([2, 2, 9, 11]), w = draw.floats([2, 1, size, size], 0.5, 1);
    // some in columns and rows that a stride of 4 leaves unread
    for (const [i, v] of [NaN, Infinity, -Infinity, NaN, NaN].entries()) x.data[3 + 47 * i] = v;
    await compare(backend, x, w, { stride: [stride, stride] }, draw);
  }
});

testOnEveryBackend("gradients of depthwise convolutions propagate NaN of dy", async (backend) => {
  const x = floats([1, 2, 3, 3], Array(18).fill(1)), w = floats([2, 1, 3, 3], Array(18).fill(1));
  const dy = floats([1, 2, 3, 3], Array(18).fill(1));
  dy.data[4] = NaN;
  const options = { padding: 1, groups: 2 };
  const sides = { padding: [1, 1, 1, 1], groups: 2 } as const;
  const expected = reference.conv2dBackward(dy, x, w, sides);
  const dx = await compute(backend, [dy, w], x.shape, (out, dy, w) => {
    return conv2dBackwardInput(dy, w, x.shape, { ...options, out });
  });
  assertAllClose(dx, expected.dx.data);
  using tdy = upload(backend, dy), tx = upload(backend, x);
  using dw = conv2dBackwardWeight(tdy, tx, w.shape, options);
  assertAllClose(await dw.read(), expected.dw.data);
});

testOnEveryBackend(
  "prepared depthwise weights do not change a bit of the result",
  async (backend) => {
    const draw = new Draw(6);
    using x = upload(backend, draw.floats([2, 4, 9, 9])),
      w = upload(backend, draw.floats([8, 1, 3, 3]));
    using bias = upload(backend, draw.floats([8]));
    const options = { padding: 1, groups: 4, activation: "relu" } as const;
    using raw = conv2d(x, w, bias, options), prepared = prepareConv(w, { groups: 4 });
    using y = conv2d(x, prepared, bias, options);
    assertEquals(bits(await y.read()), bits(await raw.read()));
  },
);

testOnWasm("conv1d() computes depthwise convolutions", async (backend) => {
  const draw = new Draw(7);
  const x = draw.floats([2, 3, 21]), w = draw.floats([6, 1, 4]), bias = draw.floats([6]);
  const options = { stride: [2], padding: [3, 1], dilation: [2], groups: 3 } as const;
  const expected = reference.conv1d(x, w, bias, options);
  const y = await compute(
    backend,
    [x, w, bias],
    expected.shape,
    (out, x, w, bias) => conv1d(x, w, bias, { ...options, out }),
  );
  assertAllClose(y, expected.data, sumTolerance(4, x, w));
});
