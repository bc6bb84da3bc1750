import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, PembrokeError } from "../../src/errors.ts";
import { Linear, Sequential } from "../../src/layers/mod.ts";
import {
  AdamW,
  arrayDataset,
  clipGradNorm,
  loadCheckpoint,
  saveCheckpoint,
  SGD,
  Trainer,
} from "../../src/train/mod.ts";
import {
  assertAllClose,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

Deno.test("AdamW counts the steps of each parameter, like PyTorch", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const create = () => {
    const layers = [new Linear(2, 1, { bias: false }), new Linear(1, 1, { bias: false })];
    const model = new Sequential(layers).init(backend), optimizer = new AdamW(model, { lr: 0.1 });
    const data = arrayDataset(new Float32Array(2), [0], [2]);
    const trainer = new Trainer(model, data, { optimizer, batchSize: 1, epochs: 1 });
    const [first, last] = layers.map((layer) => layer.parameters.weight);
    const dispose = () => [model, optimizer].forEach((part) => part.dispose());
    return { model, optimizer, trainer, first, last, [Symbol.dispose]: dispose };
  };
  using run = create(), resumed = create();
  run.first.write(Float32Array.of(0.5, -0.25));
  run.last.write(Float32Array.of(1));
  for (let i = 0; i < 8; i++) {
    if (i === 7) await loadCheckpoint(resumed.trainer, await saveCheckpoint(run.trainer));
    for (const { model, optimizer, first } of i === 7 ? [run, resumed] : [run]) {
      first.requiresGrad = i >= 4 && i !== 6; // frozen in the first steps
      model.train();
      optimizer.zeroGrad();
      using x = backend.upload([1, 2], [1, 2]), dy = backend.upload([1 + i], [1, 1]);
      model.forward(x).dispose();
      model.backwardParameters(dy);
      optimizer.step();
    }
  }
  for (const { first, last } of [run, resumed]) {
    const values = [...await first.tensor!.read(), ...await last.tensor!.read()];
    assertAllClose(values, [0.19972664, -0.5480256, 1.18368495], { abs: 1e-6 }); // from PyTorch
  }
});

Deno.test("SGD trains layers that were frozen when it was made", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const train = async (isFrozen: boolean) => {
    using model = new Sequential([new Linear(2, 2), new Linear(2, 2)]).init(backend, { seed: 1 });
    const first = model.children.get("0")!;
    if (isFrozen) first.freeze();
    using optimizer = new SGD(model, { lr: 0.1, momentum: 0.9, weightDecay: () => 0.5 });
    first.unfreeze();
    model.train();
    optimizer.zeroGrad();
    using x = backend.upload([1, 2], [1, 2]), y = model.forward(x);
    model.backwardParameters(y);
    optimizer.step();
    return await first.parameters.weight!.tensor!.read();
  };
  assertEquals(await train(true), await train(false));
});

Deno.test("a model with values on another backend is trained with new states", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const data = arrayDataset(new Float32Array(4).fill(1), [0, 1], [2]);
  const make = [
    (model: Linear) => new SGD(model, { lr: 1, momentum: 0.9 }),
    (model: Linear) => new AdamW(model),
  ];
  for (const optimizerOf of make) {
    const first = await createBackend({ device: "wasm", threads: 1 });
    using model = new Linear(2, 2).init(first), optimizer = optimizerOf(model);
    const options = { optimizer, batchSize: 2, epochs: 1, emaDecay: 0.9 };
    using trainer = new Trainer(model, data, options);
    await trainer.step();
    first.dispose();
    model.init(backend);
    await trainer.step();
    const states = [...optimizer.stateDict().values(), ...trainer.average!.stateDict().values()];
    assertEquals(states.filter((state) => state.backend !== backend), []);
  }
});

Deno.test("zeroGrad() clears old gradients of parameters that are not trained any more", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(1, 1).init(backend).train(), optimizer = new SGD(model, { lr: 1 });
  const normOf = async () => {
    optimizer.zeroGrad();
    using x = backend.upload([3], [1, 1]), dy = backend.upload([4], [1, 1]);
    model.forward(x).dispose();
    model.backwardParameters(dy);
    return await clipGradNorm(model, 100);
  };
  assertEquals(await normOf(), Math.hypot(12, 4));
  model.parameters.weight.requiresGrad = false;
  assertEquals(await normOf(), 4);
});

Deno.test("optimizers refuse negative options, like PyTorch", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(1, 1).init(backend);
  for (const name of ["lr", "momentum", "weightDecay"]) {
    const message = `SGD: ${name} is -0.1, must be a non-negative number`;
    assertThrows(() => new SGD(model, { lr: 1, [name]: -0.1 }), ArgumentError, message);
  }
  for (const name of ["lr", "eps", "weightDecay"]) {
    const message = `AdamW: ${name} is -0.1, must be a non-negative number`;
    assertThrows(() => new AdamW(model, { [name]: -0.1 }), ArgumentError, message);
  }
});

testOnEveryBackend("clipGradNorm() limits the norm of all gradients together", async (backend) => {
  using layer = new Linear(2, 1).init(backend);
  const { weight, bias } = layer.parameters;
  backend.write(weight.gradient(), new Float32Array([3, 0]));
  backend.write(bias!.gradient(), new Float32Array([-4]));
  assertAlmostEquals(await clipGradNorm(layer, 10), 5, 1e-6);
  assertEquals([...await weight.grad!.read()], [3, 0]);
  assertAlmostEquals(await clipGradNorm(layer, 1), 5, 1e-6);
  assertAllClose(await weight.grad!.read(), [0.6, 0], { abs: 1e-6 });
  assertAllClose(await bias!.grad!.read(), [-0.8], { abs: 1e-6 });
  await assertRejects(() => clipGradNorm(layer, 0), ArgumentError, "maxNorm is 0");
});

Deno.test("a step whose gradients cannot be clipped changes no weights", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(1, 2).init(backend), optimizer = new SGD(model, { lr: 0.1 });
  const { weight, bias } = model.parameters, values = new Float32Array(2);
  for (const parameter of [weight, bias]) parameter!.write(values);
  const data = arrayDataset(Float32Array.of(1e30), [0], [1]);
  const trainer = new Trainer(model, data, { optimizer, batchSize: 1, epochs: 1, clipNorm: 1 });
  const message = "Trainer: the norm of the gradients is Infinity in step 0";
  await assertRejects(() => trainer.step(), PembrokeError, message);
  assertEquals([await weight.tensor!.read(), optimizer.steps], [values, 0]);
});
