/** Parameters of layers: their names, reading their values, and buffers. */

import { PembrokeError } from "../../src/errors.ts";
import * as nn from "../../src/layers/mod.ts";
import { Parameter } from "../../src/layers/parameter.ts";
import { fromHalf } from "../../src/ops/quantize.ts";
import { toFloat32 } from "../../src/weights/dtype.ts";
import { assert, assertAllClose, assertEquals, assertRejects } from "../assert.ts";
import { testOnFewBackends, testWithThreads } from "../backends.ts";

testWithThreads(
  "read() of a parameter returns its values, and rejects without any",
  async (backend) => {
    using layer = new nn.Linear(2, 3);
    const { weight } = layer.parameters;
    const message = "read: the parameter has no values; call init() or load weights";
    const promise = weight.read(); // does not throw
    await assertRejects(() => promise, PembrokeError, message);
    layer.init(backend);
    weight.write(Float32Array.of(1, 2, 3, 4, 5, 6));
    assertEquals(await weight.read(), Float32Array.of(1, 2, 3, 4, 5, 6));
    const before = weight.read();
    weight.write(Float32Array.of(6, 5, 4, 3, 2, 1)); // does not change what was read
    assertEquals(await before, Float32Array.of(1, 2, 3, 4, 5, 6));
    layer.dispose();
    await assertRejects(() => weight.read(), PembrokeError, message);
  },
);

testOnFewBackends("read() converts weights in fewer bits", async (backend) => {
  const values = Float32Array.from({ length: 32 }, (_, i) => (i % 8 - 3) / (i < 16 ? 4 : 512));
  for (const precision of ["f32", "f16", "int8"] as const) {
    const layers = [new nn.Linear(16, 2, { precision }), new nn.Conv2d(16, 2, 1, { precision })];
    for (const layer of layers) {
      using _ = layer.init(backend);
      const { weight } = layer.parameters;
      weight.write(values);
      const read = await weight.read();
      if (precision !== "int8") assertEquals(read, values, precision); // exact in float16
      else assertAllClose(read, values, { rel: 0, abs: 4 / 4 / 127 / 2, name: layer.type });
      assertEquals(read.length, values.length);
      // a second read, after the first one, sees the same
      assertEquals(await weight.read(), read);
    }
  }
});

testWithThreads("read() of weights in 8 bits takes about as long as a loop", async (backend) => {
  using layer = new nn.Linear(2048, 2048, { precision: "int8" }).init(backend);
  const values = new Float32Array(2048 * 2048);
  let read = Infinity, loop = Infinity;
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    await layer.parameters.weight.read();
    const between = performance.now();
    for (let i = 0; i < values.length; i++) values[i] = i * 0.5;
    read = Math.min(read, between - start);
    loop = Math.min(loop, performance.now() - between);
  }
  assert(read < 30 * loop, `${read} to ${loop} ms`); // Float32Array.from() takes 100 times as long
});

Deno.test("fromHalf() converts all numbers of float16", () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const expected = toFloat32("F16", bits.buffer, bits.length, new Float32Array(bits.length));
  assertEquals(Float32Array.from(bits, fromHalf), expected);
});

testWithThreads("the parameters of a layer have the names that it declares", (backend) => {
  using layer = new nn.Linear(2, 3, { bias: false }).init(backend);
  using norm = new nn.BatchNorm2d(3, { affine: false });
  // @ts-expect-error: "wieght" is misspelt
  assertEquals(layer.parameters.wieght, undefined);
  // @ts-expect-error: a layer may have no bias
  const read = () => layer.parameters.bias.read();
  assert(typeof read === "function");
  assertEquals(layer.parameters.bias, undefined);
  // @ts-expect-error: "running_mean" is PyTorch's name
  assertEquals(norm.parameters.runningMean, undefined);
  assertEquals(norm.parameters.running_mean.shape, [3]);
  const other: nn.Layer = layer;
  // @ts-expect-error: any layer may lack any parameter
  assertEquals(other.parameters.weight.shape, [3, 2]);
});

testWithThreads("a parameter that is undefined is none", (backend) => {
  class Optional extends nn.Linear {
    override readonly parameters = {
      weight: new Parameter([1, 2], (values) => values.fill(2)),
      bias: undefined,
    };
  }
  using layer = new Optional(2, 1).init(backend);
  assertEquals([...layer.stateDict().keys()], ["weight"]);
  assertEquals(nn.parameterCount(layer), 2);
  layer.freeze().unfreeze();
  assertEquals(layer.parameters.weight.requiresGrad, true);
});

testWithThreads("a buffer is never trained, a frozen parameter can be again", (backend) => {
  const fill = (values: Float32Array) => values.fill(1);
  class Shifted extends nn.Identity {
    override readonly parameters = {
      mean: new Parameter([2], fill, { isBuffer: true }),
      shift: new Parameter([2], fill),
    };
  }
  using layer = new Shifted().init(backend);
  const { mean, shift } = layer.parameters;
  const trained = () => [mean, shift].map(({ requiresGrad }) => requiresGrad);
  assertEquals([mean.isBuffer, shift.isBuffer], [true, false]);
  assertEquals(trained(), [false, true]);
  layer.freeze();
  assertEquals(trained(), [false, false]);
  layer.unfreeze();
  assertEquals(trained(), [false, true]);
});
