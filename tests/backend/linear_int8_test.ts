import { partOf } from "../../src/backend/interface.ts";
import type { Backend } from "../../src/backend/mod.ts";
import { supportedBuilds } from "../../src/backend/wasm/one_thread.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { linear, quantizeLinear } from "../../src/ops/mod.ts";
import type { Shape, Tensor } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import * as reference from "../reference.ts";
import { bits, Draw, type Floats, floats, guarded, skipsShape, upload } from "./harness.ts";

/** Computes with quantised weights between guards. Also returns the dequantised weights. */
async function run(backend: Backend, x: Floats, w: Floats, bias: Floats | null, relu = false) {
  const before = backend.bytesInUse;
  try {
    using weights = upload(backend, w);
    using quantized = quantizeLinear(weights);
    using input = upload(backend, x);
    using added = bias && upload(backend, bias);
    using out = guarded(backend, [...x.shape.slice(0, -1), w.shape[0]]);
    const options = { activation: relu ? "relu" : undefined, out: out.tensor } as const;
    assert(linear(input, quantized, added, options) === out.tensor);
    assertEquals(bits(await input.read()), bits(x.data), "an input changed");
    const [integers, scale] = [await quantized.read(), await quantized.scale.read()];
    const data = Float64Array.from(integers, (q, i) => q * scale[Math.floor(i / w.shape[1])]);
    return { y: await out.read(), rounded: { shape: w.shape, data }, integers, scale };
  } finally {
    assertEquals(backend.bytesInUse, before, "bytes in use afterwards");
  }
}

/**
 * Compares with the reference on the rounded weights. The remaining error is half a step of each
 * activation, and the rounding of a few sums in float32.
 */
async function compare(backend: Backend, x: Floats, w: Floats, bias: Floats | null, relu: boolean) {
  const { y, rounded } = await run(backend, x, w, bias, relu);
  const plain = reference.linear(x, rounded, bias);
  const expected = relu ? reference.relu(plain) : plain;
  const [outF, inF] = w.shape;
  for (let at = 0; at < y.length; at++) {
    const s = Math.floor(at / outF), o = at % outF;
    const row = rounded.data.subarray(o * inF, (o + 1) * inF);
    const sample = x.data.subarray(s * inF, (s + 1) * inF);
    const step = sample.reduce((top, v) => Math.max(top, Math.abs(v)), 0) / 32767;
    const size = row.reduce((sum, v) => sum + Math.abs(v), 0);
    const abs = size * step * (0.501 + 32767 * 2 ** -22) + 1e-30;
    const name = `x [${x.shape}] w [${w.shape}] at ${at}`;
    assertAllClose([y[at]], [expected.data[at]], { abs, rel: 2 ** -22, name });
  }
}

async function check(backend: Backend, draw: Draw, lead: Shape, inF: number, outF: number) {
  const x = draw.floats([...lead, inF]), w = draw.floats([outF, inF]);
  await compare(backend, x, w, draw.pick([null, draw.floats([outF])]), draw.pick([true, false]));
}

testOnEveryBackend("quantizeLinear() rounds each row by its own scale", async (backend) => {
  // quotients in WGSL have an error of up to 2.5 units in the last place
  const draw = new Draw(1), quotient = backend.device === "webgpu" ? 2.5 * 2 ** -23 : 0;
  for (const inF of [1, 3, 7, 8, 9, 15, 16, 17, 33, 100]) {
    for (const outF of [1, 7, 8, 9, 17]) {
      const w = draw.floats([outF, inF], -3, 2);
      const { integers, scale } = await run(backend, draw.floats([1, inF]), w, null);
      for (let o = 0; o < outF; o++) {
        const row = w.data.subarray(o * inF, (o + 1) * inF);
        const top = row.reduce((top, v) => Math.max(top, Math.abs(v)), 0);
        assertAllClose([scale[o]], [Math.fround(top / 127)], { rel: quotient });
        const q = integers.subarray(o * inF, (o + 1) * inF);
        assertEquals(q.reduce((top, v) => Math.max(top, Math.abs(v)), 0), 127);
        const back = Float64Array.from(q, (v) => v * scale[o]);
        assertAllClose(back, row, { abs: scale[o] * (0.50001 + 127 * quotient) });
      }
    }
  }
});

testOnEveryBackend(
  "linear() in 8 bits is correct around the edges of its panels",
  async (backend) => {
    const draw = new Draw(2);
    for (const inF of [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 100]) {
      for (const outF of [1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17]) {
        const n = draw.integer(1, 5);
        if (!skipsShape(backend)) await check(backend, draw, [n], inF, outF);
      }
    }
    for (const lead of [[], [2, 3], [2, 1, 2]]) await check(backend, draw, lead, 10, 6);
  },
);

testOnEveryBackend(
  "linear() in 8 bits is correct around the sizes of its sums and items",
  async (backend) => {
    const draw = new Draw(3);
    for (const inF of [2047, 2048, 2049, 2064, 4096, 4099]) {
      for (const n of [1, 2, 3]) await check(backend, draw, [n], inF, 11);
    }
    for (const outF of [63, 64, 65, 127, 128, 129]) await check(backend, draw, [2], 21, outF);
    for (let n = 1; n <= 9; n++) await check(backend, draw, [n], 37, 19);
  },
);

Deno.test("linear() in 8 bits gives the same bits for a sample and a batch, in every build", async () => {
  const draw = new Draw(4), n = 5, inF = 4500, outF = 21;
  const x = draw.floats([n, inF]), w = draw.floats([outF, inF]), bias = draw.floats([outF]);
  const results: Int32Array[] = [];
  for (const build of supportedBuilds()) {
    using backend = new WasmBackend(build);
    results.push(bits((await run(backend, x, w, bias)).y));
    const alone = new Float32Array(n * outF);
    for (let s = 0; s < n; s++) {
      const sample = { shape: [1, inF], data: x.data.slice(s * inF, (s + 1) * inF) };
      alone.set((await run(backend, sample, w, bias)).y, s * outF);
    }
    results.push(bits(alone));
  }
  assert(results.length >= 4);
  for (const result of results) assertEquals(result, results[0]);
});

testOnEveryBackend("linear() in 8 bits can hold the largest possible sums", async (backend) => {
  for (const inF of [2048, 4096, 9216]) {
    const x = floats([3, inF], new Float32Array(3 * inF).fill(1).fill(-1, inF, 2 * inF));
    const w = floats([9, inF], new Float32Array(9 * inF).fill(0.5).fill(-0.5, inF, 2 * inF));
    const { y } = await run(backend, x, w, null);
    const expected = reference.linear(x, w, null);
    assertAllClose(y, expected.data, { rel: 1e-6 });
  }
});

testOnEveryBackend(
  "linear() in 8 bits gives NaN for samples and rows that are not finite, and only there",
  async (backend) => {
    const draw = new Draw(5);
    for (const relu of [false, true]) {
      for (const bad of [NaN, Infinity, -Infinity]) {
        for (const at of [0, 5, 16]) {
          const x = draw.floats([3, 17], 0.5, 1), w = draw.floats([11, 17], 0.5, 1);
          x.data[17 + at] = bad;
          const { y } = await run(backend, x, w, draw.floats([11]), relu);
          for (let i = 0; i < y.length; i++) {
            assertEquals(Number.isNaN(y[i]), i >= 11 && i < 22, `${bad} in x at ${at}: y[${i}]`);
          }
          x.data[17 + at] = 1;
          w.data[9 * 17 + at] = bad;
          const { y: rows, scale } = await run(backend, x, w, null, relu);
          assert(Number.isNaN(scale[9]));
          for (let i = 0; i < rows.length; i++) {
            assertEquals(Number.isNaN(rows[i]), i % 11 === 9, `${bad} in w at ${at}: y[${i}]`);
          }
        }
      }
    }
  },
);

testOnEveryBackend("linear() in 8 bits works with zeros, tiny and huge values", async (backend) => {
  const draw = new Draw(6), bias = draw.floats([10]);
  const zeros = { shape: [3, 20], data: new Float32Array(60) };
  const w = draw.floats([10, 20]);
  const same = (y: Float32Array) => {
    for (let s = 0; s < 3; s++) assertEquals(bits(y.slice(s * 10, s * 10 + 10)), bits(bias.data));
  };
  same((await run(backend, zeros, w, bias)).y);
  const none = { shape: [10, 20], data: new Float32Array(200) };
  same((await run(backend, draw.floats([3, 20]), none, bias)).y);
  for (
    const [a, b] of [[1e-20, 1], [1e-42, 1], [1, 1e-42], [1e30, 1e-20], [3e38, 1e-3], [1, 1e28]]
  ) {
    const small = floats([3, 20], draw.floats([3, 20]).data.map((v) => v * a));
    const row = floats([10, 20], draw.floats([10, 20]).data.map((v) => v * b));
    await compare(backend, small, row, null, false);
  }
});

testOnEveryBackend("quantised weights take a quarter of the memory", (backend) => {
  using w = backend.empty([64, 512]);
  const float = backend.bytesInUse;
  using _quantized = quantizeLinear(w);
  assertEquals(backend.bytesInUse - float, float / 4 + 64 * 4);
});

testOnEveryBackend("quantised weights of the wrong shape are refused", async (backend) => {
  using w = backend.upload(new Draw(7).floats([6, 10]).data, [6, 10]);
  using x = backend.empty([2, 10]);
  using other = new WasmBackend();
  using foreign = other.upload(new Float32Array(60), [6, 10]);
  using there = quantizeLinear(foreign);
  using quantized = quantizeLinear(w);
  using flat = w.view([60]);
  using narrow = backend.empty([2, 9]);
  using wide = backend.empty([10]);
  // deno-lint-ignore no-explicit-any -- arguments of a caller without types
  const packed = quantized.packed as any as Tensor;
  const refused: [string, () => unknown][] = [
    [
      "quantizeLinear: the shape of weight is [60], must be [out, in], each at least 1",
      () => quantizeLinear(flat),
    ],
    [
      "quantizeLinear: weight is a tensor of Int8Array, must be a tensor of float32",
      () => quantizeLinear(packed),
    ],
    [
      "linear: the shape of x is [2, 9], must be […, 10] to match weight",
      () => linear(narrow, quantized, null),
    ],
    [
      "linear: the shape of bias is [10], must be [6]",
      () => linear(x, quantized, wide),
    ],
    [
      `linear: weight is on another backend, ${other.name}, must be on that of the other tensors`,
      () => linear(x, there, null),
    ],
    [
      "linear: out is the memory of an input, must be another tensor",
      () => linear(x, quantized, null, { out: partOf(x, 0, [2, 6]) }),
    ],
  ];
  for (const [message, call] of refused) {
    assertEquals(assertThrows(call, ArgumentError).message, message);
  }
  const gone = quantizeLinear(w);
  gone.dispose();
  assertThrows(() => linear(x, gone, null), PembrokeError, "already disposed");
  let failed: unknown;
  await gone.read().catch((error) => failed = error);
  assert(failed instanceof PembrokeError);
});
