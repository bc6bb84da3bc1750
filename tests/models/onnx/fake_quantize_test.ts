/** Rounding activations to 8 bits. */

import { FakeQuantize } from "../../../src/models/onnx/constant_layers.ts";
import { assertEquals } from "../../assert.ts";
import { testOnEveryBackend } from "../../backends.ts";

/** The nearest integer, ties to even. */
function nearest(value: number): number {
  const down = Math.floor(value), rest = value - down;
  return rest > 0.5 || rest === 0.5 && down % 2 !== 0 ? down + 1 : down;
}

testOnEveryBackend("values are rounded to 256 multiples, ties to even", async (backend) => {
  for (const [scale, lowest] of [[0.25, -128], [2, 0], [0.5, -255], [1 / 64, -3]]) {
    // 16,384 is what a thread takes at a time.
    for (const length of [1, 3, 4, 7, 16383, 16389]) {
      const x = Float32Array.from(
        { length },
        (_, i) => scale * (i % 2 ? -1 : 1) * (i % 700) / 2 + (i % 3 - 1) * scale / 8,
      );
      if (length > 6) x.set([NaN, Infinity, -Infinity, -0], 3);
      using input = backend.upload(x, [1, length]);
      using y = new FakeQuantize(scale, lowest).forward(input);
      const expected = Array.from(x, (value) => {
        const integer = Number.isFinite(value) ? nearest(value / scale) : value;
        // + 0, because the sign of zero may be lost
        return Number.isNaN(value)
          ? NaN
          : scale * Math.min(Math.max(integer, lowest), lowest + 255) + 0;
      });
      assertEquals([...await y.read()].map((value) => value + 0), expected);
    }
  }
});

testOnEveryBackend("the gradient of rounding is that of clamping", async (backend) => {
  const layer = new FakeQuantize(0.5, -10).train();
  using x = backend.upload(Float32Array.of(-6, -5.2, -5, 0.1, 122.5, 122.7, 123, NaN), [1, 8]);
  using y = layer.forward(x);
  assertEquals((await y.read())[1], -5);
  using dy = backend.upload(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), [1, 8]);
  using dx = layer.backward(dy);
  assertEquals([...await dx.read()].slice(0, 7), [0, 2, 3, 4, 5, 6, 0]);
});
