import { assert, assertEquals, assertThrows } from "../assert.ts";
import {
  AvgPool2d,
  BatchNorm2d,
  Classifier,
  Conv2d,
  createBackend,
  Flatten,
  Graph,
  Linear,
  MaxPool2d,
  ReLU,
  Slice,
} from "../../mod.ts";
import { fold } from "../../bench/peers/folding.ts";
import type { Network } from "../../bench/peers/network.ts";
import { randomiseNorms } from "../../bench/peers/norms.ts";
import { operationsOf } from "../../bench/peers/operations.ts";

Deno.test("operationsOf() replaces ceilMode by padding, and negative positions", () => {
  using graph = new Graph([
    { name: "pool", layer: new MaxPool2d(3, { stride: 2, ceilMode: true }) },
    { name: "slice", layer: new Slice(1, -1) },
  ]);
  const [pool, slice] = operationsOf(graph, [1, 4, 8, 7]);
  assert(pool.op === "maxPool" && slice.op === "slice", "the operations");
  const { top, left, bottom, right, oh, ow } = pool.g;
  assertEquals([top, left, bottom, right], [0, 0, 1, 0]);
  assertEquals([oh, ow], [4, 3]);
  assertEquals([slice.start, slice.end, slice.shape], [3, 4, [1, 1, 4, 3]]);
});

Deno.test("operationsOf() throws for layers that it cannot describe", () => {
  using graph = new Graph([{ name: "pool", layer: new AvgPool2d(3, { padding: 1 }) }]);
  assertThrows(() => operationsOf(graph, [1, 1, 8, 8]), Error, "no operation for pool, AvgPool2d");
});

Deno.test("fold() scales the weights of a convolution, and keeps values with several users", () => {
  using graph = new Graph([
    { name: "conv", layer: new Conv2d(1, 2, 1, { bias: false }) },
    { name: "norm", layer: new BatchNorm2d(2, { eps: 0 }) },
    { name: "relu", layer: new ReLU() },
    { name: "conv2", layer: new Conv2d(2, 2, 1) },
    { name: "norm2", layer: new BatchNorm2d(2) },
    { name: "norm3", layer: new BatchNorm2d(2), inputs: ["conv2"] },
  ]);
  const values: Record<string, number[]> = {
    "conv.weight": [3, 5],
    "norm.weight": [2, 1],
    "norm.bias": [0, 1],
    "norm.running_mean": [1, 10],
    "norm.running_var": [4, 25],
  };
  const parameters = new Map([...graph.stateDict()].map(([name, { shape }]) => {
    const size = shape.reduce((a, b) => a * b);
    return [name, { shape, values: Float32Array.from(values[name] ?? Array(size).fill(1)) }];
  }));
  const network: Network = {
    name: "alexnet",
    image: [1, 4, 4],
    operations: operationsOf(graph, [1, 1, 4, 4]),
    parameters,
    forwardMacs: 0,
    trainingMacs: 0,
  };
  const folded = fold(network, ["relu"]);
  assertEquals(folded.map(({ output }) => output), ["relu", "conv2", "norm2", "norm3"]);
  const [{ weight, bias, activation }] = folded;
  assertEquals(activation, "relu");
  assertEquals(weight!.values, Float32Array.of(3, 1)); // times 2/√4 and 1/√25
  assertEquals(bias, Float32Array.of(-1, -1)); // 0 − 1·1 and 1 − 10/5
});

Deno.test("randomiseNorms() gives activations of about 1, whatever the weights", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Classifier(
    [new Conv2d(3, 4, 3), new BatchNorm2d(4), new Flatten(), new Linear(4 * 6 * 6, 2)],
    {
      preprocessing: { resize: 8, crop: 8, mean: [0, 0, 0], std: [1, 1, 1] },
      classes: [{ wnid: "", label: "a" }, { wnid: "", label: "b" }],
    },
  ).init(backend, { seed: 1 });
  const weight = model.stateDict().get("0.weight")!;
  weight.write((await weight.tensor!.read()).map((value) => 1000 * value));
  await randomiseNorms(model, 1);
  assert(!model.training, "the network must be in evaluation mode");
  using x = backend.upload(new Float32Array(3 * 8 * 8).map((_, i) => Math.sin(i * i)), [
    1,
    3,
    8,
    8,
  ]);
  const [y] = model.outputsOf(x, ["1"]);
  using _y = y;
  const values = await y.read();
  const square = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
  assert(square > 0.1 && square < 3, `the mean square is ${square}`);
  const variances = await model.stateDict().get("1.running_var")!.tensor!.read();
  assertEquals(new Set(variances).size, 4);
});
