/** Classes that override the forward pass of a layer: graphs run them as they are. */

import { type Backend, createBackend } from "../../src/backend/mod.ts";
import { ArgumentError } from "../../src/errors.ts";
import * as nn from "../../src/layers/mod.ts";
import { add, mul } from "../../src/ops/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import { elements, type Shape, type Tensor } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertRejects } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import { withOwnForward } from "./own_forward.ts";

type Options = nn.ForwardOptions;

/** Doubles a result in place. */
function doubled(y: Tensor): Tensor {
  using two = y.backend.upload(new Float32Array(y.size).fill(2), y.shape);
  return mul(y, two, { out: y });
}

const DoubleReLU = withOwnForward(nn.ReLU, doubled);
const DoubleSiLU = withOwnForward(nn.SiLU, doubled);
const DoubleDropout = withOwnForward(nn.Dropout, doubled);
const DoubleDepth = withOwnForward(nn.StochasticDepth, doubled);
const DoubleIdentity = withOwnForward(nn.Identity, doubled);
const DoubleFlatten = withOwnForward(nn.Flatten, doubled);
const DoubleNorm = withOwnForward(nn.BatchNorm2d, doubled);
const DoubleConv = withOwnForward(nn.Conv2d, doubled);
const DoubleLinear = withOwnForward(nn.Linear, doubled);
const DoubleAdd = withOwnForward(nn.Add, doubled);
const DoubleConcat = withOwnForward(nn.Concat, doubled);
const DoubleSlice = withOwnForward(nn.Slice, doubled);

/** Takes x after it has written the output. */
const needsInput = <T extends new (...args: never[]) => nn.Layer>(base: T): T =>
  withOwnForward(base, (y, x) => mul(y, x, { out: y }));

interface Case {
  readonly name: string;
  /** The layers after a first convolution of 4 channels. */
  readonly nodes: () => nn.GraphNode[];
}

const cases: readonly Case[] = [
  ...[DoubleReLU, DoubleSiLU, DoubleDropout, DoubleIdentity, DoubleFlatten].map((Class) => ({
    name: Class.name,
    nodes: () => [{ name: "own", layer: new Class() }, { name: "after", layer: new nn.Tanh() }],
  })),
  { name: "DoubleDepth", nodes: () => [{ name: "own", layer: new DoubleDepth(0.5) }] },
  { name: "last Identity", nodes: () => [{ name: "own", layer: new DoubleIdentity() }] },
  { name: "last Dropout", nodes: () => [{ name: "own", layer: new DoubleDropout() }] },
  {
    name: "BatchNorm2d",
    nodes:
      () => [{ name: "own", layer: new DoubleNorm(4) }, { name: "relu", layer: new nn.ReLU() }],
  },
  {
    name: "Conv2d before a normalisation and an activation",
    nodes: () => [
      { name: "own", layer: new DoubleConv(4, 4, 1) },
      { name: "bn", layer: new nn.BatchNorm2d(4) },
      { name: "tanh", layer: new nn.Hardswish() },
    ],
  },
  {
    name: "Conv2d before a residual",
    nodes: () => [
      { name: "own", layer: new DoubleConv(4, 4, 1) },
      { name: "add", layer: new nn.Add(), inputs: ["own", "first"] },
      { name: "relu", layer: new nn.ReLU() },
    ],
  },
  {
    name: "Linear",
    nodes: () => [
      { name: "flatten", layer: new nn.Flatten() },
      { name: "own", layer: new DoubleLinear(64, 5) },
      { name: "silu", layer: new nn.SiLU() },
    ],
  },
  {
    name: "Add",
    nodes: () => [
      { name: "conv", layer: new nn.Conv2d(4, 4, 1) },
      { name: "own", layer: new DoubleAdd(), inputs: ["conv", "first"] },
    ],
  },
  {
    name: "Concat and Slice",
    nodes: () => [
      { name: "conv", layer: new nn.Conv2d(4, 4, 1) },
      { name: "own", layer: new DoubleConcat(1), inputs: ["first", "conv"] },
      { name: "slice", layer: new DoubleSlice(1, 2, 5) },
      { name: "after", layer: new nn.Tanh() },
    ],
  },
  ...[
    () => new (needsInput(nn.Sigmoid))(),
    () => new (needsInput(nn.Softmax))(1),
    () => new (needsInput(nn.PReLU))(),
    () => new (needsInput(nn.GroupNorm))(2, 4),
    () => new (needsInput(nn.BatchNorm2d))(4),
  ].map((make, i) => ({
    name: `an input that is needed later, ${i}`,
    nodes: () => [{ name: "own", layer: make() }, { name: "after", layer: new nn.Tanh() }],
  })),
];

const shape: Shape = [1, 3, 4, 4];

function upload(backend: Backend): Tensor {
  const values = new Float32Array(elements(shape));
  new RandomGenerator(5).uniform(values, -1, 1);
  return backend.upload(values, shape);
}

/** Runs the layers one by one, each into memory of its own. */
async function runAlone(nodes: readonly Required<nn.GraphNode>[], x: Tensor) {
  const values = new Map([["input", x]]), made: Tensor[] = [];
  for (const { name, layer, inputs } of nodes) {
    const all = inputs.map((input) => values.get(input)!);
    using y = all.length > 1 ? layer.forwardFrom(all) : layer.forward(all[0]);
    const twice = all.length > 1 && name === "own" ? 2 : 1;
    const copy = (await y.read()).map((value) => value * twice);
    made.push(x.backend.upload(copy, y.shape));
    values.set(name, made.at(-1)!);
  }
  const result = await made.at(-1)!.read();
  for (const tensor of made) tensor.dispose();
  return result;
}

testOnEveryBackend("graphs run the forward passes that classes override", async (backend) => {
  using x = upload(backend);
  for (const { name, nodes } of cases) {
    const first = { name: "first", layer: new nn.Conv2d(3, 4, 1) };
    using graph = new nn.Graph([first, ...nodes()]).init(backend, { seed: 1 });
    const expected = await runAlone(graph.nodes, x);
    for (let pass = 0; pass < 3; pass++) { // later passes repeat what was recorded
      using y = graph.forward(x);
      assertAllClose(await y.read(), expected, { rel: 1e-5, abs: 1e-6, name });
    }
  }
});

testOnEveryBackend("graphs in training mode run them, too", async (backend) => {
  using x = upload(backend);
  for (const Class of [DoubleReLU, DoubleIdentity]) {
    const nodes = [new nn.Conv2d(3, 4, 1), new Class()];
    using graph = new nn.Sequential(nodes).init(backend, { seed: 1 }).train();
    using first = nodes[0].forward(x);
    const values = await first.read();
    const isReLU = Class === DoubleReLU;
    using y = graph.forward(x);
    assertAllClose(await y.read(), values.map((v) => 2 * (isReLU ? Math.max(v, 0) : v)));
    nodes[1].eval();
  }
});

testOnEveryBackend("a ReLU with a backward pass of its own is not fused", (backend) => {
  let calls = 0;
  class Guided extends nn.ReLU {
    override backward(dy: Tensor): Tensor {
      calls++;
      return super.backward(dy);
    }
  }
  using graph = new nn.Sequential([new nn.Conv2d(3, 4, 1), new Guided()]);
  using x = upload(backend);
  using y = graph.init(backend).train().forward(x);
  using _ = graph.backward(y);
  assertEquals(calls, 1);
});

Deno.test("folding refuses a class with a forward pass of its own", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using plain = new nn.Sequential([new nn.Conv2d(3, 4, 1)]);
  for (
    const [conv, norm] of [
      [new nn.Conv2d(3, 4, 1), new DoubleNorm(4)],
      [new DoubleConv(3, 4, 1), new nn.BatchNorm2d(4)],
    ]
  ) {
    using trained = new nn.Sequential([conv, norm]).init(backend);
    const own = conv instanceof DoubleConv ? DoubleConv.name : DoubleNorm.name;
    await assertRejects(
      () => nn.foldBatchNorm(trained, plain),
      ArgumentError,
      `foldBatchNorm: the class of, or before, 1 is ${own}, must be one of this library, ` +
        "without a forward() of its own",
    );
  }
});

Deno.test("a convolution with a forward pass of its own takes no range of inputs", () => {
  assert(new nn.Conv2d(32, 32, 3).takesRange);
  assert(!new DoubleConv(32, 32, 3).takesRange);
});

/** A graph that adds its input to its output. */
class Residual extends nn.Sequential {
  /** Its output, which the backward pass needs. */
  #y: Tensor | undefined;

  override forward(x: Tensor, options: Options = {}): Tensor {
    this.#y?.dispose();
    this.#y = super.forward(x);
    return add(x, this.#y, options);
  }

  override backward(dy: Tensor): Tensor {
    using dx = super.backward(dy);
    return add(dy, dx);
  }

  override forget(): void {
    this.#y?.dispose();
    super.forget();
  }

  override dispose(): void {
    super.dispose();
    this.forget();
  }
}

testOnEveryBackend(
  "a graph with a forward pass of its own is run inside another",
  async (backend) => {
    const convs = Array.from({ length: 4 }, () => new nn.Conv2d(3, 3, 1));
    using block = new Residual([convs[1], new nn.ReLU()]);
    using net = new nn.Sequential([convs[0], block, new nn.ReLU(), convs[2]]);
    using expected = new nn.Graph([
      { name: "0", layer: convs[0] },
      { name: "conv", layer: convs[1] },
      { name: "inner", layer: new nn.ReLU() },
      { name: "add", layer: new nn.Add(), inputs: ["inner", "0"] },
      { name: "2", layer: new nn.ReLU() },
      { name: "3", layer: convs[2] },
    ]);
    net.init(backend, { seed: 2 });
    using x = upload(backend);
    for (let pass = 0; pass < 3; pass++) {
      using y = net.forward(x), wanted = expected.forward(x);
      assertAllClose(await y.read(), await wanted.read(), { abs: 1e-6 });
    }
    assert(net.stateDict().has("1.0.weight"));

    // after frozen layers, it is trained as the others
    convs[0].freeze();
    const gradients: Float32Array[] = [];
    for (const graph of [net, expected]) {
      using y = graph.train().forward(x);
      graph.backwardParameters(y);
      gradients.push(await convs[1].parameters.weight.grad!.read());
      convs[1].zeroGrad();
      graph.eval();
    }
    assert(gradients[0].some((value) => value !== 0));
    assertAllClose(gradients[0], gradients[1], { abs: 1e-5 });
  },
);
