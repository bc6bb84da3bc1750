import { type Backend, createBackend } from "../../src/backend/mod.ts";
import { type ComputeBackend, kernelsOf } from "../../src/backend/interface.ts";
import type { Kernels } from "../../src/backend/kernels.ts";
import * as nn from "../../src/layers/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { elements, type Shape, type Tensor } from "../../src/tensor.ts";
import { assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

const sample = [4, 6, 6];

function upload(backend: Backend, shape: Shape): Tensor {
  const values = new Float32Array(elements(shape));
  new RandomGenerator(1).uniform(values, -1, 1);
  return backend.upload(values, shape);
}

const conv = (inC: number, outC = 4) => new nn.Conv2d(inC, outC, 3, { padding: 1 });

/** Graphs, and the copies that one sample needs. */
const graphs: Record<string, { nodes: nn.GraphNode[]; copies: number }> = {
  "branches, of which one is used again, and a layer that overwrites": {
    nodes: [
      { name: "a", layer: conv(4) },
      { name: "b", layer: conv(4, 3), inputs: ["input"] },
      { name: "cat", layer: new nn.Concat(1), inputs: ["a", "b"] },
      { name: "sigmoid", layer: new nn.Sigmoid() },
      { name: "c", layer: conv(4, 7), inputs: ["a"] },
      { name: "add", layer: new nn.Add(), inputs: ["sigmoid", "c"] },
      { name: "last", layer: conv(7) },
    ],
    copies: 0,
  },
  "concatenations of concatenations": {
    nodes: [
      { name: "a", layer: conv(4) },
      { name: "b", layer: conv(4), inputs: ["a"] },
      { name: "cat1", layer: new nn.Concat(1), inputs: ["a", "b"] },
      { name: "relu", layer: new nn.ReLU() },
      { name: "c", layer: conv(8) },
      { name: "cat2", layer: new nn.Concat(1), inputs: ["c", "cat1"] },
      { name: "last", layer: conv(12) },
    ],
    copies: 0,
  },
  "concatenations that begin with another": {
    nodes: [
      { name: "a", layer: conv(4) },
      { name: "b", layer: conv(4), inputs: ["a"] },
      { name: "cat1", layer: new nn.Concat(-3), inputs: ["a", "b"] },
      { name: "c", layer: conv(8) },
      { name: "cat2", layer: new nn.Concat(1), inputs: ["a", "b", "c"] },
      { name: "d", layer: conv(12, 8) },
      { name: "e", layer: new nn.Add(), inputs: ["cat1", "d"] },
    ],
    copies: 0,
  },
  "parts that lie elsewhere: the input, one that comes twice, one of two concatenations": {
    nodes: [
      { name: "a", layer: conv(4) },
      { name: "b", layer: conv(4), inputs: ["a"] },
      { name: "cat1", layer: new nn.Concat(1), inputs: ["b", "a"] },
      { name: "cat2", layer: new nn.Concat(1), inputs: ["a", "input", "b", "b"] },
      { name: "c", layer: conv(16, 8) },
      { name: "add", layer: new nn.Add(), inputs: ["c", "cat1"] },
    ],
    copies: 4,
  },
  "slices of a value, of slices, of the input, and of a result": {
    nodes: [
      { name: "a", layer: conv(4) },
      { name: "low", layer: new nn.Slice(1, 0, 2), inputs: ["a"] },
      { name: "high", layer: new nn.Slice(1, -2), inputs: ["a"] },
      { name: "relu", layer: new nn.ReLU(), inputs: ["low"] },
      { name: "third", layer: new nn.Slice(1, 0, 1), inputs: ["high"] },
      { name: "fourth", layer: new nn.Slice(1, 3), inputs: ["input"] },
      { name: "flat", layer: new nn.Reshape([1, 36]), inputs: ["fourth"] },
      { name: "back", layer: new nn.Reshape([1, 6, 6]) },
      { name: "cat", layer: new nn.Concat(1), inputs: ["relu", "high", "third", "back"] },
      { name: "rows", layer: new nn.Slice(2, 1, 5) },
      { name: "skip", layer: new nn.Slice(1, 0, 6, { step: 2 }) },
      { name: "last", layer: conv(3) },
      { name: "result", layer: new nn.Slice(1, 1, 3) },
    ],
    copies: 6,
  },
};

for (const [name, { nodes }] of Object.entries(graphs)) {
  testOnEveryBackend(`Graph with ${name}`, async (backend) => {
    using net = new nn.Graph(nodes).init(backend, { seed: 3 });
    for (const n of [1, 2, 1]) {
      using x = upload(backend, [n, ...sample]);
      const before = await x.read(), values = layerByLayer(net, x);
      const expected = await Promise.all(values.map((value) => value.read()));
      values.forEach((value) => value.dispose());
      using y = net.forward(x);
      assertAllClose(await y.read(), expected.at(-1)!, { abs: 1e-5 });
      const names = net.leaves().map(([name]) => name);
      for (const wanted of [...names.map((name) => [name]), names]) {
        const outputs = net.outputsOf(x, wanted);
        for (const [i, name] of wanted.entries()) {
          const actual = await outputs[i].read();
          assertAllClose(actual, expected[names.indexOf(name)], { abs: 1e-5, name });
        }
        outputs.forEach((output) => output.dispose());
      }
      assertEquals(await x.read(), before);
    }
  });
}

/** Computes each node on its own. */
function layerByLayer(net: nn.Graph, x: Tensor): Tensor[] {
  const values: Tensor[] = [];
  for (const { layer, inputs } of net.expand().nodes) {
    values.push(layer.forwardFrom(inputs.map((i) => i < 0 ? x : values[i])));
  }
  return values;
}

Deno.test("Graph copies only what lies elsewhere, and more samples as before", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  let copies = 0;
  const { stridedCopy } = kernelsOf(backend);
  const kernels = (backend as ComputeBackend).kernels as {
    -readonly [K in keyof Kernels]: Kernels[K];
  };
  kernels.stridedCopy = (...args) => {
    copies++;
    stridedCopy(...args);
  };
  for (const [name, { nodes, copies: expected }] of Object.entries(graphs)) {
    using net = new nn.Graph(nodes).init(backend, { seed: 3 });
    const parts = nodes.reduce((sum, { layer, inputs }) => {
      return sum +
        (layer instanceof nn.Concat ? inputs!.length : Number(layer instanceof nn.Slice));
    }, 0);
    for (const [n, count] of [[1, expected], [2, parts]]) {
      using x = upload(backend, [n, ...sample]);
      copies = 0;
      using _y = net.forward(x);
      assertEquals(copies, count, `${name}, ${n} samples`);
    }
  }
});
