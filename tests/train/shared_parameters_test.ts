/** Parameters that two layers share: they have two names, and everything else happens once. */

import { type Backend, createBackend } from "../../src/backend/mod.ts";
import { PembrokeError } from "../../src/errors.ts";
import { Layer, Linear, Parameter, parameterCount, Sequential } from "../../src/layers/mod.ts";
import { summarize } from "../../src/models/summary.ts";
import { linear, linearBackwardInput, linearBackwardWeight } from "../../src/ops/mod.ts";
import type { Shape, Tensor } from "../../src/tensor.ts";
import {
  AdamW,
  arrayDataset,
  clipGradNorm,
  loadCheckpoint,
  type Optimizer,
  saveCheckpoint,
  SGD,
  Trainer,
} from "../../src/train/mod.ts";
import {
  bytesSource,
  openWeights,
  type TensorToWrite,
  writeSafetensors,
} from "../../src/weights/mod.ts";
import { assertAllClose, assertEquals, assertRejects } from "../assert.ts";

/** Multiplies by the weights of another layer once more. It also has a running statistic. */
class Again extends Layer {
  override readonly type = "Again";
  override readonly parameters: Readonly<Record<string, Parameter>>;

  constructor({ parameters: { weight } }: Linear, mean: Parameter) {
    super();
    this.parameters = { weight, mean };
  }

  override outputShape(input: Shape): Shape {
    return input;
  }

  override forward(x: Tensor): Tensor {
    this.save(x);
    return linear(x, this.value("weight"), null);
  }

  override backward(dy: Tensor): Tensor {
    const [x] = this.recall();
    linearBackwardWeight(dy, x, { into: this.gradientOf("weight") });
    return linearBackwardInput(dy, this.value("weight"));
  }
}

/** Bytes of each of these small tensors in the memory of a backend. */
const blockSize = 64;

/** y = W W W x, with one W of 3 × 3 and one running statistic, which both have two names. */
function tied(backend: Backend) {
  const first = new Linear(3, 3, { bias: false });
  const mean = new Parameter([1], (values) => values.fill(0), { isBuffer: true });
  return new Sequential([first, new Again(first, mean), new Again(first, mean)])
    .init(backend, { seed: 5 });
}

const values = Float32Array.from({ length: 4 * 3 }, (_, i) => Math.sin(i * i));
const data = arrayDataset(values, [0, 1, 2, 1], [3]);

Deno.test("the state dict has all names of a shared parameter, and others count it once", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = tied(backend);
  assertEquals(backend.bytesInUse, 2 * blockSize); // one weight, and one running statistic
  using alone = new Linear(3, 3, { bias: false }).init(backend, { seed: 5 });
  const names = ["0.weight", "1.weight", "1.mean", "2.weight", "2.mean"];
  assertEquals([...model.stateDict().keys()], names);
  assertEquals(parameterCount(model), 10);
  const { parameters, layers } = summarize(model, [1, 3]);
  assertEquals([parameters, ...layers.map(({ parameters }) => parameters)], [9, 9, 0, 0]);
  const weight = model.stateDict().get("2.weight")!.tensor!;
  assertEquals(await weight.read(), await alone.parameters.weight.tensor!.read());
});

Deno.test("optimizers update a shared parameter once, and its gradient is clipped once", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = tied(backend), x = backend.upload(values, [4, 3]);
  using _y = model.train().forward(x), dy = backend.upload(values.map(Math.cos), [4, 3]);
  model.backwardParameters(dy);
  const weight = model.stateDict().get("0.weight")!, before = await weight.tensor!.read();
  const gradient = await weight.grad!.read(), norm = Math.hypot(...gradient);

  assertAllClose([await clipGradNorm(model, norm / 2)], [norm], { abs: 1e-5 });
  assertAllClose(await weight.grad!.read(), gradient.map((g) => g / 2), { abs: 1e-5 });

  using sgd = new SGD(model, { lr: 0.1, momentum: 0.9 });
  sgd.step();
  const after = await weight.tensor!.read();
  assertAllClose(after, before.map((w, i) => w - 0.1 * gradient[i] / 2), { abs: 1e-6 });
  assertEquals([...sgd.stateDict().keys()], ["velocity.0.weight"]);

  using adamw = new AdamW(model, { lr: 0.1, weightDecay: 0 });
  adamw.step(); // whose first step is the learning rate, whatever the gradient is
  const moved = after.map((w, i) => w - 0.1 * Math.sign(gradient[i]));
  assertAllClose(await weight.tensor!.read(), moved, { abs: 1e-5 });
  assertEquals([...adamw.stateDict().keys()], ["mean.0.weight", "square.0.weight"]);
});

/** Begins a run, which the caller disposes of. */
function begin(backend: Backend, create: (model: Layer) => Optimizer) {
  const model = tied(backend), optimizer = create(model);
  const options = { optimizer, batchSize: 2, epochs: 9, emaDecay: 0.9, clipNorm: 0.1 };
  const trainer = new Trainer(model, data, options);
  const dispose = () => [model, optimizer, trainer].forEach((part) => part.dispose());
  return { model, optimizer, trainer, [Symbol.dispose]: dispose };
}

/** All values of a run by name: parameters, averages and the states of the optimizer. */
async function valuesOf({ trainer }: { trainer: Trainer }): Promise<Record<string, number[]>> {
  using file = await openWeights(bytesSource(await saveCheckpoint(trainer)));
  const all: Record<string, number[]> = {};
  for (const name of file.entries.keys()) {
    await file.read(name, (values) => void (all[name] = [...values]));
  }
  return all;
}

/** A checkpoint as earlier versions wrote it: with states and averages for all names. */
async function withAllNames(bytes: Uint8Array): Promise<Uint8Array> {
  using file = await openWeights(bytesSource(bytes));
  const tensors: TensorToWrite[] = [];
  for (const [name, { shape }] of file.entries) {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    await file.read(name, (values, offset) => data.set(values, offset));
    const names = /^(optimizer|average)/.test(name) ? [0, 1, 2] : [name[0]];
    for (const layer of names) {
      tensors.push({ name: name.replace(/[0-2]/, `${layer}`), dtype: "F32", shape, data });
    }
  }
  const unique = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  unique.delete("average.0.mean");
  return writeSafetensors([...unique.values()], Object.fromEntries(file.metadata));
}

Deno.test("runs with shared parameters resume, also from older checkpoints", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  const optimizers = [
    (model: Layer) => new SGD(model, { lr: 0.1, momentum: 0.9 }),
    (model: Layer) => new AdamW(model, { lr: 0.1 }),
  ];
  for (const create of optimizers) {
    using whole = begin(backend, create);
    for (let step = 0; step < 3; step++) await whole.trainer.step();
    const saved = await saveCheckpoint(whole.trainer), names = Object.keys(await valuesOf(whole));
    assertEquals(names.filter((name) => name.startsWith("average")).length, 2);
    await whole.trainer.step();
    for (const bytes of [saved, await withAllNames(saved)]) {
      using resumed = begin(backend, create);
      const before = backend.bytesInUse;
      await loadCheckpoint(resumed.trainer, bytes);
      const states = (backend.bytesInUse - before) / blockSize;
      await resumed.trainer.step();
      assertEquals(await valuesOf(resumed), await valuesOf(whole));
      assertEquals(states, names.filter((name) => !/^[0-2]/.test(name)).length);
    }
  }
});

Deno.test("a step that fails with a shared running statistic frees its copies", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = tied(backend), optimizer = new SGD(model, { lr: 1 });
  const broken = { ...data, read: () => 3 }; // there are three classes
  using trainer = new Trainer(model, broken, { optimizer, batchSize: 2, epochs: 1 });
  await assertRejects(() => trainer.step(), PembrokeError, "a target is 3");
  const before = backend.bytesInUse;
  await assertRejects(() => trainer.step(), PembrokeError, "a target is 3");
  assertEquals(backend.bytesInUse, before);
});
