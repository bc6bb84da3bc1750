import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { StochasticDepth } from "../../src/layers/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { assert, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

testOnEveryBackend("StochasticDepth drops whole samples in training mode", async (backend) => {
  const layer = new StochasticDepth(0.25), samples = 400;
  using x = backend.upload(new Float32Array(samples * 6).fill(3), [samples, 2, 3, 1]);
  using same = layer.forward(x);
  assertEquals([layer.aliases, same.shape], [true, x.shape]);

  layer.train(new RandomGenerator(1));
  using y = layer.forward(x);
  const values = await y.read();
  const rows = Array.from({ length: samples }, (_, n) => values.subarray(n * 6, n * 6 + 6));
  assert(
    rows.every((row) => row.every((value) => value === row[0])),
    "a sample is dropped in part",
  );
  const kept = rows.filter(([value]) => value !== 0);
  assert(kept.every(([value]) => value === 4), "3 / (1 − 0.25)");
  assert(
    Math.abs(kept.length / samples - 0.75) < 0.06,
    `${kept.length} of ${samples} samples kept`,
  );

  using dy = backend.upload(new Float32Array(samples * 6).fill(3), x.shape);
  using dx = layer.backward(dy);
  assertEquals(await dx.read(), values);
  layer.forward(x).dispose();
  layer.eval();
  assertThrows(() => layer.backward(dy), PembrokeError, "needs a forward pass");
});

testOnEveryBackend(
  "StochasticDepth keeps all samples with p = 0, and none with p = 1",
  async (backend) => {
    using x = backend.upload([1, 2, 3], [3, 1]);
    const none = new StochasticDepth(1).train(), all = new StochasticDepth(0).train();
    using zeros = none.forward(x), same = all.forward(x);
    assertEquals([...await zeros.read()], [0, 0, 0]);
    assertEquals([...await same.read()], [1, 2, 3]);
    none.eval();
    assertThrows(() => new StochasticDepth(1.5), ArgumentError, "StochasticDepth: p is 1.5");
    assertThrows(() => none.outputShape([]), ArgumentError);
  },
);
