/** Activation layers, and layers that add or multiply their inputs. */

import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import * as nn from "../../src/layers/mod.ts";
import * as ops from "../../src/ops/mod.ts";
import { sameShape, type Shape, type Tensor } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals, assertThrows } from "../assert.ts";
import { testOnEveryBackend, testOnFewBackends } from "../backends.ts";
import { activationCase } from "../backend/activations.ts";
import { Draw, floats, sum, upload } from "../backend/harness.ts";
import { fakeTensor } from "../ops/fake_tensor.ts";
import * as reference from "../reference.ts";

const tolerance = { abs: 1e-5, rel: 1e-5 };

/** Layers with PyTorch's defaults, and what they compute. */
const activations = [
  [new nn.ReLU(), activationCase("relu")],
  [new nn.ReLU6(), activationCase("relu6")],
  [new nn.LeakyReLU(), activationCase("leakyRelu", 0.01)],
  [new nn.Sigmoid(), activationCase("sigmoid")],
  [new nn.Tanh(), activationCase("tanh")],
  [new nn.SiLU(), activationCase("silu")],
  [new nn.Hardswish(), activationCase("hardswish")],
  [new nn.Hardsigmoid(), activationCase("hardsigmoid", 1 / 6, 0.5)],
  [new nn.GELU(), activationCase("gelu", "none")],
  [new nn.Softplus(), activationCase("softplus", 1, 20)],
  [new nn.Hardtanh(), activationCase("hardtanh", -1, 1)],
  [new nn.ELU(), activationCase("elu", 1)],
  [new nn.LeakyReLU(0.3), activationCase("leakyRelu", 0.3)],
  [new nn.Hardsigmoid(0.2, 0.4), activationCase("hardsigmoid", 0.2, 0.4)],
  [new nn.GELU("tanh"), activationCase("gelu", "tanh")],
  [new nn.Softplus(2, 5), activationCase("softplus", 2, 5)],
  [new nn.Hardtanh(0, Infinity), activationCase("hardtanh", 0, Infinity)],
  [new nn.ELU(0.5), activationCase("elu", 0.5)],
] as const;

testOnFewBackends("activation layers compute their function and its gradient", async (backend) => {
  const draw = new Draw(1), x = draw.floats([4, 9], -7, 7), dy = draw.floats([4, 9]);
  using tx = upload(backend, x), tdy = upload(backend, dy);
  const results = await Promise.all(activations.map(async ([layer]) => {
    assertEquals(layer.outputShape([4, 9]), [4, 9]);
    layer.train();
    using y = layer.forward(tx), dx = layer.backward(tdy);
    layer.eval();
    using inPlace = upload(backend, x);
    assertEquals(layer.forward(inPlace, { out: inPlace }), inPlace);
    return await Promise.all([y.read(), dx.read(), inPlace.read()]);
  }));
  for (const [i, [layer, c]] of activations.entries()) {
    const [y, dx, inPlace] = results[i], name = layer.type;
    assertAllClose(y, reference.map(x, c.reference).data, { ...tolerance, name });
    assertAllClose(dx, reference.mapBackward(dy, x, c.reference).data, { ...tolerance, name });
    assertEquals(inPlace, y, name);
  }
});

testOnFewBackends(
  "in training, a layer refuses to overwrite what its gradient needs",
  (backend) => {
    using x = backend.upload([1, 2, 3], [3]), one = backend.upload([1, 2, 3], [3]);
    for (const layer of [new nn.SiLU(), new nn.LeakyReLU(), new nn.PReLU().init(backend)]) {
      using _ = layer.train();
      assertThrows(() => layer.forward(x, { out: x }), ArgumentError, "out is ");
    }
    const mul = new nn.Mul().train();
    for (const out of [x, one]) {
      assertThrows(
        () => mul.forward([x, one], { out }),
        ArgumentError,
        "another tensor in training",
      );
    }
    const relu = new nn.ReLU().train(), dy = one;
    relu.forward(x, { out: x });
    relu.backward(dy).dispose();
  },
);

Deno.test("activations that other layers can compute say so", () => {
  const fused = activations.flatMap(([layer]) =>
    layer.fusedAs ? [[layer.type, layer.fusedAs]] : []
  );
  assertEquals(fused, [["ReLU", "relu"], ["ReLU6", "relu6"], ["SiLU", "silu"], [
    "Hardswish",
    "hardswish",
  ]]);
  assert(activations.every(([layer]) => layer.inPlace) && new nn.PReLU().inPlace);
});

Deno.test("invalid activation layers are refused", () => {
  const calls: [string, () => unknown][] = [
    ["LeakyReLU: negativeSlope is NaN", () => new nn.LeakyReLU(NaN)],
    ["GELU: approximate is ", () => new nn.GELU("erf" as "none")],
    ["Softplus: beta is 0", () => new nn.Softplus(0)],
    ["Hardtanh: maxVal is -1", () => new nn.Hardtanh(1, -1)],
    ["ELU: alpha is -1", () => new nn.ELU(-1)],
    ["PReLU: numParameters is 0", () => new nn.PReLU(0)],
    ["PReLU: init is NaN", () => new nn.PReLU(1, NaN)],
    ["PReLU: the shape of x is [2, 4, 3]", () => new nn.PReLU(3).outputShape([2, 4, 3])],
  ];
  for (const [message, call] of calls) assertThrows(call, ArgumentError, message);
});

testOnFewBackends("PReLU learns a weight for each channel, 0.25 at first", async (backend) => {
  using layer = new nn.PReLU(2).init(backend).train();
  assertEquals([...await layer.parameters.weight.tensor!.read()], [0.25, 0.25]);
  using x = backend.upload([-4, 4, -8, -12], [1, 2, 2]);
  using dy = backend.upload([1, 2, 3, 4], [1, 2, 2]);
  using y = layer.forward(x), dx = layer.backward(dy);
  assertEquals([...await y.read()], [-1, 4, -2, -3]);
  assertEquals([...await dx.read()], [0.25, 2, 0.75, 1]);
  assertEquals([...await layer.parameters.weight.grad!.read()], [-4, -72]);
  using _ = layer.forward(x);
  layer.backwardParameters(dy);
  assertEquals([...await layer.parameters.weight.grad!.read()], [-8, -144]);
});

/** Shapes of two inputs that are added or multiplied, and of the result. */
const merges: Shape[][] = [
  [[2, 3, 4, 5], [2, 3, 4, 5], [2, 3, 4, 5]],
  [[2, 3, 4, 5], [2, 3, 1, 1], [2, 3, 4, 5]],
  [[1, 3, 1, 1], [2, 3, 4, 5], [2, 3, 4, 5]],
  [[3, 4], [1], [3, 4]],
  [[4], [1, 4], [1, 4]],
];

testOnEveryBackend(
  "Add and Mul repeat the smaller input, forward and backward",
  async (backend) => {
    const draw = new Draw(2);
    for (const [left, right, full] of merges) {
      const a = draw.floats(left), b = draw.floats(right);
      const dy = draw.floats(full), [ra, rb] = [a, b].map((v) => reference.repeat(v, full));
      using ta = upload(backend, a), tb = upload(backend, b), tdy = upload(backend, dy);
      for (const layer of [new nn.Add().train(), new nn.Mul().train()]) {
        const adds = layer.type === "Add", name = `${layer.type} of [${left}] and [${right}]`;
        assertEquals(layer.outputShape([left, right]), full);
        using y = layer.forward([ta, tb]);
        const [da, db] = layer.backwardInto(tdy);
        const read = await Promise.all([y, da, db].map((tensor) => tensor.read()));
        const op = adds ? reference.add : reference.mul;
        assertAllClose(read[0], op(ra, rb).data, { ...tolerance, name });
        for (const [i, [shape, other]] of ([[left, rb], [right, ra]] as const).entries()) {
          const each = adds ? dy : reference.mul(dy, other);
          assertEquals([da, db][i].shape, shape);
          assertAllClose(read[i + 1], reference.repeatBackward(each, shape).data, {
            ...tolerance,
            name,
          });
        }
        for (const gradient of [da, db]) if (gradient !== tdy) gradient.dispose();
        const same = [left, right].map((shape) => adds && sameShape(shape, full));
        assertEquals([da === tdy, db === tdy], same);
        assertThrows(
          () => layer.backwardInto(tdy),
          PembrokeError,
          "call train(), then forward(), before each backward()",
        );
      }
    }
  },
);

testOnFewBackends(
  "Add takes any number of inputs, the same one twice, and works in place",
  async (backend) => {
    const draw = new Draw(3), shape = [2, 3, 2], a = draw.floats(shape), b = draw.floats(shape);
    const layer = new nn.Add();
    const two = sum(a, b), data = (times: number) => two.map((v, i) => v + times * a.data[i]);
    const cases: [(x: Tensor, y: Tensor) => Tensor[], Float64Array][] = [
      [(x, y) => [x, y], data(0)],
      [(x, y) => [x, y, x], data(1)],
      [(x, y) => [y, x, x, x], data(2)],
    ];
    for (const [inputs, expected] of cases) {
      using x = upload(backend, a), y = upload(backend, b);
      using fresh = layer.forward(inputs(x, y));
      layer.forward(inputs(x, y), { out: x });
      const [values, inPlace] = await Promise.all([fresh.read(), x.read()]);
      assertAllClose(values, expected, tolerance);
      assertAllClose(inPlace, expected, tolerance);
    }
    using x = upload(backend, a), gate = upload(backend, floats([3, 1], [1, 2, 3]));
    using y = layer.train().forward([gate, x, gate]);
    const [first, , third] = layer.backwardInto(y);
    assertEquals([first.shape, third.shape], [[3, 1], [3, 1]]);
    first.dispose();
    third.dispose();
  },
);

Deno.test("Add and Mul refuse inputs that do not fit", () => {
  const add = new nn.Add(), mul = new nn.Mul();
  const calls: [string, () => unknown][] = [
    ["Add: the number of inputs is 1, must be at least 2", () => add.outputShape([[2]])],
    ["Mul: the number of inputs is 3, must be 2", () => mul.outputShape([[2], [2], [2]])],
    ["Add: the shape of an input is [3], must be [2, 2]", () => add.outputShape([[2, 2], [3]])],
    ["Mul: the shape of an input is ", () => mul.outputShape([[2, 1], [1, 3]])],
  ];
  for (const [message, call] of calls) assertThrows(call, ArgumentError, message);
  const message =
    "Add: backward() cannot return a gradient for each input; put the layer into a Graph";
  assertThrows(() => add.backward(fakeTensor([2])), PembrokeError, message);
});

testOnFewBackends("squeeze-and-excitation gates match operations by hand", async (backend) => {
  const draw = new Draw(4);
  using x = upload(backend, draw.floats([2, 4, 3, 3])), pool = new nn.AdaptiveAvgPool2d(1);
  using pooled = pool.forward(x), gate = new nn.Hardsigmoid().forward(pooled);
  using y = new nn.Mul().forward([x, gate]), expected = ops.mul(x, gate);
  assertEquals(y.shape, [2, 4, 3, 3]);
  assertEquals(await y.read(), await expected.read());
});
