import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import * as nn from "../../src/layers/mod.ts";
import { RandomGenerator } from "../../src/random.ts";
import type { Shape } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testWithThreads } from "../backends.ts";
import { random, testGradients } from "./differences.ts";

/** An attention of each row to all rows, and further products with transposed factors. */
function attention(): nn.Layer {
  return new nn.Graph([
    { name: "query", layer: new nn.Linear(6, 3), inputs: ["input"] },
    { name: "key", layer: new nn.Linear(6, 3), inputs: ["input"] },
    { name: "scores", layer: new nn.MatMul({ transposeB: true }), inputs: ["query", "key"] },
    { name: "weights", layer: new nn.Softmax() },
    { name: "rows", layer: new nn.MatMul(), inputs: ["weights", "input"] },
    { name: "back", layer: new nn.MatMul({ transposeA: true }), inputs: ["weights", "rows"] },
    {
      name: "turned",
      layer: new nn.MatMul({ transposeA: true, transposeB: true }),
      inputs: ["back", "weights"],
    },
  ]);
}

/** Layers whose functions are smooth, and input shapes. */
const layers: [() => nn.Layer, Shape][] = [
  [() => new nn.Conv1d(2, 3, 3, { stride: 2, padding: [1, 0] }), [2, 2, 9]],
  [() => new nn.Conv2d(4, 6, [3, 2], { groups: 2, dilation: [1, 2], padding: 1 }), [2, 4, 6, 6]],
  [() => new nn.Conv2d(2, 3, 3, { stride: 2, bias: false }), [1, 2, 7, 7]],
  [() => new nn.Linear(5, 3), [2, 4, 5]],
  [() => new nn.AvgPool1d(2), [2, 1, 7]],
  [() => new nn.AvgPool2d([2, 3], { countIncludePad: false, padding: 1 }), [1, 2, 6, 6]],
  [() => new nn.AdaptiveAvgPool1d(3), [1, 2, 7]],
  [() => new nn.AdaptiveAvgPool2d([2, 5]), [1, 2, 7, 4]],
  [() => new nn.PReLU(3), [2, 3, 2, 2]],
  [attention, [2, 4, 6]],
  [() => new nn.Softmax(), [3, 4]],
  [() => new nn.LogSoftmax(0), [3, 4]],
  [() => new nn.Dropout(0.4), [3, 7]],
  [() => new nn.StochasticDepth(0.4), [5, 2, 3]],
  [() => new nn.Flatten(), [3, 4, 2, 2]],
  [() => new nn.LocalResponseNorm(3, { alpha: 1, k: 2 }), [2, 7, 3, 3]],
  [() => new nn.BatchNorm1d(4), [5, 4]],
  [() => new nn.BatchNorm2d(3), [2, 3, 3, 3]],
  [
    () =>
      new nn.Sequential([
        new nn.Flatten(),
        new nn.Linear(12, 8),
        new nn.Softmax(),
        new nn.Dropout(0.2),
        new nn.Sequential([new nn.Linear(8, 6), new nn.BatchNorm1d(6)]),
        new nn.Flatten(),
      ]),
    [4, 3, 2, 2],
  ],
];

testGradients(layers);

testOnEveryBackend("gradients accumulate until they are zeroed", async (backend) => {
  using net = new nn.Sequential([
    new nn.Conv2d(1, 2, 2),
    new nn.ReLU(),
    new nn.Flatten(),
    new nn.Linear(8, 2),
  ])
    .init(backend).train();
  using x = backend.upload(random([2, 1, 3, 3], 1), [2, 1, 3, 3]);
  using dy = backend.upload(random([2, 2], 2), [2, 2]);
  const gradients = async () =>
    await Promise.all(net.stateDict().values().map(async ({ grad }) => [...await grad!.read()]));
  const once = async (backward: () => void) => {
    net.zeroGrad();
    net.forward(x).dispose();
    backward();
    return await gradients();
  };
  const first = await once(() => net.backward(dy).dispose());
  net.forward(x).dispose();
  net.backwardParameters(dy);
  const second = await gradients();
  for (const [i, values] of second.entries()) {
    assertAllClose(values, first[i].map((v) => 2 * v), { abs: 1e-6 });
  }
  assertEquals(await once(() => net.backwardParameters(dy)), first);
});

testOnEveryBackend(
  "a fused ReLU has the gradient of a separate one",
  async (backend) => {
    const values = random([3, 6], 4);
    using x = backend.upload(values, [3, 6]);
    using dy = backend.upload(random([3, 5], 5), [3, 5]);
    using fused = new nn.Sequential([new nn.Linear(6, 5), new nn.ReLU()]).init(backend).train();
    using y = fused.forward(x);
    using dx = fused.backward(dy);
    using linear = new nn.Linear(6, 5).init(backend).train();
    using relu = new nn.ReLU().train();
    using a = linear.forward(x);
    using b = relu.forward(a);
    assertEquals(await y.read(), await b.read());
    using da = relu.backward(dy);
    using expected = linear.backward(da);
    assertEquals(await dx.read(), await expected.read());
  },
);

testOnEveryBackend(
  "MaxPool1d adds up overlapping windows, and ties go to the first",
  async (backend) => {
    const pool = new nn.MaxPool1d(3, { stride: 1 }).train();
    using x = backend.upload([1, 5, 2, 5, 5], [1, 1, 5]);
    using y = pool.forward(x);
    assertEquals([...await y.read()], [5, 5, 5]);
    using dy = backend.upload([1, 10, 100], [1, 1, 3]);
    using dx = pool.backward(dy);
    assertEquals([...await dx.read()], [0, 11, 0, 100, 0]);
  },
);

testOnEveryBackend("eval() frees the memory that training mode saved", (backend) => {
  using net = new nn.Sequential([
    new nn.Conv2d(2, 3, 3),
    new nn.BatchNorm2d(3),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Dropout(),
    new nn.Flatten(),
  ]).init(backend);
  using x = backend.upload(random([2, 2, 6, 6], 3), [2, 2, 6, 6]);
  const trainOnce = () => {
    net.train();
    net.forward(x).dispose();
    const training = backend.bytesInUse;
    net.eval();
    return [training, backend.bytesInUse];
  };
  const [training, afterwards] = trainOnce(); // packed weights stay
  assert(training > afterwards);
  assertEquals(trainOnce(), [training, afterwards]);
  using dy = backend.empty([2, 12]);
  assertThrows(
    () => net.backward(dy),
    PembrokeError,
    "call train(), then forward(), before each backward()",
  );
});

testOnEveryBackend("BatchNorm1d updates its running statistics like PyTorch", async (backend) => {
  using norm = new nn.BatchNorm1d(1).init(backend).train();
  using x = backend.upload([1, 2, 3, 6], [4, 1]);
  norm.forward(x).dispose();
  const { running_mean, running_var } = norm.parameters;
  assertAllClose(await running_mean.tensor!.read(), [0.3], { abs: 1e-6 }); // 0.9·0 + 0.1·3
  assertAllClose(await running_var.tensor!.read(), [0.9 + 0.1 * 14 / 3], { abs: 1e-6 });
  norm.eval();
  using y = norm.forward(x);
  const expected = [1, 2, 3, 6].map((v) => (v - 0.3) / Math.sqrt(0.9 + 1.4 / 3 + 1e-5));
  assertAllClose(await y.read(), expected, { abs: 1e-5 });
});

testOnEveryBackend("backward() throws if its input was overwritten", (backend) => {
  using layer = new nn.Linear(1, 1).init(backend).train();
  using x = backend.upload([1], [1, 1]);
  using y = layer.forward(x);
  backend.write(x, new Float32Array([9]));
  assertThrows(() => layer.backward(y), PembrokeError, "overwritten after forward()");
});

testOnEveryBackend("normalisations do not overwrite what backward() needs", async (backend) => {
  const shape = [2, 4, 3, 3], values = random(shape, 1);
  for (const layer of [new nn.BatchNorm2d(4), new nn.GroupNorm(2, 4), new nn.LayerNorm([3, 3])]) {
    using norm = layer.init(backend);
    using x = backend.upload(values, shape);
    norm.train();
    assertThrows(() => norm.forward(x, { out: x }), ArgumentError, "out is ");
    assertEquals(await x.read(), values, layer.type);
    norm.eval();
    assertEquals(norm.forward(x, { out: x }), x);
  }
  using frozen = new nn.BatchNorm2d(4).init(backend).freeze().train();
  using x = backend.upload(values, shape);
  frozen.forward(x, { out: x }); // its gradient does not depend on x
  using dx = frozen.backward(x);
  assertAllClose(await dx.read(), await x.read(), { abs: 1e-4 });
});

testWithThreads("calling train() again does not repeat the numbers of dropout", async (backend) => {
  using x = backend.upload(new Float32Array(64).fill(1), [4, 16]);
  const masks = async (net: nn.Layer) => {
    const drawn: string[] = [];
    for (let epoch = 0; epoch < 3; epoch++) {
      using y = net.train().forward(x);
      drawn.push(String(await y.read()));
      net.eval();
    }
    return drawn;
  };
  const make = () => new nn.Sequential([new nn.Dropout(), new nn.Sequential([new nn.Dropout()])]);
  using net = make();
  const first = await masks(net);
  assertEquals(new Set(first).size, 3);
  assertEquals(await masks(make()), first); // but every program draws the same
  using again = net.train(new RandomGenerator(0)).forward(x);
  assertEquals(String(await again.read()), first[0]);
  const inner = new nn.Sequential([new nn.Dropout()]), outer = new nn.Sequential([inner]);
  const [drawn] = await masks(outer); // the part goes on, too
  assert(!(await masks(inner)).includes(drawn));
});

testWithThreads("backward() refuses layers that ran again in between", (backend) => {
  using encoder = new nn.Sequential([new nn.Linear(4, 4), new nn.Tanh()]);
  using first = new nn.Sequential([encoder, new nn.Linear(4, 2)]).init(backend).train();
  using second = new nn.Sequential([encoder, new nn.Linear(4, 2)]).init(backend).train();
  using x = backend.upload(random([3, 4], 1), [3, 4]);
  using other = backend.upload(random([3, 4], 2), [3, 4]);
  using dy = backend.upload(random([3, 2], 3), [3, 2]);
  for (const run of [() => second.forward(other), () => first.children.get("1")!.forward(other)]) {
    using _y = first.forward(x), _z = run();
    const message =
      /^Sequential: layer "(0.0|1)" ran again after forward\(\); call backward\(\) first$/;
    assert(message.test(assertThrows(() => first.backward(dy), PembrokeError).message));
    assertEquals(encoder.leaves()[0][1].parameters.weight!.grad, undefined);
  }
  using _z = second.forward(other);
  second.backward(dy).dispose();
  using _y = first.forward(x);
  first.backward(dy).dispose();
});

testWithThreads("a trained bias refuses gradients of another shape", (backend) => {
  const layers: [nn.Layer, number[], number[]][] = [
    [new nn.Linear(3, 4), [2, 3], [6, 4]],
    [new nn.Conv2d(2, 4, 1), [1, 2, 3, 3], [1, 4, 9, 9]],
    [new nn.ConvTranspose2d(2, 4, 1), [1, 2, 3, 3], [1, 4, 9, 9]],
  ];
  for (const [layer, shape, wrong] of layers) {
    using _ = layer.init(backend).train();
    layer.parameters.weight!.freeze();
    using x = backend.upload(new Float32Array(shape.reduce((a, b) => a * b)), shape);
    using y = layer.forward(x), dy = backend.empty(wrong);
    const message = `${layer.type}: the shape of dy is [${wrong.join(", ")}], must be [`;
    assertThrows(() => layer.backwardParameters(dy), ArgumentError, message + y.shape.join(", "));
    assertEquals(layer.parameters.bias!.grad, undefined);
  }
});
