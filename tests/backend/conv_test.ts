import type { Backend } from "../../src/backend/mod.ts";
import { conv1d, conv2d, type Conv2dOptions, prepareConv } from "../../src/ops/mod.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import type { Sides } from "../reference.ts";
import { type ConvCase, drawConv, unusualConvs } from "./conv_cases.ts";
import {
  bits,
  compute,
  Draw,
  type Floats,
  floats,
  skipsShape,
  sumTolerance,
  upload,
} from "./harness.ts";

interface Case extends ConvCase {
  readonly bias?: boolean;
  readonly relu?: boolean;
}

/** Draws inputs for a case and compares the backend with the reference. */
async function check(backend: Backend, c: Case, draw = new Draw(1)): Promise<void> {
  if (skipsShape(backend)) return;
  const x = draw.floats(c.x), w = draw.floats(c.w);
  const bias = c.bias === false ? null : draw.floats([c.w[0]]);
  await compare(backend, x, w, bias, c);
}

async function compare(
  backend: Backend,
  x: Floats,
  w: Floats,
  bias: Floats | null,
  { relu = false, stride, padding, dilation, groups }: Partial<Case>,
): Promise<void> {
  const options = { stride, padding, dilation, groups };
  const plain = reference.conv2d(x, w, bias, options);
  const expected = relu ? reference.relu(plain) : plain;
  const y = await compute(
    backend,
    [x, w, bias],
    expected.shape,
    (out, x, w, bias) =>
      conv2d(x, w, bias, { ...options, activation: relu ? "relu" : undefined, out }),
  );
  const k = w.shape[1] * w.shape[2] * w.shape[3];
  const name = `x [${x.shape}] w [${w.shape}] ${JSON.stringify(options)}${relu ? " relu" : ""}`;
  assertAllClose(y, expected.data, { ...sumTolerance(k, x, w), name });
}

testOnEveryBackend(
  "conv2d() is correct around the edges of a 4×8 tile",
  async (backend) => {
    for (const rows of [1, 2, 3, 4, 5, 7, 8, 9, 12, 13]) {
      for (const columns of [1, 2, 4, 5, 8, 9, 12, 15, 16, 17]) {
        await check(backend, { x: [1, 3, 1, columns], w: [rows, 3, 1, 1] });
      }
    }
  },
);

testOnEveryBackend(
  "conv2d() computes edge tiles with and without bias and relu",
  async (backend) => {
    for (const [rows, columns] of [[4, 8], [5, 8], [4, 9], [3, 7], [13, 17]]) {
      for (const bias of [true, false]) {
        for (const relu of [true, false]) {
          await check(backend, { x: [2, 2, 1, columns], w: [rows, 2, 1, 1], bias, relu });
        }
      }
    }
  },
);

testOnEveryBackend("conv2d() sums blocks of k around 768", async (backend) => {
  for (const k of [1, 2, 3, 767, 768, 769, 800, 1535, 1536, 1537]) {
    for (const [rows, columns] of [[5, 9], [4, 8]]) {
      await check(backend, { x: [1, k, 1, columns], w: [rows, k, 1, 1], relu: k % 2 === 1 });
    }
  }
});

testOnEveryBackend("conv2d() is correct around the edges of twenty rows", async (backend) => {
  for (const k of [31, 32, 33, 34, 35, 770]) { // the loop over k has four steps; 770 are two blocks
    for (const rows of [19, 20, 21, 24, 39, 40, 41]) {
      const columns = [8, 9, 136, 141][rows % 4]; // from 128 on, the input is not packed
      await check(backend, { x: [1, k, 1, columns], w: [rows, k, 1, 1], relu: rows % 2 === 1 });
    }
  }
});

testOnEveryBackend("conv2d() reads planes of 1×1 kernels where they lie", async (backend) => {
  const checkPlanes = (m: number, h: number, w: number) =>
    check(backend, { x: [2, 6, h, w], w: [2 * m, 3, 1, 1], groups: 2, relu: m % 2 === 1 });
  for (const m of [1, 3, 16, 127, 128, 129]) {
    for (const [h, w] of [[8, 16], [11, 13]]) await checkPlanes(m, h, w);
  }
  await checkPlanes(5, 16, 32);
  await checkPlanes(5, 64, 64); // a distance of 16 KB
});

testOnEveryBackend("conv2d() works where rows end between pixels of a panel", async (backend) => {
  for (let w = 1; w <= 20; w++) {
    for (const kw of [1, 2, 3]) {
      if (kw > w) continue;
      for (const stride of [[2, 1], [1, 2]] as const) {
        await check(backend, { x: [1, 1, 7, w], w: [1, 1, 1, kw], stride });
      }
    }
  }
});

testOnEveryBackend(
  "conv2d() sums deep kernels whose blocks end inside a window",
  async (backend) => {
    // two blocks each of 23·5·7 = 805, 33·5·5 = 825 and 129·3·3 = 1161 taps
    await check(backend, { x: [1, 23, 7, 9], w: [7, 23, 5, 7], padding: [2, 3, 2, 3], relu: true });
    await check(backend, {
      x: [1, 33, 6, 5],
      w: [5, 33, 5, 5],
      padding: [1, 2, 2, 1],
      bias: false,
    });
    await check(backend, {
      x: [2, 129, 5, 5],
      w: [6, 129, 3, 3],
      padding: [1, 1, 1, 1],
      relu: true,
    });
  },
);

testOnEveryBackend(
  "conv2d() works with blocks of columns around 736",
  async (backend) => {
    for (const pixels of [728, 735, 736, 737, 744, 1471, 1472, 1473, 1500]) {
      await check(backend, { x: [1, 2, 1, pixels], w: [7, 2, 1, 1] });
    }
    for (const [h, w] of [[21, 35], [23, 32], [11, 67], [30, 50]]) { // 735, 736, 737, 1500 pixels
      await check(backend, { x: [1, 2, h, w], w: [5, 2, 3, 3], padding: [1, 1, 1, 1] });
    }
  },
);

testOnEveryBackend(
  "conv2d() is correct where blocks of k and of columns end together",
  async (backend) => {
    await check(backend, { x: [1, 769, 1, 737], w: [7, 769, 1, 1], relu: true });
    await check(backend, { x: [1, 800, 1, 740], w: [7, 800, 1, 1], bias: false });
  },
);

testOnEveryBackend(
  "conv2d() works with all widths, strides and dilations",
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
  testOnEveryBackend(`conv2d() takes ${what}`, (backend) => check(backend, c));
}

testOnEveryBackend("conv2d() agrees with the reference on 200 random shapes", async (backend) => {
  const draw = new Draw(20);
  for (let i = 0; i < 200; i++) {
    const bias = draw.pick([true, false]), relu = draw.pick([true, false]);
    await check(backend, { ...drawConv(draw, 2), bias, relu }, draw);
  }
});

testOnEveryBackend("conv2d() propagates NaN and infinities, also with relu", async (backend) => {
  const draw = new Draw(3);
  const x = draw.floats([1, 2, 5, 9]), w = draw.floats([7, 2, 2, 2], 0.5, 1);
  x.data.set([NaN, Infinity, -Infinity], 40);
  x.data[3] = NaN;
  x.data[70] = -Infinity;
  for (const relu of [false, true]) await compare(backend, x, w, draw.floats([7]), { relu });
});

testOnEveryBackend(
  "conv2d() limits the NaN of zero weight times infinity to its element",
  async (backend) => {
    // the unused rows of a tile are zeros, whose NaN must not reach a neighbour
    const x = floats([1, 1, 1, 9], [1, 1, 1, Infinity, 1, 1, 1, 1, -Infinity]);
    await compare(backend, x, floats([7, 1, 1, 1], [0, 1, 2, 3, 4, 5, 6]), null, {});
  },
);

testOnEveryBackend(
  "conv2d() with relu gives 0 for negative sums",
  async (backend) => {
    const x = floats([1, 1, 3, 3], Array(9).fill(1)), w = floats([7, 1, 2, 2], Array(28).fill(-1));
    const y = await compute(
      backend,
      [x, w],
      [1, 7, 2, 2],
      (out, x, w) => conv2d(x, w, null, { activation: "relu", out }),
    );
    assertEquals(y, new Float32Array(28));
  },
);

testOnEveryBackend(
  "conv2d() accepts padding as a number, a pair, four sides or a name",
  async (backend) => {
    const draw = new Draw(4);
    const x = draw.floats([1, 2, 6, 7]), w = draw.floats([3, 2, 3, 4]);
    // with an even extent, the extra zero comes last, as in PyTorch
    const forms: [Conv2dOptions, Sides][] = [
      [{ padding: 2 }, [2, 2, 2, 2]],
      [{ padding: [1, 2] }, [1, 2, 1, 2]],
      [{ padding: [0, 1, 2, 3] }, [0, 1, 2, 3]],
      [{ padding: "valid" }, [0, 0, 0, 0]],
      [{ padding: "same" }, [1, 1, 1, 2]],
    ];
    for (const [options, sides] of forms) {
      const expected = reference.conv2d(x, w, null, { padding: sides });
      const y = await compute(
        backend,
        [x, w],
        expected.shape,
        (out, x, w) => conv2d(x, w, null, { ...options, out }),
      );
      assertAllClose(y, expected.data, sumTolerance(24, x, w));
    }
  },
);

testOnEveryBackend(
  'conv2d() keeps the size with padding "same" and any dilation',
  async (backend) => {
    const draw = new Draw(5);
    for (const kernel of [1, 2, 3, 4]) {
      for (const dilation of [1, 2, 3]) {
        const x = draw.floats([1, 1, 7, 8]), w = draw.floats([2, 1, kernel, kernel]);
        const extra = dilation * (kernel - 1), before = Math.floor(extra / 2);
        const sides = [before, before, extra - before, extra - before] as const;
        const expected = reference.conv2d(x, w, null, {
          padding: sides,
          dilation: [dilation, dilation],
        });
        const y = await compute(
          backend,
          [x, w],
          [1, 2, 7, 8],
          (out, x, w) => conv2d(x, w, null, { padding: "same", dilation, out }),
        );
        assertAllClose(y, expected.data, sumTolerance(kernel ** 2, x, w));
      }
    }
  },
);

testOnEveryBackend(
  "prepareConv() does not change a bit of the result, used once or more often",
  async (backend) => {
    const draw = new Draw(6);
    for (const groups of [1, 2]) {
      const x = draw.floats([2, 4, 9, 9]), w = draw.floats([14, 4 / groups, 3, 3]);
      const bias = draw.floats([14]);
      using tx = backend.upload(x.data, x.shape), tw = backend.upload(w.data, w.shape);
      using tb = backend.upload(bias.data, bias.shape);
      const options = { padding: 1, groups, activation: "relu" } as const;
      using raw = conv2d(tx, tw, tb, options);
      const prepared = prepareConv(tw, { groups });
      for (let i = 0; i < 2; i++) {
        using y = conv2d(tx, prepared, tb, options);
        assertEquals(bits(await y.read()), bits(await raw.read()));
      }
      prepared.packed.dispose();
    }
    assertEquals(backend.bytesInUse, 0);
  },
);

testOnEveryBackend("prepareConv() accepts the weights of conv1d()", async (backend) => {
  const draw = new Draw(8);
  using x = upload(backend, draw.floats([2, 4, 9]));
  using w = upload(backend, draw.floats([6, 2, 3]));
  using raw = conv1d(x, w, null, { groups: 2 });
  const prepared = prepareConv(w, { groups: 2 });
  using y = conv1d(x, prepared, null, { groups: 2 });
  assertEquals(bits(await y.read()), bits(await raw.read()));
  prepared.packed.dispose();
});

testOnEveryBackend(
  "conv2d() without `out` returns a new tensor with the same bits",
  async (backend) => {
    const draw = new Draw(7);
    const x = draw.floats([1, 3, 6, 6]), w = draw.floats([5, 3, 3, 3]);
    const into = await compute(
      backend,
      [x, w],
      [1, 5, 4, 4],
      (out, x, w) => conv2d(x, w, null, { out }),
    );
    using tx = backend.upload(x.data, x.shape), tw = backend.upload(w.data, w.shape);
    using y = conv2d(tx, tw, null);
    assertEquals(y.shape, [1, 5, 4, 4]);
    assertEquals(bits(await y.read()), bits(into));
  },
);

testOnEveryBackend("conv1d() agrees with the reference on 100 random shapes", async (backend) => {
  const draw = new Draw(21);
  for (let i = 0; i < 100; i++) {
    const groups = draw.pick([1, 1, 2, 3]);
    const groupC = draw.integer(1, 5), kernel = draw.integer(1, 6), dilation = draw.integer(1, 3);
    const padding = [draw.integer(0, 3), draw.integer(0, 3)] as const;
    const least = Math.max(1, dilation * (kernel - 1) + 1 - padding[0] - padding[1]);
    const x = draw.floats([draw.integer(1, 3), groups * groupC, least + draw.integer(0, 30)]);
    const w = draw.floats([groups * draw.integer(1, 8), groupC, kernel]);
    const bias = draw.pick([null, draw.floats([w.shape[0]])]);
    const relu = draw.pick([true, false]);
    const options = {
      stride: [draw.integer(1, 3)],
      padding,
      dilation: [dilation],
      groups,
    } as const;
    if (skipsShape(backend)) continue;
    const plain = reference.conv1d(x, w, bias, options);
    const expected = relu ? reference.relu(plain) : plain;
    const y = await compute(
      backend,
      [x, w, bias],
      expected.shape,
      (out, x, w, bias) =>
        conv1d(x, w, bias, { ...options, activation: relu ? "relu" : undefined, out }),
    );
    const name = `x [${x.shape}] w [${w.shape}] ${JSON.stringify(options)}`;
    assertAllClose(y, expected.data, { ...sumTolerance(groupC * kernel, x, w), name });
  }
});

testOnEveryBackend(
  "conv1d() is conv2d() of height 1, and the band matrix of the assignment",
  async (backend) => {
    // y = W x with W[i][j] = w[j − i + P]
    const x = [1, -2, 3, 5, -7], w = [2, -1, 4];
    const expected = x.map((_, i) => x.reduce((sum, v, j) => sum + (w[j - i + 1] ?? 0) * v, 0));
    const y = await compute(
      backend,
      [floats([1, 1, 5], x), floats([1, 1, 3], w)],
      [1, 1, 5],
      (out, x, w) => conv1d(x, w, null, { padding: "same", out }),
    );
    assertEquals(y, Float32Array.from(expected));
  },
);
