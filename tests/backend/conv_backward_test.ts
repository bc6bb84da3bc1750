import type { Backend } from "../../src/backend/mod.ts";
import {
  biasBackward,
  conv1dBackwardInput,
  conv1dBackwardWeight,
  conv2dBackwardInput,
  conv2dBackwardWeight,
} from "../../src/ops/mod.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { type ConvCase, drawConv, unusualConvs } from "./conv_cases.ts";
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

/** Draws inputs for a case and compares dx and the updated dw with the reference. */
async function check(backend: Backend, c: ConvCase, draw = new Draw(1)): Promise<void> {
  if (skipsShape(backend)) return;
  const x = draw.floats(c.x), w = draw.floats(c.w);
  const { x: _x, w: _w, ...options } = c;
  const dy = draw.floats(reference.conv2d(x, w, null, options).shape);
  await compare(backend, dy, x, w, options, draw);
}

async function compare(
  backend: Backend,
  dy: Floats,
  x: Floats,
  w: Floats,
  options: reference.Conv2d,
  draw: Draw,
): Promise<void> {
  const expected = reference.conv2dBackward(dy, x, w, options);
  const [n, outC, oh, ow] = dy.shape, [, groupC, kh, kw] = w.shape;
  const name = `x [${x.shape}] w [${w.shape}] ${JSON.stringify(options)}`;
  const dx = await compute(
    backend,
    [dy, w],
    x.shape,
    (out, dy, w) => conv2dBackwardInput(dy, w, x.shape, { ...options, out }),
  );
  const terms = outC / (options.groups ?? 1) * kh * kw;
  assertAllClose(dx, expected.dx.data, { ...sumTolerance(terms, dy, w), name: `dx of ${name}` });

  const start = draw.floats([outC, groupC, kh, kw]);
  const dw = await compute(
    backend,
    [dy, x],
    w.shape,
    (into, dy, x) => conv2dBackwardWeight(dy, x, w.shape, { ...options, into }),
    start,
  );
  const tolerance = sumTolerance(n * oh * ow, dy, x);
  assertAllClose(dw, sum(expected.dw, start), { ...tolerance, name: `dw of ${name}` });
}

testOnEveryBackend(
  "conv2dBackward…() are correct around the edges of a 4×8 tile",
  async (backend) => {
    // dw is outC × k, dx is k × pixels; here k is the number of channels
    for (const rows of [1, 2, 3, 4, 5, 7, 8, 9]) {
      for (const columns of [1, 2, 7, 8, 9, 16, 17]) {
        await check(backend, { x: [1, columns, 1, 5], w: [rows, columns, 1, 1] });
        await check(backend, { x: [1, rows, 1, columns], w: [3, rows, 1, 1] });
      }
    }
  },
);

testOnEveryBackend(
  "conv2dBackwardWeight() sums around 384 and 768 pixels, of one or more samples",
  async (backend) => {
    // up to 384 pixels, ⌊768 / pixels⌋ samples share a block of depth
    for (const pixels of [255, 256, 257, 383, 384, 385, 767, 768, 769, 1537]) {
      for (const n of [1, 2, 3, 4]) {
        await check(backend, { x: [n, 3, 1, pixels], w: [7, 3, 1, 1] });
      }
    }
    for (const n of [1, 2, 5, 9, 767, 768, 769, 1540]) {
      await check(backend, { x: [n, 2, 2, 2], w: [3, 2, 2, 2] }); // 1 pixel
      await check(backend, { x: [n, 2, 2, 2], w: [3, 2, 2, 2], padding: [0, 0, 0, 1] });
    }
  },
);

testOnEveryBackend(
  "conv2dBackwardWeight() works with batches of 1 to 9, with and without padding",
  async (backend) => {
    for (let n = 1; n <= 9; n++) {
      // 144 pixels, of which a block holds 5 samples, and 169, of which it holds 4
      await check(backend, { x: [n, 4, 13, 14], w: [6, 2, 2, 3], groups: 2 });
      const padding = [1, 0, 1, 1] as const;
      await check(backend, { x: [n, 4, 13, 14], w: [6, 2, 3, 3], groups: 2, padding });
    }
  },
);

testOnEveryBackend(
  "conv2dBackwardWeight() works with blocks of k around 736",
  async (backend) => {
    for (const k of [735, 736, 737, 1471, 1472, 1473]) {
      await check(backend, { x: [2, k, 1, 3], w: [7, k, 1, 1] });
    }
    await check(backend, { x: [1, 82, 4, 5], w: [7, 82, 3, 3], padding: [1, 1, 1, 1] }); // k 738
  },
);

testOnEveryBackend(
  "conv2dBackwardInput() sums output channels around 768",
  async (backend) => {
    for (const outC of [1, 2, 767, 768, 769, 1535, 1536, 1537]) {
      await check(backend, { x: [1, 2, 2, 5], w: [outC, 2, 1, 2] });
      await check(backend, { x: [1, 2, 2, 5], w: [outC, 2, 1, 1] });
    }
    await check(backend, { x: [1, 2, 3, 3], w: [1540, 1, 2, 2], groups: 2 }); // 770 per group
  },
);

testOnEveryBackend(
  "conv2dBackwardInput() works with blocks of pixels around 736",
  async (backend) => {
    for (const pixels of [735, 736, 737, 1471, 1472, 1473]) {
      await check(backend, { x: [1, 2, 1, pixels], w: [3, 2, 1, 1] });
      await check(backend, { x: [1, 2, 1, pixels + 1], w: [3, 2, 1, 2] });
    }
    for (const [h, w] of [[21, 35], [23, 32], [11, 67], [30, 50]]) { // 735, 736, 737, 1500 pixels
      await check(backend, { x: [1, 2, h, w], w: [3, 2, 3, 3], padding: [1, 1, 1, 1] });
    }
  },
);

testOnEveryBackend(
  "conv2dBackwardInput() works with blocks of k around 192",
  async (backend) => {
    for (const k of [191, 192, 193, 383, 384, 385]) {
      await check(backend, { x: [1, k, 1, 9], w: [7, k, 1, 1] });
      await check(backend, { x: [1, k, 1, 8], w: [7, k, 1, 1], padding: [0, 1, 0, 0] });
    }
    await check(backend, { x: [2, 22, 5, 6], w: [5, 22, 3, 3], padding: [1, 1, 1, 1] }); // k 198
  },
);

testOnEveryBackend(
  "conv2dBackward…() are correct where blocks of all kinds end together",
  async (backend) => {
    await check(backend, { x: [1, 193, 1, 737], w: [7, 193, 1, 1] });
    await check(backend, { x: [1, 193, 1, 17], w: [385, 193, 1, 1] });
    await check(backend, { x: [1, 737, 1, 385], w: [7, 737, 1, 1] });
    await check(backend, { x: [2, 82, 20, 20], w: [7, 82, 3, 3], padding: [1, 1, 1, 1] });
  },
);

testOnEveryBackend(
  "conv2dBackward…() work with all widths, strides and dilations",
  async (backend) => {
    for (let width = 1; width <= 18; width++) {
      for (const [stride, dilation] of [[1, 1], [2, 1], [1, 2], [3, 2]] as const) {
        await check(backend, {
          x: [1, 2, 4, width],
          w: [3, 2, 2, 3],
          stride: [1, stride],
          dilation: [1, dilation],
          padding: [0, 2, 1, 2],
        });
      }
    }
  },
);

for (const [what, c] of unusualConvs) {
  testOnEveryBackend(`conv2dBackward…() take ${what}`, (backend) => check(backend, c));
}

testOnEveryBackend(
  "conv2dBackward…() agree with the reference on 150 random shapes",
  async (backend) => {
    const draw = new Draw(20);
    for (let i = 0; i < 150; i++) {
      await check(backend, drawConv(draw, 6), draw);
    }
  },
);

testOnEveryBackend(
  "conv1dBackward…() agree with the reference on 80 random shapes",
  async (backend) => {
    const draw = new Draw(21);
    for (let i = 0; i < 80; i++) {
      const groups = draw.pick([1, 1, 2, 3]);
      const groupC = draw.integer(1, 5), kernel = draw.integer(1, 6), dilation = draw.integer(1, 3);
      const padding = [draw.integer(0, 3), draw.integer(0, 3)] as const;
      const least = Math.max(1, dilation * (kernel - 1) + 1 - padding[0] - padding[1]);
      const x = draw.floats([draw.integer(1, 5), groups * groupC, least + draw.integer(0, 30)]);
      const w = draw.floats([groups * draw.integer(1, 8), groupC, kernel]);
      const stride = [draw.integer(1, 3)] as const;
      const options = { stride, padding, dilation: [dilation], groups } as const;
      if (skipsShape(backend)) continue;
      const dy = draw.floats(reference.conv1d(x, w, null, options).shape);
      const expected = reference.conv1dBackward(dy, x, w, options);
      const dx = await compute(
        backend,
        [dy, w],
        x.shape,
        (out, dy, w) => conv1dBackwardInput(dy, w, x.shape, { ...options, out }),
      );
      const name = `x [${x.shape}] w [${w.shape}] ${JSON.stringify(options)}`;
      const terms = w.shape[0] / groups * kernel;
      assertAllClose(dx, expected.dx.data, {
        ...sumTolerance(terms, dy, w),
        name: `dx of ${name}`,
      });
      const start = draw.floats(w.shape);
      const dw = await compute(
        backend,
        [dy, x],
        w.shape,
        (into, dy, x) => conv1dBackwardWeight(dy, x, w.shape, { ...options, into }),
        start,
      );
      const tolerance = sumTolerance(dy.shape[0] * dy.shape[2], dy, x);
      assertAllClose(dw, sum(expected.dw, start), { ...tolerance, name: `dw of ${name}` });
    }
  },
);

testOnEveryBackend("conv2dBackward…() accept all forms of padding", async (backend) => {
  const draw = new Draw(4);
  const x = draw.floats([1, 2, 6, 7]), w = draw.floats([3, 2, 3, 4]);
  const forms = [
    [2, [2, 2, 2, 2]],
    [[1, 2], [1, 2, 1, 2]],
    ["valid", [0, 0, 0, 0]],
    ["same", [1, 1, 1, 2]],
  ] as const;
  for (const [padding, sides] of forms) {
    const dy = draw.floats(reference.conv2d(x, w, null, { padding: sides }).shape);
    const expected = reference.conv2dBackward(dy, x, w, { padding: sides });
    using tdy = upload(backend, dy), tx = upload(backend, x), tw = upload(backend, w);
    using dx = conv2dBackwardInput(tdy, tw, x.shape, { padding });
    using dw = conv2dBackwardWeight(tdy, tx, w.shape, { padding });
    assertAllClose(await dx.read(), expected.dx.data, sumTolerance(36, dy, w));
    assertAllClose(await dw.read(), expected.dw.data, sumTolerance(90, dy, x));
  }
});

testOnEveryBackend(
  "new gradients start from 0 and have the same bits, whatever the memory contained",
  async (backend) => {
    const draw = new Draw(5);
    const x = draw.floats([2, 3, 6, 6]), w = draw.floats([5, 3, 3, 3]);
    const dy = draw.floats([2, 5, 4, 4]), zero = floats(w.shape, new Float32Array(135));
    using tdy = upload(backend, dy), tx = upload(backend, x), tw = upload(backend, w);
    backend.upload(new Float32Array(4096).fill(NaN), [4096]).dispose();
    using dx = conv2dBackwardInput(tdy, tw, x.shape);
    using dw = conv2dBackwardWeight(tdy, tx, w.shape);
    using db = biasBackward(tdy);
    const into = await compute(
      backend,
      [dy, x],
      w.shape,
      (into, dy, x) => conv2dBackwardWeight(dy, x, w.shape, { into }),
      zero,
    );
    const out = await compute(
      backend,
      [dy, w],
      x.shape,
      (out, dy, w) => conv2dBackwardInput(dy, w, x.shape, { out }),
    );
    assertEquals([dx.shape, dw.shape, db.shape], [x.shape, w.shape, [5]]);
    assertEquals(bits(await dw.read()), bits(into));
    assertEquals(bits(await dx.read()), bits(out));
    const expected = reference.conv2dBackward(dy, x, w).db;
    assertAllClose(await db.read(), expected.data, { abs: 1e-5 });
  },
);

testOnEveryBackend(
  "conv2dBackward…() propagate NaN and infinities to the affected elements only",
  async (backend) => {
    // zeros pad edge tiles; they must not turn a neighbouring infinity into NaN
    const draw = new Draw(6);
    for (const bad of [NaN, Infinity, -Infinity]) {
      const x = draw.floats([2, 2, 5, 6]), w = draw.floats([7, 2, 2, 2], 0.5, 1);
      const dy = draw.floats([2, 7, 4, 5], 0.5, 1);
      x.data[17] = bad;
      await compare(backend, dy, x, w, {}, draw);
      x.data[17] = 1;
      w.data[9] = bad;
      // on a GPU the implicit product also multiplies weights by the zeros around dy, as cuDNN does
      if (backend.device === "wasm") await compare(backend, dy, x, w, {}, draw);
      w.data[9] = 1;
      dy.data[30] = bad;
      await compare(backend, dy, x, w, {}, draw);
    }
  },
);

testOnEveryBackend(
  "conv2dBackward…() need memory for the actual samples, not for a full block",
  (backend) => {
    // 1 pixel: a full block would be 768 samples, 12 GB
    using x = backend.empty([1, 16, 500, 500]);
    using dy = backend.upload([2], [1, 1, 1, 1]);
    using w = backend.upload(new Float32Array(16).fill(1), [1, 16, 1, 1]);
    const options = { stride: 1000, padding: [1, 1, 0, 0] } as const;
    conv2dBackwardWeight(dy, x, w.shape, options).dispose();
    conv2dBackwardInput(dy, w, x.shape, options).dispose();
  },
);

testOnEveryBackend("biasBackward() of a constant keeps its digits", async (backend) => {
  const shapes = [[2, 3, 256, 256], [100_000, 5], [257, 4]];
  for (const shape of shapes) {
    const size = shape.reduce((a, b) => a * b);
    using dy = backend.upload(new Float32Array(size).fill(0.1), shape);
    using db = biasBackward(dy);
    const sum = Math.fround(0.1) * size / shape[1];
    // 256 numbers are added in float32; on a GPU, which has no float64, the 64th part of all
    const rel = backend.device === "webgpu" ? 2 ** -14 : 2 ** -16;
    assertAllClose(await db.read(), Array(shape[1]).fill(sum), { abs: 0, rel });
  }
});

testOnEveryBackend(
  "biasBackward() works with planes of all sizes and 2 to 4 axes",
  async (backend) => {
    const draw = new Draw(7);
    const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 1200]; // the last: several items
    for (const plane of sizes) {
      for (const [n, c] of [[1, 1], [3, 5], [5, 2]]) {
        const dy = draw.floats([n, c, plane]), start = draw.floats([c]);
        const w = floats([c, 1, 1], new Float32Array(c));
        const x = floats([n, 1, plane], new Float32Array(n * plane));
        const expected = reference.conv1dBackward(dy, x, w).db;
        const db = await compute(
          backend,
          [dy],
          [c],
          (into, dy) => biasBackward(dy, { into }),
          start,
        );
        assertAllClose(db, sum(expected, start), sumTolerance(n * plane, dy, floats([1], [1])));
      }
    }
    for (const shape of [[3, 4], [3, 4, 2], [3, 4, 2, 3]]) {
      using dy = backend.upload(
        new Float32Array(shape.reduce((a, b) => a * b)).fill(1),
        shape,
      );
      using db = biasBackward(dy);
      assertEquals([...await db.read()], Array(4).fill(dy.size / 4));
    }
  },
);
