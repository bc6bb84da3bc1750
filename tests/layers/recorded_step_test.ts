import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import * as nn from "../../src/layers/mod.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testOnWasm } from "../backends.ts";
import { random } from "./differences.ts";

const shape = [1, 3, 8, 8];

/** Layers of all kinds whose calls are recorded. */
function network(): nn.GraphNode[] {
  const node = (name: string, layer: nn.Layer, ...inputs: string[]) => {
    return { name, layer, ...(inputs.length > 0 && { inputs }) };
  };
  return [
    node("first", new nn.Conv2d(3, 16, 3, { padding: 1 })),
    node("winograd", new nn.Conv2d(16, 16, 3, { padding: 1 })),
    node("bn1", new nn.BatchNorm2d(16)),
    node("relu", new nn.ReLU()),
    node("depthwise", new nn.Conv2d(16, 16, 3, { padding: 1, groups: 16 })),
    node("bn2", new nn.BatchNorm2d(16)),
    node("silu", new nn.SiLU()),
    node("direct", new nn.Conv2d(16, 16, 1)),
    node("bn3", new nn.BatchNorm2d(16)),
    node("add", new nn.Add(), "bn3", "relu"),
    node("max", new nn.MaxPool2d(2)),
    node("alone", new nn.BatchNorm2d(16)),
    node("tanh", new nn.Tanh()),
    node("average", new nn.AvgPool2d(3, { stride: 1, padding: 1 }), "max"),
    node("lrn", new nn.LocalResponseNorm(3)),
    node("cat", new nn.Concat(1), "tanh", "lrn"),
    node("shuffle", new nn.ChannelShuffle(2)),
    node("mean", new nn.AdaptiveAvgPool2d(1)),
    node("flatten", new nn.Flatten()),
    node("hidden", new nn.Linear(32, 12)),
    node("last", new nn.Linear(12, 4)),
  ];
}

/** A graph of layers that belong to another one. */
class Sharing extends nn.Graph {
  override dispose(): void {
    this.setNodes([]); // frees the memory of plans
  }
}

/** Computes with the same layers in a graph that has recorded nothing. */
async function computeAnew(net: nn.Graph, x: Tensor): Promise<Float32Array> {
  using graph = new Sharing(net.nodes);
  using y = graph.forward(x);
  return await y.read();
}

/** Checks passes of a network, and returns the result. */
async function checkPasses(net: nn.Graph, x: Tensor, passes: number): Promise<Float32Array> {
  const results: Float32Array[] = [];
  for (let i = 0; i < passes; i++) {
    using y = net.forward(x);
    results.push(await y.read());
  }
  const expected = await computeAnew(net, x); // last, because it prepares weights anew, too
  for (const result of results) assertEquals(result, expected);
  return expected;
}

testOnEveryBackend("recorded passes notice changes of each parameter", async (backend) => {
  using net = new nn.Graph(network()).init(backend, { seed: 3 });
  using x = backend.upload(random(shape, 1), shape);
  let last = await checkPasses(net, x, 4);
  for (const [name, parameter] of net.stateDict()) {
    const values = random(parameter.shape, name.length);
    parameter.write(name.endsWith("running_var") ? values.map((v) => 1.5 + v) : values);
    const changed = await checkPasses(net, x, 2);
    assert(changed.some((value, i) => value !== last[i]), name);
    last = changed;
  }
  net.init(backend, { seed: 4 }); // other memory
  const changed = await checkPasses(net, x, 3);
  assert(changed.some((value, i) => value !== last[i]));
});

testOnEveryBackend("recorded passes take other inputs and batch sizes", async (backend) => {
  using net = new nn.Graph(network()).init(backend, { seed: 3 });
  for (const [i, n] of [1, 1, 1, 3, 1, 3, 3, 2, 1, 1].entries()) {
    using x = backend.upload(random([n, 3, 8, 8], i), [n, 3, 8, 8]);
    await checkPasses(net, x, 1);
  }
});

testOnEveryBackend("recorded passes take other inputs in views and sums", async (backend) => {
  using net = new nn.Graph([
    { name: "view", layer: new nn.Reshape([4, 4, 4]) },
    { name: "conv1", layer: new nn.Conv2d(4, 4, 1) },
    { name: "add1", layer: new nn.Add(), inputs: ["conv1", "view"] },
    { name: "conv2", layer: new nn.Conv2d(4, 4, 1), inputs: ["input"] },
    { name: "add2", layer: new nn.Add(), inputs: ["conv2", "input"] },
    { name: "add3", layer: new nn.Add(), inputs: ["add2", "add1"] },
    { name: "relu", layer: new nn.ReLU() },
    { name: "conv3", layer: new nn.Conv2d(4, 4, 1) },
    { name: "add4", layer: new nn.Add(), inputs: ["conv3", "add1"] },
    { name: "conv4", layer: new nn.Conv2d(4, 4, 1) },
    { name: "flatten", layer: new nn.Flatten() },
    { name: "fc", layer: new nn.Linear(64, 64) },
  ]).init(backend, { seed: 3 });
  for (let i = 0; i < 5; i++) {
    using x = backend.upload(random([1, 4, 4, 4], i), [1, 4, 4, 4]);
    await checkPasses(net, x, 1);
    for (const names of [["relu"], ["add1", "conv1", "relu"], ["add1", "fc"]]) {
      using sharing = new Sharing(net.nodes);
      const [outputs, expected] = [net, sharing].map((graph) => graph.outputsOf(x, names));
      for (const [j, y] of outputs.entries()) {
        assertEquals(await y.read(), await expected[j].read());
      }
      for (const y of [...outputs, ...expected]) y.dispose();
    }
  }
});

testOnEveryBackend("recorded passes write to no tensor that they read", (backend) => {
  const last = new nn.Linear(4, 4), layers = [new nn.Linear(4, 4), last];
  using net = new nn.Sequential(layers).init(backend, { seed: 1 });
  using x = backend.upload(random([4, 4], 1), [4, 4]);
  for (let i = 0; i < 3; i++) net.forward(x).dispose();
  const message = "out is the memory of an input";
  assertThrows(
    () => net.forward(x, { out: last.parameters.weight.tensor }),
    ArgumentError,
    message,
  );
  assertThrows(() => net.forward(x, { out: x }), ArgumentError, message);
});

testOnEveryBackend("recorded passes notice other precisions and ranges", async (backend) => {
  using net = new nn.Graph(network()).init(backend, { seed: 3 });
  using x = backend.upload(random(shape, 1), shape);
  await checkPasses(net, x, 3);
  net.quantize();
  const free = await checkPasses(net, x, 3);
  const layer = net.children.get("winograd") as nn.Conv2d;
  layer.inputRange = [0, 0.125];
  const clamped = await checkPasses(net, x, 3);
  if (backend.device === "wasm") assert(clamped.some((value, i) => value !== free[i]));
  layer.inputRange = null;
  assertEquals(await checkPasses(net, x, 3), free);
  for (const parameter of net.stateDict().values()) { // weights in 8 bits are written in order
    parameter.write(random(parameter.shape, 7).map(Math.abs));
  }
  await checkPasses(net, x, 3);
});

testOnEveryBackend("recorded passes share layers whose weights are folded", async (backend) => {
  using net = new nn.Graph(network()).init(backend, { seed: 3 });
  using unfused = new Sharing(
    net.nodes.filter(({ name }) => name !== "bn3").map((node) => {
      return node.name === "add" ? { ...node, inputs: ["direct", "relu"] } : node;
    }),
  );
  using x = backend.upload(random(shape, 1), shape);
  const parameter = net.stateDict().get("bn3.running_var")!;
  parameter.write(random(parameter.shape, 5).map((v) => 4 + v));
  const [a, b] = [await computeAnew(net, x), await computeAnew(unfused, x)];
  for (const graph of [net, net, net, unfused, net, net, unfused, unfused, unfused, net]) {
    using y = graph.forward(x);
    assertAllClose(await y.read(), graph === net ? a : b, { abs: 1e-6 });
  }
});

/** A layer that counts its passes. */
class Counting extends nn.Conv2d {
  calls = 0;

  override forward(x: Tensor, options?: nn.ForwardOptions): Tensor {
    this.calls++;
    return super.forward(x, options);
  }
}

function counted(backend: Backend): { net: nn.Graph; counting: Counting; plain: nn.Conv2d } {
  const counting = new Counting(4, 4, 1), plain = new nn.Conv2d(4, 4, 1);
  const layers = [new nn.Conv2d(3, 4, 1), counting, plain, new nn.Conv2d(4, 4, 1)];
  return { net: new nn.Sequential(layers).init(backend, { seed: 1 }), counting, plain };
}

testOnEveryBackend("recorded passes run layers that override forward()", async (backend) => {
  const { net, counting, plain } = counted(backend);
  using _net = net;
  using x = backend.upload(random(shape, 1), shape);
  await checkPasses(net, x, 3);
  assertEquals(counting.calls, 4);
  let calls = 0;
  plain.forward = function (...args) {
    calls++;
    return Object.getPrototypeOf(nn.Conv2d.prototype).forward.apply(this, args);
  };
  await checkPasses(net, x, 3);
  assertEquals(calls, 4);
});

testOnWasm("passes after the second one call recorded kernels only", (backend) => {
  using net = new nn.Graph(network()).init(backend, { seed: 3 });
  using x = backend.upload(random(shape, 1), shape);
  const calls: string[] = [];
  const prototypes = new Set(net.nodes.map(({ layer }) => prototypeOf(layer, "forwardFrom")));
  const originals = [...prototypes].map((prototype) => [prototype, prototype.forwardFrom] as const);
  try {
    // on the prototypes, because layers with a method of their own are not fused
    for (const [prototype, forwardFrom] of originals) {
      prototype.forwardFrom = function (this: nn.Layer, ...args) {
        calls.push(this.type);
        return forwardFrom.apply(this, args);
      };
    }
    for (let i = 0; i < 3; i++) {
      calls.length = 0;
      net.forward(x).dispose();
      if (i === 0) assert(calls.includes("Conv2d"));
    }
  } finally {
    for (const [prototype, forwardFrom] of originals) prototype.forwardFrom = forwardFrom;
  }
  assertEquals(calls, []);
});

/** The prototype that defines a method. */
function prototypeOf(layer: nn.Layer, name: string): nn.Layer {
  let prototype = Object.getPrototypeOf(layer);
  while (!Object.hasOwn(prototype, name)) prototype = Object.getPrototypeOf(prototype);
  return prototype;
}

testOnEveryBackend("recorded passes need values and a backend", async (backend) => {
  const net = new nn.Graph(network()).init(backend, { seed: 3 });
  using x = backend.upload(random(shape, 1), shape);
  await checkPasses(net, x, 3);
  net.children.get("direct")!.dispose();
  assertThrows(() => net.forward(x), PembrokeError, "Conv2d: no values yet");
  net.init(backend, { seed: 3 });
  await checkPasses(net, x, 3);
  net.stateDict().get("hidden.weight")!.tensor!.dispose();
  assertThrows(() => net.forward(x), PembrokeError, "was already disposed");
  net.dispose();
  const { bytesInUse } = backend;
  assertThrows(() => net.forward(x), PembrokeError, "no values yet");
  assertThrows(() => net.outputsOf(x, ["add"]), PembrokeError, "no values yet");
  assertEquals(backend.bytesInUse, bytesInUse);
});
