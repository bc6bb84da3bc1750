/** Optimisers of the wrong model or run, of frozen layers, and labels that are no classes. */

import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import { Conv2d, Flatten, Linear, Sequential } from "../../src/layers/mod.ts";
import { createModel } from "../../src/models/registry.ts";
import {
  AdamW,
  arrayDataset,
  clipGradNorm,
  evaluate,
  loadCheckpoint,
  type Optimizer,
  saveCheckpoint,
  SGD,
  Trainer,
} from "../../src/train/mod.ts";
import { assertAllClose, assertEquals, assertRejects, assertThrows } from "../assert.ts";

Deno.test("the class of a sample is an integer", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend);
  for (const label of [undefined, null, NaN, 1.5, "1", 2 ** 32, 1n]) {
    const data = { length: 1, sampleShape: [2], read: () => label as number };
    const message = "Dataset: the class of sample 0 is ";
    await assertRejects(() => evaluate(model, data), ArgumentError, message);
  }
});

Deno.test("loadCheckpoint() refuses another optimizer", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend);
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const create = (optimizer: Optimizer) =>
    new Trainer(model, data, { optimizer, batchSize: 2, epochs: 2 });
  const make = {
    plain: () => new SGD(model, { lr: 0.1 }),
    sgd: () => new SGD(model, { lr: 0.1, momentum: 0.9 }),
    nesterov: () => new SGD(model, { lr: 0.1, momentum: 0.9, nesterov: true }),
    adamw: () => new AdamW(model),
    betas: () => new AdamW(model, { betas: [0.9, 0.99] }),
    part: () => new SGD(new Map([["weight", model.parameters.weight]]), { lr: 1, momentum: 0.9 }),
  };
  const cases = [
    ["plain", "adamw", 'the type of its optimizer is "SGD", not "AdamW"; create the optimizer as'],
    ["sgd", "adamw", 'the type of its optimizer is "SGD", not "AdamW"'],
    ["adamw", "plain", 'the type of its optimizer is "AdamW", not "SGD"'],
    ["adamw", "sgd", 'the type of its optimizer is "AdamW", not "SGD"'],
    ["plain", "sgd", "the momentum of its optimizer is 0, not 0.9"],
    ["sgd", "plain", "the momentum of its optimizer is 0.9, not 0"],
    ["sgd", "nesterov", "the nesterov of its optimizer is false, not true"],
    ["betas", "adamw", "the betas of its optimizer is [0.9,0.99], not [0.9,0.999]"],
    ["part", "sgd", "has no velocity.bias; create the optimizer as in the saved run"],
    ["sgd", "part", "velocity.bias does not match a parameter"],
  ] as const;
  for (const [saved, other, message] of cases) {
    using first = make[saved](), second = make[other](), resumed = make[saved]();
    const trainer = create(first);
    await trainer.step();
    const bytes = await saveCheckpoint(trainer), before = backend.bytesInUse;
    await assertRejects(() => loadCheckpoint(create(second), bytes, "a"), FileError, message);
    assertEquals([backend.bytesInUse, second.steps], [before, 0]);
    await loadCheckpoint(create(resumed), bytes);
  }
});

Deno.test("loadCheckpoint() compares the states of checkpoints without settings", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend);
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const create = (optimizer: Optimizer) =>
    new Trainer(model, data, { optimizer, batchSize: 2, epochs: 2 });
  using sgd = new SGD(model, { lr: 0.1, momentum: 0.9 }), adamw = new AdamW(model);
  for (const [saved, other, name] of [[sgd, adamw, "velocity"], [adamw, sgd, "mean"]] as const) {
    await create(saved).step();
    const bytes = await saveCheckpoint(create(saved)), before = backend.bytesInUse;
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    const old = text.replace('\\"optimizer\\":', '\\"otherwise\\":');
    const oldBytes = Uint8Array.from(old, (char) => char.charCodeAt(0));
    const message = `${name}.weight belongs to another optimizer`;
    await assertRejects(() => loadCheckpoint(create(other), oldBytes), FileError, message);
    assertEquals(backend.bytesInUse, before);
    await loadCheckpoint(create(saved), oldBytes);
  }
});

Deno.test("loadCheckpoint() needs no state of parameters that were frozen", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend);
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const create = () =>
    new Trainer(model, data, { optimizer: new AdamW(model), batchSize: 2, epochs: 2 });
  model.parameters.weight.requiresGrad = false;
  const first = create();
  await first.step();
  const bytes = await saveCheckpoint(first);
  model.parameters.weight.requiresGrad = true;
  const second = create();
  await loadCheckpoint(second, bytes);
  assertEquals([second.state, second.options.optimizer.steps], [first.state, 1]);
});

Deno.test("a run whose optimizer has other names than the model is resumed", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Sequential([new Linear(2, 3), new Linear(3, 2)]).init(backend);
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const create = (layer: string) => {
    const optimizer = new SGD(model.children.get(layer)!, { lr: 0.1, momentum: 0.9 });
    return new Trainer(model, data, { optimizer, batchSize: 2, epochs: 2 });
  };
  const first = create("1"),
    stateOf = ({ options: { optimizer } }: Trainer) =>
      Promise.all([...optimizer.stateDict()].map(async ([name, t]) => [name, await t.read()]));
  await first.step();
  const bytes = await saveCheckpoint(first), resumed = create("1");
  await loadCheckpoint(resumed, bytes);
  assertEquals(await stateOf(resumed), await stateOf(first));
  const message = "optimizer.velocity.weight is [2, 3], the optimizer expects [3, 2]";
  await assertRejects(() => loadCheckpoint(create("0"), bytes), FileError, message);
});

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
    return await first.parameters.weight.tensor!.read();
  };
  assertEquals(await train(true), await train(false));
});

Deno.test("a trainer rejects the optimizer of another model, or of a replaced layer", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const layers = () => new Sequential([new Flatten(), new Linear(2, 2)]).init(backend);
  using model = layers(), other = layers();
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const options = { batchSize: 2, epochs: 1 };
  const create = (optimizer: Optimizer) => new Trainer(model, data, { ...options, optimizer });
  const wrong = new SGD(other, { lr: 1 }), message = 'a parameter of the optimizer is "1.weight"';
  assertThrows(() => create(wrong), ArgumentError, message);
  create(new AdamW(new Map([["last", model.stateDict().get("1.weight")!]])));
  using classifier = createModel("alexnet-tiny").init(backend);
  const early = new SGD(classifier, { lr: 1 });
  const late = () => new Trainer(classifier, data, { ...options, optimizer: early });
  const trainer = late(); // before its model has another layer
  classifier.replaceHead(["ant", "bee"]);
  const replaced =
    'a parameter of the optimizer is "classifier.4.weight", must be one of the model';
  assertThrows(late, ArgumentError, replaced);
  await assertRejects(() => trainer.step(), ArgumentError, replaced);
});

Deno.test("a trainer refuses to train nothing", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend), optimizer = new SGD(model, { lr: 1 });
  const data = arrayDataset(new Float32Array(4), [0, 1], [2]);
  const create = () => new Trainer(model, data, { optimizer, batchSize: 2, epochs: 1 });
  const trainer = create(), message = "Trainer: the number of parameters to train is 0";
  model.freeze();
  assertThrows(create, ArgumentError, message);
  await assertRejects(() => trainer.step(), ArgumentError, message);
  model.unfreeze();
  await trainer.step();
});

Deno.test("a trainer forgets the input ranges behind trained layers", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const convolutions = [1, 2, 2].map((channels) => new Conv2d(channels, 2, 1));
  using model = new Sequential([...convolutions, new Flatten(), new Linear(2, 2)]).init(backend);
  const data = arrayDataset(new Float32Array(2), [0, 1], [1, 1, 1]);
  const rangesAfter = async (except: string[]) => {
    model.unfreeze().freeze({ except });
    using optimizer = new SGD(model, { lr: 1 });
    const trainer = new Trainer(model, data, { optimizer, batchSize: 2, epochs: 1 });
    const saved = await saveCheckpoint(trainer), kept: boolean[][] = [];
    for (const change of [() => trainer.step(), () => loadCheckpoint(trainer, saved)]) {
      for (const layer of convolutions) layer.inputRange = [0, 1];
      await change();
      kept.push(convolutions.map(({ inputRange }) => inputRange !== null));
    }
    assertEquals(kept[0], kept[1]);
    return kept[0];
  };
  assertEquals(await rangesAfter(["4"]), [true, true, true]);
  assertEquals(await rangesAfter(["1", "4"]), [true, true, false]);
  assertEquals(await rangesAfter(["0", "1", "2", "4"]), [true, false, false]);
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

Deno.test("a step whose gradients cannot be clipped changes no weights", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(1, 2).init(backend), optimizer = new SGD(model, { lr: 0.1 });
  const { weight, bias } = model.parameters, values = new Float32Array(2);
  for (const parameter of [weight, bias]) parameter.write(values);
  const data = arrayDataset(Float32Array.of(1e30), [0], [1]);
  const trainer = new Trainer(model, data, { optimizer, batchSize: 1, epochs: 1, clipNorm: 1 });
  const message = "Trainer: the norm of the gradients is Infinity in step 0";
  await assertRejects(() => trainer.step(), PembrokeError, message);
  assertEquals([await weight.tensor!.read(), optimizer.steps], [values, 0]);
});
