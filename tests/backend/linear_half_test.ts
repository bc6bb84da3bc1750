import { createBackend } from "../../src/backend/mod.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import { WebGpuBackend } from "../../src/backend/webgpu.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { Linear } from "../../src/layers/mod.ts";
import { AlexNet } from "../../src/models/mod.ts";
import { half, linear } from "../../src/ops/mod.ts";
import { fromFloat32, toFloat32 } from "../../src/weights/dtype.ts";
import { assert, assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import * as reference from "../reference.ts";
import { testWithAdapter } from "../webgpu.ts";
import { bits, Draw, type Floats, guarded, largest, sumTolerance, upload } from "./harness.ts";

/** The bits of float32 values in float16, as in files. */
function halves(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bytes = new ArrayBuffer(2 * values.length);
  fromFloat32("F16", values, new DataView(bytes));
  return new Uint16Array(bytes);
}

/** Rounds values to float16. */
function roundToHalf({ shape, data }: Floats): Floats {
  const { buffer } = halves(data);
  return { shape, data: toFloat32("F16", buffer, data.length, new Float32Array(data.length)) };
}

/** An adapter without `shader-f16`, where shaders read two values in a word. */
function withoutFeatures(adapter: GPUAdapter): GPUAdapter {
  return new Proxy(adapter, {
    get(target, key) {
      if (key === "features") return new Set();
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

testWithAdapter(
  "half() rounds to nearest even, and converts infinities, NaN and subnormals",
  async () => {
    using backend = await WebGpuBackend.create({ software: true });
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const exact = toFloat32("F16", all.buffer, all.length, new Float32Array(all.length));
    const values = new Float32Array(4 * all.length + 1);
    for (const [i, v] of exact.entries()) {
      // the value, halfway to the next one, and a little below and above that
      const tie = (v + exact[(i + 1) % exact.length]) / 2;
      values.set([v, tie, tie * (1 + 2 ** -20), tie * (1 - 2 ** -20)], 4 * i);
    }
    values[values.length - 1] = 65520; // an odd number of values
    using x = backend.upload(values, [values.length]);
    using y = half(x);
    const [got, expected] = [await y.read(), halves(values)];
    for (let i = 0; i < got.length; i++) {
      // WGSL allows float32 subnormals to become zeros
      const zero = Math.abs(values[i]) < 2 ** -126 ? expected[i] & 0x8000 : expected[i];
      const ok = got[i] === expected[i] || got[i] === zero ||
        Number.isNaN(values[i]) && (got[i] & 0x7fff) > 0x7c00;
      assert(ok, `${values[i]} is ${got[i].toString(16)}, not ${expected[i].toString(16)}`);
    }
  },
);

testWithAdapter("linear() works with float16 weights of all shapes", async () => {
  const draw = new Draw(1);
  for (
    const [without, maxBinding] of [[false, Infinity], [false, 32768], [true, Infinity]] as const
  ) {
    const realAdapter = (await navigator.gpu.requestAdapter())!;
    const adapter = without ? withoutFeatures(realAdapter) : realAdapter;
    using backend = await WebGpuBackend.create({ software: true, adapter, maxBinding });
    const shapes = maxBinding === Infinity
      ? [[1, 1], [3, 2], [5, 7], [9, 16], [65, 131]]
      : [[300, 64], [300, 63]];
    for (const [outF, inF] of shapes) {
      for (const n of [1, 4, 5, 17]) {
        const x = draw.floats([n, inF]), w = draw.floats([outF, inF]);
        const bias = n % 2 === 0 ? null : draw.floats([outF]), relu = n > 4;
        const plain = reference.linear(x, roundToHalf(w), bias);
        const expected = relu ? reference.relu(plain) : plain;
        using tx = upload(backend, x);
        using tw = upload(backend, w);
        using weight = half(tw);
        using tb = bias && upload(backend, bias);
        using out = guarded(backend, [n, outF]);
        linear(tx, weight, tb, { activation: relu ? "relu" : undefined, out: out.tensor });
        const [y, now] = await Promise.all([out.read(), weight.read()]);
        assertEquals(now, halves(w.data));
        const name = `x [${n}, ${inF}] w [${outF}, ${inF}]`;
        assertAllClose(y, expected.data, { ...sumTolerance(inF, x, w), name });
      }
    }
  }
});

testWithAdapter(
  "a layer rounds its weights while they are written, in chunks of any size",
  async () => {
    using backend = await WebGpuBackend.create({ software: true, maxBinding: 4096 });
    const draw = new Draw(2), w = draw.floats([21, 33]), x = draw.floats([2, 33]);
    for (const piece of [1, 7, 33, 100, 693]) {
      using layer = new Linear(33, 21, { precision: "f16", bias: false });
      const { weight } = layer.parameters;
      weight.allocate(backend);
      for (let at = 0; at < w.data.length; at += piece) {
        weight.write(w.data.subarray(at, at + piece), at);
      }
      using tx = upload(backend, x);
      using y = layer.forward(tx);
      const expected = reference.linear(x, roundToHalf(w), null);
      assertAllClose(await y.read(), expected.data, {
        ...sumTolerance(33, x, w),
        name: `${piece}`,
      });
      assertEquals(layer.backend, backend);
      assertThrows(() => weight.write(w.data.subarray(0, 4), 8), ArgumentError, "in order");
    }
    assertEquals(backend.bytesInUse, 0);
  },
);

testWithAdapter("AlexNet in float16 takes half the memory and gives similar results", async () => {
  using backend = await WebGpuBackend.create({ software: true });
  const narrow = { channels: [8, 12, 16, 16, 8], hiddenFeatures: 256 } as const;
  const image = new Draw(3).floats([1, 3, 224, 224], -2, 2);
  const logits: Float32Array[] = [], bytes: number[] = [];
  for (const precision of ["f32", "f16"] as const) {
    using model = new AlexNet({ ...narrow, precision }).init(backend, { seed: 0 });
    bytes.push(backend.bytesInUse);
    using x = upload(backend, image);
    using y = model.forward(x);
    logits.push(await y.read());
  }
  const weights = (8 * 36 + 256 + 1000) * 256;
  assertEquals(bytes[0] - bytes[1], 2 * weights);
  assertAllClose(logits[1], logits[0], { abs: 1e-3 * largest({ shape: [], data: logits[0] }) });
});

testWithAdapter(
  "float16 weights cannot be trained or rounded again, and NaN is found",
  async () => {
    using backend = await WebGpuBackend.create({ software: true });
    using layer = new Linear(4, 3, { precision: "f16" }).init(backend, { seed: 1 });
    assertThrows(
      () => layer.train(),
      PembrokeError,
      "its weights are f16, which cannot be trained",
    );
    assertThrows(() => layer.quantize(), PembrokeError, "the weights are f16 already");
    const narrow = { channels: [4, 4, 4, 4, 4], hiddenFeatures: 8 } as const;
    using model = new AlexNet({ ...narrow, precision: "f16" }).init(backend, { seed: 0 });
    const [, last] = [...model.stateDict()].findLast(([name]) => name.endsWith("weight"))!;
    last.write(new Float32Array(8000).fill(NaN));
    const photo = { width: 8, height: 8, data: new Uint8Array(192) };
    await assertRejects(() => model.classify(photo), PembrokeError, "classifier.6.weight");
  },
);

Deno.test("Wasm keeps float16 weights in 32 bits, and has no half()", async () => {
  using backend = new WasmBackend();
  const outputs: Float32Array[] = [];
  for (const precision of ["f32", "f16"] as const) {
    using layer = new Linear(7, 5, { precision }).init(backend, { seed: 1 });
    using x = upload(backend, new Draw(4).floats([2, 7]));
    using y = layer.forward(x);
    outputs.push(await y.read());
  }
  assertEquals(bits(outputs[0]), bits(outputs[1]));
  using other = await createBackend({ device: "wasm" });
  using x = other.upload([1], [1]);
  const error = assertThrows(() => half(x), PembrokeError);
  assert(/^half: wasm .* has no float16, only WebGPU has$/.test(error.message), error.message);
});
