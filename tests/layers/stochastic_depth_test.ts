import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { fuse } from "../../src/layers/fuse.ts";
import { Add, BatchNorm2d, Conv2d, Dropout, Graph, StochasticDepth } from "../../src/layers/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";
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

testOnEveryBackend("in evaluation mode, graphs skip layers that drop", async (backend) => {
  const depth = new StochasticDepth(0.5);
  using net = new Graph([
    { name: "dropout", layer: new Dropout() },
    { name: "conv1", layer: new Conv2d(2, 4, 1) },
    { name: "conv2", layer: new Conv2d(4, 4, 1) },
    { name: "norm", layer: new BatchNorm2d(4) },
    { name: "depth", layer: depth },
    { name: "add", layer: new Add(), inputs: ["depth", "conv1"] },
  ]).init(backend, { seed: 1 });
  const { nodes, output } = net.expand(), shape = [2, 2, 3, 3];
  const steps = fuse(nodes, net.shapes(shape), new Set([output]), false);
  assertEquals(steps.map(({ layer }) => layer.type), ["Dropout", "Conv2d", "Conv2d"]);
  using x = backend.upload(Float32Array.from({ length: 36 }, (_, i) => Math.sin(i)), shape);
  using y = net.forward(x);
  const [branch, sum] = net.outputsOf(x, ["depth", "add"]);
  assertAllClose(await y.read(), await sum.read(), { abs: 1e-6 });
  branch.dispose();
  sum.dispose();
});
