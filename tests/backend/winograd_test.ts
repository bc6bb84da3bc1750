import type { Backend } from "../../src/backend/mod.ts";
import { type Exports, instantiate } from "../../src/backend/wasm/binary.ts";
import { supportedBuilds } from "../../src/backend/wasm/one_thread.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import { ArgumentError } from "../../src/errors.ts";
import { Conv2d } from "../../src/layers/mod.ts";
import {
  conv2d,
  conv2dBackwardInput,
  conv2dBackwardWeight,
  type Conv2dOptions,
  prepareConv,
  type PreparedConv,
} from "../../src/ops/mod.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testOnWasm } from "../backends.ts";
import * as reference from "../reference.ts";
import type { Sides } from "../reference.ts";
import { compute, Draw, largest, skipsShape, sum, upload } from "./harness.ts";

interface Case {
  readonly x: readonly [number, number, number, number];
  readonly w: readonly [number, number, number, number];
  readonly bias?: boolean;
  readonly relu?: boolean;
  readonly padding?: Sides;
  readonly stride?: number;
  readonly groups?: number;
}

/**
 * The tolerance relative to the largest value that the sums can be expected to have. The factors of
 * the transforms (5 for inputs, 8 for outputs) cost digits that a direct sum keeps, more so for 5
 * taps.
 */
const tolerances = { 3: 3e-5, 4: 1e-4, 5: 1e-4 };

function tolerance(c: Case, values: reference.NumArray, terms: number): { abs: number } {
  const taps = Math.ceil(c.w[2] / (c.stride ?? 1)) as 3 | 4 | 5;
  return { abs: tolerances[taps] * Math.max(largest(values), Math.sqrt(terms)) };
}

/** Draws inputs for a case and compares y, dx and the updated dw with the reference. */
async function check(backend: Backend, c: Case, draw = new Draw(1)): Promise<void> {
  if (skipsShape(backend)) return;
  const { padding, groups = 1, relu = false, stride = 1 } = c;
  const x = draw.floats(c.x), w = draw.floats(c.w);
  const bias = c.bias === false ? null : draw.floats([c.w[0]]);
  const algorithm = "winograd", options = { padding, groups, stride, algorithm } as const;
  const strides = { padding, groups, stride: [stride, stride] } as const;
  const name = `x [${c.x}] w [${c.w}] padding ${padding} groups ${groups} stride ${stride}`;

  const plain = reference.conv2d(x, w, bias, strides);
  const expected = relu ? reference.relu(plain) : plain;
  const y = await compute(backend, [x, w, bias], expected.shape, (out, x, w, bias) => {
    const activation = relu ? "relu" : undefined;
    return conv2d(x, w, bias, { ...options, activation, out });
  });
  const [outC, groupC, k] = c.w;
  assertAllClose(y, expected.data, {
    ...tolerance(c, plain, groupC * k * k),
    name: `y of ${name}`,
  });

  const dy = draw.floats(plain.shape), gradients = reference.conv2dBackward(dy, x, w, strides);
  const dx = await compute(
    backend,
    [dy, w],
    c.x,
    (out, dy, w) => conv2dBackwardInput(dy, w, c.x, { ...options, out }),
  );
  const terms = outC / groups * k * k;
  assertAllClose(dx, gradients.dx.data, {
    ...tolerance(c, gradients.dx, terms),
    name: `dx of ${name}`,
  });

  const start = draw.floats(c.w);
  const dw = await compute(
    backend,
    [dy, x],
    c.w,
    (into, dy, x) => conv2dBackwardWeight(dy, x, c.w, { ...options, into }),
    start,
  );
  assertAllClose(dw, sum(gradients.dw, start), {
    ...tolerance(c, gradients.dw, plain.shape[0] * plain.shape[2] * plain.shape[3]),
    name: `dw of ${name}`,
  });
}

testOnWasm("winograd is correct around the edges of a tile", async (backend) => {
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

testOnWasm(
  "winograd is correct around the edges of a panel of channels",
  async (backend) => {
    for (const outC of [1, 3, 4, 5, 7, 8, 9, 12, 13, 17]) {
      for (const inC of [1, 2, 7, 9, 16]) {
        await check(backend, { x: [1, inC, 6, 7], w: [outC, inC, 3, 3], padding: [1, 1, 1, 1] });
        await check(backend, { x: [1, inC, 6, 7], w: [outC, inC, 5, 5], bias: false });
      }
    }
  },
);

testOnWasm(
  "winograd computes half a panel of tiles for pairs of panels of channels",
  async (backend) => {
    for (const outC of [5, 8, 28, 33, 96, 99]) { // three threads take 4 channels up to 95
      for (const ow of [4, 15, 16, 20, 33]) {
        await check(backend, { x: [1, 2, 4, ow], w: [outC, 2, 3, 3], padding: [1, 1, 1, 1] });
      }
    }
  },
);

testOnWasm("winograd is correct around the edges of twenty channels", async (backend) => {
  for (const outC of [19, 20, 21, 24, 39, 40, 41]) {
    for (const inC of [31, 32, 33, 34, 35]) { // the loop over the inputs has four steps
      await check(backend, { x: [1, inC, 6, 17], w: [outC, inC, 3, 3], padding: [1, 1, 1, 1] });
    }
  }
});

testOnWasm("gradients of many outputs are correct around the edges of twenty", async (backend) => {
  for (const outC of [79, 80, 81, 83, 239, 240, 241, 243]) { // from 80 outputs on for each thread
    for (const inC of [2, 9]) {
      await check(backend, { x: [2, inC, 5, 7], w: [outC, inC, 3, 3], padding: [1, 1, 1, 1] });
    }
  }
  await check(backend, { x: [1, 3, 9, 9], w: [245, 3, 5, 5] });
  await check(backend, { x: [1, 2, 12, 13], w: [241, 2, 7, 7], stride: 2 });
  await check(backend, { x: [2, 4, 6, 6], w: [486, 2, 3, 3], groups: 2 });
});

testOnWasm("gradients of many outputs are correct with many channels", async (backend) => {
  for (const inC of [145, 153, 157]) { // panels of eight, the last of which is not full
    await check(backend, { x: [1, inC, 8, 7], w: [81, inC, 3, 3] });
  }
  await check(backend, { x: [1, 21, 15, 16], w: [81, 21, 7, 7], stride: 2, padding: [3, 3, 3, 3] });
  for (const outC of [81, 241]) { // on one thread, or on three
    await check(backend, { x: [1, 450, 7, 8], w: [3 * outC, 150, 3, 3], groups: 3 });
  }
});

testOnWasm("winograd works with more tiles than fit into a box", async (backend) => {
  // 4 MB hold 36 matrices of 688 tiles of 2 channels and 40 outputs, or of 32 tiles of 900 channels;
  // 12 MB hold those of 7280 tiles for gradients, of 8 channels and 4 outputs in whole panels
  const padding: Sides = [1, 1, 1, 1];
  await check(backend, { x: [1, 2, 370, 381], w: [3, 2, 3, 3], padding });
  await check(backend, { x: [5, 2, 159, 180], w: [3, 2, 3, 3], padding });
  await check(backend, { x: [1, 1, 5, 36000], w: [2, 1, 3, 3] });
  await check(backend, { x: [1, 2, 285, 287], w: [3, 2, 5, 5], padding: [2, 2, 2, 2] });
  await check(backend, { x: [3, 900, 13, 13], w: [6, 900, 3, 3], padding });
});

/** Wraps kernels, so that Winograd's fail if they write behind their scratch memory. */
function guardScratch(kernels: Exports, memory: WebAssembly.Memory): Exports {
  const guarded: Exports = { ...kernels }, length = 4096;
  let size = 0;
  for (const name of ["winogradScratchSize", "winogradBackwardScratchSize"] as const) {
    guarded[name] = (g) => (size = kernels[name](g)) + length;
  }
  const scratchOf = { winograd: 4, winogradBackwardInput: 3, winogradBackwardWeight: 3 };
  for (const [name, index] of Object.entries(scratchOf) as [keyof typeof scratchOf, number][]) {
    guarded[name] = (...args: number[]) => {
      // scratch memory begins on a cache line, so kernels do not use the 64 bytes that align it
      const guard = new Uint8Array(memory.buffer, args[index] + size - 64, length).fill(77);
      (kernels[name] as (...args: number[]) => void)(...args);
      assert(guard.every((byte) => byte === 77), `${name} wrote behind its scratch memory`);
    };
  }
  return guarded;
}

Deno.test("winograd writes nothing behind its scratch memory", async () => {
  for (const build of supportedBuilds()) {
    const memory = new WebAssembly.Memory({ initial: 16 }),
      kernels = instantiate(build.module, memory);
    const base = Math.ceil(kernels.heapBase() / 64) * 64;
    const parts = { memory, base, kernels: guardScratch(kernels, memory) };
    using backend = new WasmBackend(build, parts);
    const padding: Sides = [1, 1, 1, 1];
    await check(backend, { x: [1, 3, 9, 9], w: [245, 3, 5, 5] });
    await check(backend, { x: [3, 4, 30, 41], w: [6, 2, 11, 11], stride: 4, groups: 2 });
    await check(backend, { x: [3, 6, 17, 19], w: [4, 3, 3, 3], padding, groups: 2 });
    // three ranges of 24 tiles, five in a row, the second of which has tiles in six rows
    await check(backend, { x: [1, 2700, 56, 20], w: [2, 2700, 3, 3], padding });
  }
});

testOnWasm("winograd works with strides that leave 3 to 5 taps", async (backend) => {
  for (
    const [k, stride] of [[5, 2], [6, 2], [7, 3], [9, 3], [11, 4], [7, 2], [8, 2], [9, 2], [10, 2]]
  ) {
    for (const more of [0, 1, stride, 4 * stride - 1, 4 * stride, 9 * stride + 1]) {
      await check(backend, {
        x: [2, 3, k + more, k + 17 - more % 5],
        w: [5, 3, k, k],
        stride,
        padding: [more % 3, 2, 1, more % 2],
      });
    }
  }
  await check(backend, { x: [3, 4, 30, 41], w: [6, 2, 11, 11], stride: 4, groups: 2, relu: true });
});

testOnWasm(
  "winograd works with batches, groups and padding on each side",
  async (backend) => {
    const paddings: Sides[] = [[0, 0, 0, 0], [1, 0, 2, 3], [4, 5, 0, 1], [0, 7, 6, 0]];
    for (const padding of paddings) {
      for (const k of [3, 5]) {
        await check(backend, { x: [3, 6, 7, 9], w: [4, 3, k, k], padding, groups: 2, relu: true });
        await check(backend, { x: [2, 4, 9, 6], w: [8, 1, k, k], padding, groups: 4 });
      }
    }
  },
);

testOnWasm("winograd is correct for random shapes", async (backend) => {
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

testOnEveryBackend("winograd propagates NaN to every affected output", async (backend) => {
  using x = backend.upload(Float32Array.from({ length: 81 }, (_, i) => i === 40 ? NaN : 1), [
    1,
    1,
    9,
    9,
  ]);
  using w = backend.upload(new Float32Array(9).fill(1), [1, 1, 3, 3]);
  using y = conv2d(x, w, null, { algorithm: "winograd" });
  const values = await y.read();
  for (const row of [2, 3, 4]) {
    for (const column of [2, 3, 4]) assert(Number.isNaN(values[row * 7 + column]));
  }
});

testOnWasm("winograd is refused where it does not apply", (backend) => {
  using w = backend.upload(new Float32Array(9), [1, 1, 3, 3]);
  using wide = backend.upload(new Float32Array(15), [1, 1, 3, 5]);
  using even = backend.upload(new Float32Array(16), [1, 1, 4, 4]);
  using x = backend.upload(new Float32Array(81), [1, 1, 9, 9]);
  const algorithm = "winograd";
  const refused = (weight: Tensor | PreparedConv, options: Conv2dOptions, says: string) =>
    assertThrows(() => conv2d(x, weight, null, { algorithm, ...options }), ArgumentError, says);
  refused(wide, {}, "3 to 5 taps");
  refused(even, {}, "4 only with a stride");
  refused(w, { stride: 2 }, "3 to 5 taps");
  refused(w, { stride: [1, 2] }, "3 to 5 taps");
  refused(w, { dilation: [1, 2] }, "dilation 1");
  using prepared = prepareConv(w);
  refused(prepared, {}, '"direct" with prepared weights');
  const dilated = { algorithm, dilation: 2 } as const;
  using dy = backend.upload(new Float32Array(25), [1, 1, 5, 5]);
  assertThrows(() => conv2dBackwardInput(dy, w, x.shape, dilated), ArgumentError, "dilation 1");
  assertThrows(() => conv2dBackwardWeight(dy, x, w.shape, dilated), ArgumentError, "dilation 1");
  // deno-lint-ignore no-explicit-any
  const unknown = { algorithm: "fft" as any };
  assertThrows(() => conv2d(x, w, null, unknown), ArgumentError, '"direct" or "winograd"');
});

testOnWasm(
  "Conv2d selects winograd where it is faster, and direct on request",
  async (backend) => {
    const draw = new Draw(9), shape = [2, 16, 10, 10] as const;
    const values = draw.floats(shape), gradient = draw.floats(shape);
    using x = upload(backend, values);
    using dy = upload(backend, gradient);
    const run = async (algorithm?: "direct") => {
      using conv = new Conv2d(16, 16, 3, { padding: 1, algorithm }).init(backend, { seed: 1 });
      using y = conv.forward(x);
      using trained = conv.train().forward(x);
      assertEquals(await trained.read(), await y.read());
      using dx = conv.backward(dy);
      return [await y.read(), await dx.read(), await conv.parameters.weight.grad!.read()];
    };
    const exact = await run("direct"), fast = await run();
    for (const [i, values] of fast.entries()) {
      const name = ["y", "dx", "dw"][i], top = largest({ shape: [], data: exact[i] });
      assertAllClose(values, exact[i], { abs: tolerances[3] * top, name });
      const same = values.every((v, j) => v === exact[i][j]);
      assertEquals(
        same,
        backend.device === "webgpu",
        `${name} on a GPU, which has one kernel for both`,
      );
    }
  },
);
