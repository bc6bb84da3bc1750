/** Products of pairs of matrices, and their gradients. */

import type { Backend } from "../../src/backend/mod.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import { WebGpuBackend } from "../../src/backend/webgpu.ts";
import { ArgumentError } from "../../src/errors.ts";
import { matmul, matmulBackward } from "../../src/ops/mod.ts";
import type { Shape } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testOnFewBackends } from "../backends.ts";
import * as reference from "../reference.ts";
import { testWithAdapter } from "../webgpu.ts";
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

const transposes: reference.Transposes[] = [
  {},
  { transposeB: true },
  { transposeA: true },
  { transposeA: true, transposeB: true },
];

/** The shapes of factors of [m, k] and [k, n]. */
function shapesOf(lead: Shape, [m, k, n]: Shape, o: reference.Transposes): [Shape, Shape] {
  return [
    [...lead, ...(o.transposeA ? [k, m] : [m, k])],
    [...lead, ...(o.transposeB ? [n, k] : [k, n])],
  ];
}

async function compare(backend: Backend, a: Floats, b: Floats, o: reference.Transposes) {
  const expected = reference.matmul(a, b, o), k = a.shape.at(o.transposeA ? -2 : -1)!;
  const y = await compute(
    backend,
    [a, b],
    expected.shape,
    (out, a, b) => matmul(a, b, { ...o, out }),
  );
  const name = `[${a.shape}] · [${b.shape}] ${JSON.stringify(o)}`;
  assertAllClose(y, expected.data, { ...sumTolerance(k, a, b), name });
}

function check(backend: Backend, draw: Draw, lead: Shape, sizes: Shape, o: reference.Transposes) {
  const [a, b] = shapesOf(lead, sizes, o).map((shape) => draw.floats(shape));
  return compare(backend, a, b, o);
}

/** Around the tiles of 4×8 and 5×8, and four of them. */
const edges = [1, 3, 4, 5, 7, 8, 9, 19, 20, 21, 33];

testOnEveryBackend("matmul() takes every size around its tiles", async (backend) => {
  const draw = new Draw(1);
  for (const m of edges) {
    for (const n of edges) {
      if (skipsShape(backend)) continue;
      const k = draw.pick(edges);
      for (const o of transposes) await check(backend, draw, [2], [m, k, n], o);
    }
  }
});

testOnEveryBackend("matmul() takes every depth, and any leading axes", async (backend) => {
  const draw = new Draw(2);
  for (const k of edges) {
    if (skipsShape(backend)) continue;
    for (const o of transposes) await check(backend, draw, [], [7, k, 9], o);
  }
  for (const lead of [[1], [3, 1], [2, 3], [1, 2, 1, 3]]) {
    await check(backend, draw, lead, [5, 4, 9], transposes[1]);
  }
});

testOnEveryBackend(
  "matmul() is correct around the size of its items and blocks",
  async (backend) => {
    const draw = new Draw(3);
    // items of 240 rows, blocks of 128 columns and of up to 768 in depth; a GPU takes long sums in parts
    const sizes = [
      ...[[239, 3, 5], [240, 2, 127], [241, 5, 129], [481, 1, 3]],
      ...[[3, 767, 5], [5, 769, 9], [6, 1537, 3], [2, 16500, 3]],
    ];
    for (const size of sizes) {
      for (const o of transposes) await check(backend, draw, [2], size, o);
    }
  },
);

testOnEveryBackend("matmul() takes few rows and many", async (backend) => {
  const draw = new Draw(9);
  // a single matrix whose rows are few is computed like a linear layer, or like its gradient
  for (const m of [1, 2, 19, 20, 63, 64]) {
    for (const lead of [[], [1]]) {
      for (const o of transposes) await check(backend, draw, lead, [m, 9, 14], o);
    }
  }
});

testOnEveryBackend("matmul() takes zeros, and keeps NaN in its row or column", async (backend) => {
  const draw = new Draw(4);
  for (const o of transposes) {
    const [a, b] = shapesOf([2], [5, 6, 9], o).map((shape) => draw.coarse(shape));
    await compare(backend, a, b, o);
  }
  const a = floats([2, 2, 2], [NaN, 1, 2, 3, 4, 5, 6, 7]);
  const b = floats([2, 2, 1], [1, 2, Infinity, 0]);
  const y = await compute(backend, [a, b], [2, 2, 1], (out, a, b) => matmul(a, b, { out }));
  assertEquals([...y], [NaN, 8, Infinity, Infinity]);
});

testOnEveryBackend("matmulBackward() is the gradient of both factors", async (backend) => {
  const draw = new Draw(5), sizes = [[1, 1, 1], [3, 5, 2], [8, 4, 20], [21, 33, 9]];
  for (const size of sizes) {
    for (const o of transposes) {
      const [a, b] = shapesOf([2], size, o).map((shape) => draw.floats(shape));
      const dy = draw.floats([2, size[0], size[2]]);
      const expected = reference.matmulBackward(dy, a, b, o);
      const tensors = [dy, a, b].map((x) => upload(backend, x));
      const { da, db } = matmulBackward(tensors[0], tensors[1], tensors[2], o);
      assertEquals([da.shape, db.shape], [a.shape, b.shape]);
      const results = await Promise.all([da.read(), db.read()]);
      for (const tensor of [...tensors, da, db]) tensor.dispose();
      const name = `${size} ${JSON.stringify(o)}`;
      const limits = [sumTolerance(size[2], dy, b), sumTolerance(size[0], dy, a)];
      for (const i of [0, 1]) {
        assertAllClose(results[i], expected[i].data, { ...limits[i], name: `${name} of ${i}` });
      }
    }
  }
});

testOnFewBackends(
  "matmul() takes the same tensor twice, but does not overwrite it",
  async (backend) => {
    const draw = new Draw(6), values = draw.floats([2, 4, 4]);
    using x = upload(backend, values);
    using y = matmul(x, x, { transposeB: true });
    const expected = reference.matmul(values, values, { transposeB: true });
    assertAllClose(await y.read(), expected.data, sumTolerance(4, values, values));
    assertThrows(() => matmul(x, y, { out: x }), ArgumentError, "the memory of an input");
    assertThrows(() => matmul(y, x, { out: x }), ArgumentError, "the memory of an input");
  },
);

testWithAdapter("matmul() takes batches that do not fit a binding of a GPU", async () => {
  using backend = await WebGpuBackend.create({ software: true, maxBinding: 4096 });
  const draw = new Draw(8); // matrices of 1024 bytes, four of which fit
  for (const o of transposes) await check(backend, draw, [3, 3], [16, 16, 16], o);
  // matrices of 440, 1200 and 1320 bytes, two at a time: bindings begin before the first one
  for (const o of transposes) await check(backend, draw, [7], [11, 10, 30], o);
});

Deno.test("any number of threads gives the same bits", async () => {
  const draw = new Draw(7), results: Int32Array[][] = [];
  // items are parts of the rows, or of the columns, or of both
  const sizes: [Shape, Shape][] = [[[3], [503, 70, 45]], [[1], [66, 9, 700]], [[2], [41, 9, 190]]];
  const factors = sizes.map(([lead, size]) => shapesOf(lead, size, {}).map((s) => draw.floats(s)));
  for (const threads of [1, 2, 5]) {
    using backend = threads === 1 ? new WasmBackend() : await WasmBackend.withThreads(threads);
    assert(backend?.threads === threads);
    const tensors = [];
    for (const pair of factors) {
      const [a, b] = pair.map((x) => upload(backend, x)), y = matmul(a, b);
      using dy = backend.upload(new Float32Array(y.size).fill(0.3), y.shape);
      const { da, db } = matmulBackward(dy, a, b);
      tensors.push(y, da, db);
    }
    results.push(await Promise.all(tensors.map(async (tensor) => bits(await tensor.read()))));
  }
  assertEquals(results[1], results[0]);
  assertEquals(results[2], results[0]);
});
