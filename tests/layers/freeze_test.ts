import { kernelsOf } from "../../src/backend/interface.ts";
import type { Backend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import {
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  Dropout,
  Flatten,
  type Graph,
  GroupNorm,
  type Layer,
  Linear,
  MaxPool2d,
  PReLU,
  ReLU,
  Sequential,
} from "../../src/layers/mod.ts";
import { crossEntropy } from "../../src/ops/loss.ts";
import { AdamW } from "../../src/train/adamw.ts";
import { SGD } from "../../src/train/sgd.ts";
import type { Tensor } from "../../src/tensor.ts";
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "../assert.ts";
import { testOnFewBackends, testWithThreads } from "../backends.ts";
import { images, loadNarrow } from "../models/narrow.ts";

/** A network with two frozen blocks, and two trained layers. */
function network(dropout = 0.5): Graph {
  return new Sequential({
    block1: new Sequential([
      new Conv2d(3, 8, 3, { padding: 1 }),
      new BatchNorm2d(8),
      new ReLU(),
      new MaxPool2d(2),
    ]),
    block2: new Sequential([
      new Conv2d(8, 16, 3, { padding: 1 }),
      new ReLU(),
      new Dropout(dropout),
    ]),
    block3: new Sequential([new Conv2d(16, 8, 3, { padding: 1 }), new BatchNorm2d(8), new ReLU()]),
    flatten: new Flatten(),
    fc: new Linear(8 * 16, 3),
  });
}

function image(backend: Backend, n = 4): Tensor {
  const values = Float32Array.from({ length: n * 3 * 64 }, (_, i) => Math.sin(i * 1.7));
  return backend.upload(values, [n, 3, 8, 8]);
}

/** A forward and a backward pass. */
function step(model: Layer, x: Tensor): Tensor {
  using y = model.forward(x);
  const { loss, gradient } = crossEntropy(y, [0, 1, 2, 0]);
  using dy = gradient;
  model.backwardParameters(dy);
  return loss;
}

/** Counts the calls of kernels by name while a function runs. */
function countKernels(backend: Backend, run: () => void): Map<string, number> {
  const kernels = kernelsOf(backend) as unknown as Record<string, unknown>;
  const counts = new Map<string, number>();
  const names = new Set<string>();
  for (let at: object = kernels; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) {
      const { value } = Object.getOwnPropertyDescriptor(at, name)!;
      if (typeof value === "function" && name !== "constructor") names.add(name);
    }
  }
  const own = new Map<string, PropertyDescriptor | undefined>();
  for (const name of names) {
    own.set(name, Object.getOwnPropertyDescriptor(kernels, name));
    const kernel = kernels[name] as (...args: unknown[]) => unknown;
    const value = (...args: unknown[]) => {
      counts.set(name, (counts.get(name) ?? 0) + 1);
      return kernel.apply(kernels, args);
    };
    Object.defineProperty(kernels, name, { value, configurable: true, writable: true });
  }
  try {
    run();
  } finally {
    for (const [name, descriptor] of own) {
      if (descriptor) Object.defineProperty(kernels, name, descriptor);
      else delete kernels[name];
    }
  }
  return counts;
}

testWithThreads(
  "a network in training mode refuses trained layers in the other mode",
  (backend) => {
    const norm = new BatchNorm2d(2), drop = new Dropout(), conv = new Conv2d(1, 2, 3);
    using inner = new Sequential([conv, norm]);
    using net = new Sequential([inner, drop]).init(backend).train();
    using x = backend.upload(new Float32Array(50).fill(1), [2, 1, 5, 5]);
    net.forward(x).dispose();
    norm.eval(); // as in PyTorch
    const message = 'Sequential: layer "0.1" is in evaluation mode; call train(), or freeze() it';
    assertThrows(() => net.forward(x), PembrokeError, message);
    norm.freeze();
    drop.eval();
    net.forward(x).dispose();
    assert(norm.training && drop.training);
    conv.freeze();
    net.forward(x).dispose(); // nothing is trained
    conv.unfreeze();
    net.forward(x).dispose();
    inner.eval();
    assertThrows(() => net.forward(x), PembrokeError, 'layer "0.0" is in');
    net.train().forward(x).dispose();
  },
);

testOnFewBackends("frozen layers have the gradients of the others", async (backend) => {
  using x = image(backend);
  const gradients: Float32Array[][] = [];
  for (const frozen of [false, true]) {
    using model = network(0).init(backend, { seed: 1 });
    // Statistics of the batch and of the running ones agree only if they are not used: freeze both.
    for (const [name, layer] of model.leaves()) {
      if (layer instanceof BatchNorm2d && name.startsWith("block1")) layer.freeze();
    }
    if (frozen) model.freeze({ except: ["block3", "fc"] });
    model.train();
    step(model, x).dispose();
    const named = [...model.stateDict()].filter(([name]) => /^(block3|fc)/.test(name));
    const grads = named.flatMap(([, { grad }]) => grad ? [grad] : []);
    assertEquals(grads.length, 6);
    gradients.push(await Promise.all(grads.map((grad) => grad.read())));
    const others = [...model.stateDict()].filter(([name]) => /^block[12]/.test(name));
    assertEquals(others.some(([, { grad }]) => grad !== undefined), !frozen);
  }
  for (const [i, values] of gradients[1].entries()) {
    for (const [j, value] of values.entries()) {
      assertAlmostEquals(value, gradients[0][i][j], 1e-4, `${i}, ${j}`);
    }
  }
});

testWithThreads("no kernel of a backward pass runs below the first trained layer", (backend) => {
  using x = image(backend);
  using model = network().init(backend, { seed: 1 }).freeze({ except: ["fc"] });
  model.train();
  const counts = countKernels(backend, () => step(model, x).dispose());
  const backward = [...counts].filter(([name]) => /ackward/.test(name));
  assertEquals(Object.fromEntries(backward), { linearBackwardWeight: 1, biasBackward: 1 });
  // Dropout between frozen layers is off, and batch normalisation is folded into the convolution.
  assertEquals([counts.get("dropout"), counts.get("batchNorm")], [undefined, undefined]);
  assertEquals(counts.get("relu"), undefined);
  model.unfreeze();
  const all = countKernels(backend, () => step(model, x).dispose());
  assertEquals([...all].filter(([name]) => /ackward/.test(name)).length > 4, true);
  assertEquals(all.get("dropout"), 2);
});

testWithThreads("frozen layers keep no gradients, no state and one value", (backend) => {
  using x = image(backend);
  using model = network().init(backend, { seed: 1 });
  model.freeze({ except: ["fc"] }).train();
  step(model, x).dispose();
  model.forget();
  const warm = backend.bytesInUse;
  using optimizer = new AdamW(model);
  const y = model.forward(x);
  // The input of the linear layer, 4·8·16 values, and the output.
  assertEquals(backend.bytesInUse - warm, bytesOf(4 * 8 * 16) + bytesOf(y.size));
  const { loss, gradient } = crossEntropy(y, [0, 1, 2, 0]);
  model.backwardParameters(gradient);
  for (const tensor of [y, loss, gradient]) tensor.dispose();
  assertEquals(backend.bytesInUse, warm);
  optimizer.step();
  assertEquals(backend.bytesInUse - warm, 2 * bytesOf(8 * 16 * 3) + 2 * bytesOf(3));
  assertEquals([...optimizer.parameters.keys()], ["fc.weight", "fc.bias"]);
});

/** Bytes of a tensor on Wasm: blocks begin on cache lines. */
function bytesOf(elements: number): number {
  return Math.ceil(4 * elements / 64) * 64;
}

testWithThreads("weights and gradients of frozen layers do not change", async (backend) => {
  using x = image(backend);
  using model = network().init(backend, { seed: 1 }).freeze({ except: ["block3", "fc"] });
  const values = async (pattern: RegExp) => {
    const named = [...model.stateDict()].filter(([name]) => pattern.test(name));
    return await Promise.all(named.map(([, { tensor }]) => tensor!.read()));
  };
  const before = await values(/^block[12]/), trained = await values(/^(block3|fc)/);
  using optimizer = new SGD(model, { lr: 0.1, momentum: 0.9 });
  model.train();
  for (let i = 0; i < 2; i++) {
    optimizer.zeroGrad();
    step(model, x).dispose();
    optimizer.step();
  }
  assertEquals(await values(/^block[12]/), before); // running statistics, too
  for (const [i, tensor] of (await values(/^(block3|fc)/)).entries()) {
    assertEquals(tensor.some((value, j) => value !== trained[i][j]), true, `${i}`);
  }
});

testOnFewBackends("frozen layers after a trained one pass its gradient on", async (backend) => {
  using x = image(backend);
  const make = () =>
    new Sequential([
      new Conv2d(3, 4, 3, { padding: 1 }),
      new BatchNorm2d(4),
      new ReLU(),
      new ConvTranspose2d(4, 4, 2, { stride: 2 }),
      new PReLU(4),
      new GroupNorm(2, 4),
      new Conv2d(4, 2, 3),
      new Flatten(),
      new Linear(2 * 14 * 14, 3),
    ]).init(backend, { seed: 2 });
  const gradients: Float32Array[] = [];
  for (const frozen of [false, true]) {
    using model = make();
    model.children.get("1")!.freeze();
    if (frozen) model.freeze({ except: ["0"] });
    model.train();
    step(model, x).dispose();
    gradients.push(await model.stateDict().get("0.weight")!.grad!.read());
    const names = [...model.stateDict()].filter(([, { grad }]) => grad).map(([name]) => name);
    if (frozen) assertEquals(names, ["0.weight", "0.bias"]);
    else assertEquals(names.length, 11);
  }
  assertEquals(gradients[1], gradients[0]);
});

testOnFewBackends(
  "frozen batch normalisation has the gradient of its affine map",
  async (backend) => {
    using norm = new BatchNorm2d(2).init(backend).freeze();
    const { running_mean: mean, running_var: variance, weight, bias } = norm.parameters;
    mean.write(Float32Array.of(1, -2));
    variance.write(Float32Array.of(4, 0.25));
    weight!.write(Float32Array.of(3, -1));
    bias!.write(Float32Array.of(0.5, 0));
    norm.train();
    using x = backend.upload(new Float32Array([1, 2, 3, 4]), [1, 2, 1, 2]);
    using y = norm.forward(x), dy = backend.upload(new Float32Array([1, 2, 3, 4]), [1, 2, 1, 2]);
    const eps = 1e-5, scale = [3 / Math.sqrt(4 + eps), -1 / Math.sqrt(0.25 + eps)];
    const expected = [0.5, 0.5 + scale[0], 5 * scale[1], 6 * scale[1]];
    for (const [i, v] of (await y.read()).entries()) assertAlmostEquals(v, expected[i], 1e-5);
    using dx = norm.backward(dy);
    for (const [i, v] of (await dx.read()).entries()) {
      assertAlmostEquals(v, (i + 1) * scale[Math.floor(i / 2)], 1e-5);
    }
    assertEquals([...await mean.tensor!.read()], [1, -2]);
  },
);

testWithThreads("a graph of branches is frozen up to the first trained layer", async (backend) => {
  for (const name of ["resnet18", "densenet", "mobilenet_v3_small", "squeezenet1_1"] as const) {
    using model = await loadNarrow(name, backend, 0);
    using x = backend.upload(images(2, 64), [2, 3, 64, 64]), expected = model.forward(x);
    const before = await expected.read();
    model.replaceHead(["a", "b", "c"], { seed: 1 });
    using logits = model.forward(x);
    model.freeze({ except: [model.head.name] }).train();
    using y = model.forward(x);
    assertEquals(y.shape, [2, 3]);
    const values = await logits.read(), scale = Math.max(...values.map(Math.abs));
    for (const [i, v] of (await y.read()).entries()) {
      assertAlmostEquals(v, values[i], 1e-4 * scale, name);
    }
    using dy = backend.upload(new Float32Array(6).fill(1), [2, 3]);
    assertThrows(() => model.backward(dy), PembrokeError);
    assertEquals(before.length, 14);
  }
});

testWithThreads(
  "without trained layers, backward() computes the gradient of the input",
  async (backend) => {
    using x = image(backend), model = network(0).init(backend, { seed: 1 });
    model.freeze().train();
    using y = model.forward(x), dy = backend.upload(new Float32Array(y.size).fill(1), y.shape);
    using dx = model.backward(dy);
    assertEquals((await dx.read()).some((value) => value !== 0), true);
    assertEquals([...model.stateDict().values()].some(({ grad }) => grad), false);
  },
);

testWithThreads("a frozen network in 8 bits can have a trained head", async (backend) => {
  using x = image(backend);
  using model = network(0).init(backend, { seed: 1 }).freeze({ except: ["fc"] });
  for (const [name, layer] of model.leaves()) if (name !== "fc") layer.quantize();
  using before = model.forward(x);
  model.train();
  using optimizer = new AdamW(model, { lr: 0.1 });
  step(model, x).dispose();
  optimizer.step();
  model.eval();
  using after = model.forward(x);
  const [a, b] = [await before.read(), await after.read()];
  assertEquals(a.some((value, i) => value !== b[i]), true);
  model.unfreeze();
  assertThrows(() => model.train(), PembrokeError);
});

testWithThreads("freeze() refuses names of no node, and requiresGrad can be set", (backend) => {
  using model = network().init(backend);
  assertThrows(() => model.freeze({ except: ["block"] }), ArgumentError);
  assertThrows(() => model.freeze({ except: "fc" as never }), ArgumentError);
  assertEquals(model.frozen, false);
  model.freeze();
  assertEquals([model.frozen, new Dropout().frozen, new Dropout().freeze().frozen], [
    true,
    false,
    true,
  ]);
  model.unfreeze();
  const running = model.stateDict().get("block1.1.running_mean")!;
  assertEquals([model.frozen, running.requiresGrad], [false, false]);
  model.stateDict().get("fc.weight")!.requiresGrad = false;
  using optimizer = new SGD(model, { lr: 1 });
  assertEquals(optimizer.parameters.has("fc.weight"), false);
  assertEquals(optimizer.parameters.has("fc.bias"), true);
});
