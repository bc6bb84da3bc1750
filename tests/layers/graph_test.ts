import { type Backend, createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import * as nn from "../../src/layers/mod.ts";
import { mul } from "../../src/ops/arithmetic.ts";
import type { Shape, Tensor } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testWithThreads } from "../backends.ts";
import { random } from "./differences.ts";

/** A residual block, a branch that ends early, a value used three times, and views. */
function network(): nn.GraphNode[] {
  return [
    { name: "conv1", layer: new nn.Conv2d(2, 4, 3, { padding: 1 }) },
    { name: "bn1", layer: new nn.BatchNorm2d(4) },
    { name: "relu1", layer: new nn.ReLU() },
    { name: "conv2", layer: new nn.Conv2d(4, 4, 3, { padding: 1 }) },
    { name: "bn2", layer: new nn.BatchNorm2d(4) },
    { name: "down", layer: new nn.Conv2d(4, 4, 1), inputs: ["relu1"] },
    { name: "add1", layer: new nn.Add(), inputs: ["bn2", "down"] },
    { name: "relu2", layer: new nn.ReLU() },
    { name: "unused", layer: new nn.MaxPool2d(2) },
    { name: "add2", layer: new nn.Add(), inputs: ["relu1", "relu2"] },
    { name: "add3", layer: new nn.Add(), inputs: ["add2", "add2"] },
    { name: "flatten", layer: new nn.Flatten() },
    { name: "inner", layer: new nn.Sequential([new nn.Linear(64, 5), new nn.ReLU()]) },
    { name: "fc", layer: new nn.Linear(64, 5), inputs: ["flatten"] },
    { name: "add4", layer: new nn.Add(), inputs: ["inner", "fc"] },
  ];
}

const shape = [2, 2, 4, 4];

/** Makes the statistics of batch normalisations differ from 0 and 1. */
function randomizeStatistics(net: nn.Layer): void {
  for (const [name, parameter] of net.stateDict()) {
    if (!name.includes("running_")) continue;
    const values = random(parameter.shape, name.length);
    parameter.write(values.map((v) => name.endsWith("var") ? 1 + v / 2 : v));
  }
}

/** Computes each node on its own. */
function layerByLayer(net: nn.Graph, x: Tensor): { values: Map<string, Tensor> } & Disposable {
  const { nodes } = net.expand(), values: Tensor[] = [];
  for (const { layer, inputs } of nodes) {
    values.push(layer.forwardFrom(inputs.map((i) => i < 0 ? x : values[i])));
  }
  return {
    values: new Map(nodes.map(({ name }, i) => [name, values[i]])),
    [Symbol.dispose]: () => values.forEach((tensor) => tensor.dispose()),
  };
}

testOnEveryBackend("Graph gives the results of its layers one by one", async (backend) => {
  using net = new nn.Graph(network()).init(backend, { seed: 3 });
  randomizeStatistics(net);
  assertEquals([...net.stateDict().keys()].slice(-4), [
    "inner.0.weight",
    "inner.0.bias",
    "fc.weight",
    "fc.bias",
  ]);
  for (const n of [2, 1, 2]) {
    const values = random([n, ...shape.slice(1)], n);
    using x = backend.upload(values, [n, ...shape.slice(1)]);
    using y = net.forward(x);
    using expected = layerByLayer(net, x);
    assertEquals(y.shape, net.outputShape(x.shape));
    assertAllClose(await y.read(), await expected.values.get("add4")!.read(), { abs: 1e-5 });
    assertEquals(await x.read(), values);
  }
});

testOnEveryBackend("outputsOf() gives the outputs of any nodes", async (backend) => {
  using net = new nn.Graph(network()).init(backend, { seed: 3 });
  randomizeStatistics(net);
  using x = backend.upload(random(shape, 1), shape);
  using expected = layerByLayer(net, x);
  const names = net.leaves().map(([name]) => name);
  for (const wanted of [["bn2"], ["conv1", "add4"], ["flatten", "add3", "unused"], names]) {
    const before = backend.bytesInUse;
    const outputs = net.outputsOf(x, wanted);
    for (const [i, name] of wanted.entries()) {
      const values = await expected.values.get(name)!.read();
      assertAllClose(await outputs[i].read(), values, { abs: 1e-5, name });
    }
    outputs.forEach((tensor) => tensor.dispose());
    const warm = backend.bytesInUse;
    net.outputsOf(x, wanted).forEach((tensor) => tensor.dispose());
    assertEquals(backend.bytesInUse, warm, `${before} bytes before`);
  }
});

/** C = Σ r·y of a forward pass in training mode, in float64. */
async function cost(net: nn.Layer, backend: Backend, x: Float32Array, r: Float32Array) {
  using input = backend.upload(x, shape);
  using y = net.forward(input);
  return (await y.read()).reduce((sum, v, i) => sum + v * r[i], 0);
}

testOnEveryBackend("Graph sums the gradients where paths meet", async (backend) => {
  using net = new nn.Graph(network()).init(backend, { seed: 3 }).train();
  const x = random(shape, 1), r = random(net.outputShape(shape), 2);
  using input = backend.upload(x, shape);
  using y = net.forward(input);
  using dy = backend.upload(r, y.shape);
  using dx = net.backward(dy);
  const gradients = new Map<string, Float32Array>([["input", await dx.read()]]);
  for (const name of ["conv1.weight", "bn2.weight", "down.bias", "inner.0.weight", "fc.bias"]) {
    gradients.set(name, await net.stateDict().get(name)!.grad!.read());
  }
  for (const [name, gradient] of gradients) {
    const parameter = net.stateDict().get(name);
    const at = parameter ? await parameter.tensor!.read() : x;
    const scale = Math.max(...gradient.map(Math.abs));
    for (let i = 0; i < at.length; i += Math.ceil(at.length / 3)) {
      const old = at[i], costs: number[] = [];
      for (const h of [4e-3, -4e-3]) {
        at[i] = old + h;
        parameter?.write(at);
        costs.push(await cost(net, backend, x, r));
      }
      at[i] = old;
      parameter?.write(at);
      const numeric = (costs[0] - costs[1]) / 8e-3;
      assertAllClose([gradient[i]], [numeric], { abs: 0.03 * scale, name: `${name}[${i}]` });
    }
  }
});

testOnEveryBackend("backward passes leave the gradient alone, and no memory", async (backend) => {
  using net = new nn.Graph(network()).init(backend, { seed: 3 }).train();
  using x = backend.upload(random(shape, 1), shape);
  const step = async (all: boolean) => {
    using y = net.forward(x);
    const values = random(y.shape, 2);
    using dy = backend.upload(values, y.shape);
    if (all) net.backward(dy).dispose();
    else net.backwardParameters(dy);
    assertEquals(await dy.read(), values);
  };
  await step(true);
  const warm = backend.bytesInUse;
  const grads = async () =>
    await Promise.all(
      [...net.stateDict().values()].flatMap(({ grad }) => grad ? [grad.read()] : []),
    );
  const first = await grads();
  net.zeroGrad();
  await step(false);
  assertEquals(backend.bytesInUse, warm);
  for (const [i, values] of (await grads()).entries()) {
    assertAllClose(values, first[i], { abs: 1e-6 });
  }
});

testOnEveryBackend("a graph may return its input, views of it, or no gradient of it", (backend) => {
  using x = backend.upload(random(shape, 1), shape);
  const empty = new nn.Graph([]);
  assertEquals(empty.outputShape(shape), shape);
  assertEquals(empty.forward(x).storage, x.storage);
  empty.train().forward(x).dispose(); // frees no memory of the caller's
  empty.forward(x);
  empty.backward(x).dispose();
  x.assertAlive("test");
  const views = new nn.Graph([{ name: "flatten", layer: new nn.Flatten() }]).train();
  assertEquals(views.forward(x).shape, [2, 32]);
  using dy = backend.upload(random([2, 32], 1), [2, 32]);
  assertEquals(views.backward(dy).shape, shape);
  dy.assertAlive("test");
  using middle = new nn.Graph(
    [{ name: "relu", layer: new nn.ReLU() }, { name: "pool", layer: new nn.MaxPool2d(2) }],
    { output: "relu" },
  );
  using y = middle.forward(x);
  assertEquals(y.shape, shape);
});

testOnEveryBackend("a graph that ends with a view writes to out in both modes", async (backend) => {
  using net = new nn.Sequential([new nn.Conv2d(2, 3, 1), new nn.ReLU(), new nn.Flatten()])
    .init(backend);
  using x = backend.upload(random(shape, 1), shape);
  using expected = net.forward(x);
  using out = backend.empty([2, 48]), wrong = backend.empty([2, 3, 4, 4]);
  const results: Float32Array[] = [];
  for (const mode of ["eval", "train"] as const) {
    net[mode]();
    backend.fill(out, 0);
    assertEquals(net.forward(x, { out }), out);
    results.push(await out.read());
    assertThrows(() => net.forward(x, { out: wrong }), ArgumentError, "the shape of out");
  }
  assertEquals(results, Array(2).fill(await expected.read()));
  net.forward(x, { out });
  using dx = net.backward(out);
  assertEquals(dx.shape, shape);
  const view = new nn.Sequential([new nn.Flatten()]).train();
  using flat = backend.empty([2, 32]);
  assertThrows(() => view.forward(x, { out: flat }), ArgumentError, "Sequential: out is ");
});

testOnEveryBackend("layers inside may be in another mode than the network", async (backend) => {
  const drop = new nn.Dropout(0.5), norm = new nn.BatchNorm2d(4), act = new nn.LeakyReLU();
  const conv = new nn.Conv2d(2, 4, 1), relu = new nn.ReLU();
  using net = new nn.Sequential([conv, norm, act, drop, relu]).init(backend, { seed: 1 });
  using x = backend.upload(random(shape, 1), shape);
  const run = async () => {
    using y = net.forward(x);
    return await y.read();
  };
  const plain = await run();
  const zeros = (values: Float32Array) => values.filter((value) => value === 0).length;
  for (let i = 0; i < 2; i++) { // with a plan that drops nothing, and the other way round
    drop.train();
    assert(zeros(await run()) > zeros(plain) + 10);
    drop.eval();
    assertEquals(await run(), plain);
  }
  act.train();
  assertEquals(await run(), plain);
  norm.train();
  await run();
  const mean = await norm.parameters.running_mean.tensor!.read();
  assert(mean.every((value) => value !== 0));
  norm.eval();
  assert((await run()).some((value, i) => value !== plain[i]));
});

testWithThreads("Graph names nodes with the same layer, which cannot be trained", (backend) => {
  const conv = () => new nn.Conv2d(2, 2, 3, { padding: 1 });
  const relu = new nn.ReLU(), pool = new nn.MaxPool2d(2);
  using x = backend.upload(random([1, 2, 8, 8], 1), [1, 2, 8, 8]);
  using net = new nn.Sequential([conv(), relu, pool, conv(), relu, pool]).init(backend);
  net.forward(x).dispose();
  using y = net.train().forward(x);
  const message =
    'Sequential: backward() needs a layer for each node, but "2" and "5" have the same';
  assertThrows(() => net.backward(y), PembrokeError, message);
  using fused = new nn.Sequential([conv(), relu, conv(), relu]).init(backend).train();
  using z = fused.forward(x);
  fused.backward(z).dispose(); // the convolutions compute the activation
});

testWithThreads(
  "a graph refuses a layer that ignores out, as its result would be lost",
  (backend) => {
    const results: Tensor[] = [];
    class Square extends nn.Layer {
      override readonly type = "Square";
      override outputShape(input: Shape): Shape {
        return input;
      }
      override forward(x: Tensor): Tensor {
        results.push(mul(x, x));
        return results.at(-1)!;
      }
      override backward(dy: Tensor): Tensor {
        return dy;
      }
    }
    using x = backend.upload([1, 2, 3], [3]);
    using out = backend.empty([3]);
    using net = new nn.Sequential([new nn.Identity(), new Square()]);
    const message = "Square: forward() must write its result to the option out";
    assertThrows(() => net.forward(x), PembrokeError, message);
    assertThrows(() => net.outputsOf(x, ["1"]), PembrokeError, message);
    net.train();
    assertThrows(() => net.forward(x, { out }), PembrokeError, message);
    assertEquals(net.forward(x), results.at(-1));
    for (const result of results) result.dispose();
  },
);

Deno.test("a graph refuses a layer that returns no tensor", async () => {
  class Broken extends nn.Layer {
    override readonly type = "Broken";
    constructor(readonly method: "forward" | "backward", readonly result: unknown) {
      super();
    }
    override outputShape(input: Shape): Shape {
      return input;
    }
    override forward(x: Tensor, { out }: nn.ForwardOptions = {}): Tensor {
      return this.method === "forward" ? this.result as Tensor : mul(x, x, { out });
    }
    override backward(): Tensor {
      return this.result as Tensor;
    }
  }
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using x = backend.upload([1, 2, 3], [1, 3]);
  const refuses = (layers: readonly nn.Layer[], message: string, pass: (net: nn.Layer) => void) => {
    using net = new nn.Sequential(layers).init(backend);
    assertThrows(() => pass(net), PembrokeError, message);
  };
  const before = backend.bytesInUse;
  for (const [result, found] of [[undefined, "undefined"], [Promise.resolve(), "a Promise"]]) {
    const forward = `Broken: forward() must return a Tensor, not ${found}`;
    const layers = () => [new nn.Linear(3, 3), new Broken("forward", result)];
    refuses(layers(), forward, (net) => net.forward(x));
    refuses(layers(), forward, (net) => net.train().forward(x));
    const backward = `Broken: backward() must return a Tensor, not ${found}`;
    const broken = () => new Broken("backward", result);
    const backwardPass = (net: nn.Layer) => {
      using y = net.train().forward(x);
      net.backward(y);
    };
    refuses([new nn.Linear(3, 3), broken()], backward, backwardPass);
    refuses([broken(), new nn.Linear(3, 3)], backward, backwardPass);
  }
  using broken = new Broken("backward", undefined);
  assertThrows(() => broken.backwardParameters(x), PembrokeError, "must return a Tensor");
  assertEquals(backend.bytesInUse, before);
});

Deno.test("Graph plans memory by liveness, in place where allowed", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const block = (i: number): nn.GraphNode[] => [
    { name: `conv${i}`, layer: new nn.Conv2d(4, 4, 3, { padding: 1, algorithm: "winograd" }) },
    { name: `relu${i}`, layer: new nn.ReLU() },
    { name: `add${i}`, layer: new nn.Add(), inputs: [`relu${i}`, i ? `add${i - 1}` : "input"] },
  ];
  using net = new nn.Graph(Array.from({ length: 6 }, (_, i) => block(i)).flat()).init(backend);
  using x = backend.upload(random([1, 4, 16, 16], 1), [1, 4, 16, 16]);
  const before = backend.bytesInUse;
  using _y = net.forward(x);
  const arena = (backend.bytesInUse - before) / (4 * x.size) - 1;
  assert(arena <= 3.01, `${arena} activations`);
});

Deno.test("Graph refuses nodes that do not fit together", () => {
  const relu = () => new nn.ReLU();
  const refused: [nn.GraphNode[], string][] = [
    [[{ name: "a", layer: relu(), inputs: ["b"] }, { name: "b", layer: relu() }], "before it"],
    [[{ name: "a", layer: relu() }, { name: "a", layer: relu() }], "no other node has"],
    [[{ name: "input", layer: relu() }], "no other node has"],
    [
      [{ name: "a", layer: new nn.Sequential([relu()]) }, { name: "a.0", layer: relu() }],
      'the name of a node is "a.0"',
    ],
    [[{ name: "a", layer: {} as nn.Layer }], "must be a Layer"],
  ];
  for (const [nodes, text] of refused) assertThrows(() => new nn.Graph(nodes), ArgumentError, text);
  const nodes = [{ name: "a", layer: relu() }];
  assertThrows(() => new nn.Graph(nodes, { output: "b" }), ArgumentError, "the name of a node");
  const two = new nn.Graph([{ name: "a", layer: relu(), inputs: ["input", "input"] }]);
  assertThrows(() => two.outputShape([1, 2]), ArgumentError, "the number of inputs");
  for (const inputs of [[], ["input", "a"]]) { // a graph inside would drop the second one
    const nested = { name: "b", layer: new nn.Sequential([relu()]), inputs };
    assertThrows(() => new nn.Graph([...nodes, nested]), ArgumentError, "the number of inputs");
  }
});

Deno.test("Graph names the layer that an input does not fit", () => {
  const tail = new nn.Sequential([new nn.Linear(4, 3), new nn.ReLU(), new nn.Linear(2, 1)]);
  const net = new nn.Graph([{ name: "flatten", layer: new nn.Flatten() }, {
    name: "tail",
    layer: tail,
  }]);
  const { message } = assertThrows(() => net.outputShape([1, 1, 2, 2]), ArgumentError);
  assertEquals(message, 'Linear: the shape of x is [1, 3], must be […, 2], in layer "tail.2"');
});

testOnEveryBackend("outputsOf() refuses training mode and unknown names", (backend) => {
  using net = new nn.Graph(network()).init(backend);
  using x = backend.upload(random(shape, 1), shape);
  assertThrows(() => net.outputsOf(x, ["conv9"]), ArgumentError, "conv9");
  const advice = 'is "inner", must be the name of a layer inside, such as "inner.1"';
  assertThrows(() => net.outputsOf(x, ["inner"]), ArgumentError, advice);
  net.train();
  assertThrows(() => net.outputsOf(x, ["conv1"]), PembrokeError, "call eval()");
});
