/** Running out of memory at every allocation: of operations, layers, training steps and loading. */

import type { Backend } from "../../src/backend/mod.ts";
import { Allocator } from "../../src/backend/wasm/allocator.ts";
import { WasmBackend } from "../../src/backend/wasm.ts";
import { PembrokeError } from "../../src/errors.ts";
import * as layers from "../../src/layers/mod.ts";
import { loadWeights } from "../../src/models/load.ts";
import { Tensor, type Values } from "../../src/tensor.ts";
import * as training from "../../src/train/mod.ts";
import { writeSafetensors } from "../../src/weights/mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { operationCalls } from "../ops/calls.ts";

/** Makes allocation number n fail from now on, until it is disposed. Counts from 1. */
function failAllocation(n: number): Disposable & { readonly failed: boolean } {
  const { prototype } = Allocator, { alloc } = prototype;
  let count = 0;
  prototype.alloc = function (bytes) {
    if (++count === n) throw new PembrokeError("out of memory: injected");
    return alloc.call(this, bytes);
  };
  return {
    get failed() {
      return count >= n;
    },
    [Symbol.dispose]: () => {
      prototype.alloc = alloc;
    },
  };
}

/**
 * Runs a function with each of its allocations failing once, until it succeeds. Returns the result.
 */
async function withEveryFault<T>(
  name: string,
  run: () => T | Promise<T>,
  afterFault: () => void | Promise<void>,
): Promise<T> {
  for (let n = 1; n < 200; n++) {
    using fault = failAllocation(n);
    let result: T;
    try {
      result = await run();
    } catch (error) {
      assert(error instanceof PembrokeError, `${name}, allocation ${n}: ${error}`);
      assert(fault.failed, `${name}: ${error}`);
      fault[Symbol.dispose]();
      await afterFault();
      continue;
    }
    assert(!fault.failed, `${name} hides that allocation ${n} failed`);
    return result;
  }
  throw new Error(`${name} allocates without end`);
}

/** Reads all tensors of a result. */
async function valuesOf(result: unknown): Promise<unknown> {
  if (result instanceof Tensor) return await (result as Tensor<Values>).read();
  if (typeof result !== "object" || result === null) return result;
  return await Promise.all(Object.values(result).map(valuesOf));
}

const { calls: { length } } = operationCalls(new WasmBackend());
for (let i = 0; i < length; i++) {
  const [name] = operationCalls(new WasmBackend()).calls[i];
  Deno.test(`${name}() leaks nothing wherever memory runs out`, async () => {
    using undisturbed = new WasmBackend(), backend = new WasmBackend();
    const [, expected, args] = operationCalls(undisturbed).calls[i];
    const [, call, ownArgs] = operationCalls(backend).calls[i];
    if (name === "half") return; // Wasm has none
    const before = backend.bytesInUse;
    const result = await withEveryFault(name, () => call(...ownArgs), () => {
      assertEquals(backend.bytesInUse, before, "bytes in use");
    });
    assertEquals(await valuesOf(result), await valuesOf(expected(...args)));
  });
}

function network(): layers.Sequential {
  return new layers.Sequential([
    new layers.Conv2d(2, 4, 3, { padding: 1 }),
    new layers.BatchNorm2d(4),
    new layers.ReLU(),
    new layers.LocalResponseNorm(3),
    new layers.MaxPool2d(2),
    new layers.Conv2d(4, 4, 3, { padding: 1, algorithm: "winograd" }),
    new layers.AvgPool2d(2),
    new layers.ConvTranspose2d(4, 4, 2, { stride: 2 }),
    new layers.GroupNorm(2, 4),
    new layers.Upsample({ scaleFactor: 2, mode: "bilinear" }),
    new layers.AdaptiveAvgPool2d(2),
    new layers.Flatten(),
    new layers.Dropout(0.5),
    new layers.Linear(16, 8),
    new layers.ReLU(),
    new layers.Linear(8, 3),
    new layers.LogSoftmax(1),
  ]);
}

const sample = Float32Array.from({ length: 2 * 2 * 8 * 8 }, (_, i) => Math.sin(i));

/** All parameters, with running statistics. */
async function parametersOf(model: layers.Layer): Promise<Float32Array[]> {
  return await Promise.all([...model.stateDict().values()].map(({ tensor }) => tensor!.read()));
}

Deno.test("init() leaves a network without values wherever memory runs out", async () => {
  using undisturbed = new WasmBackend(), backend = new WasmBackend();
  using expected = network().init(undisturbed), model = network();
  await withEveryFault("init", () => model.init(backend), () => {
    assertEquals(backend.bytesInUse, 0);
    assert([...model.stateDict().values()].every(({ tensor }) => tensor === undefined));
  });
  assertEquals(await parametersOf(model), await parametersOf(expected));
});

Deno.test("a forward pass leaks nothing wherever memory runs out", async () => {
  for (const quantized of [false, true]) {
    using undisturbed = new WasmBackend(), backend = new WasmBackend();
    using expected = network().init(undisturbed), model = network().init(backend);
    using x = backend.upload(sample, [2, 2, 8, 8]), input = undisturbed.upload(sample, x.shape);
    if (quantized) {
      expected.quantize();
      await withEveryFault("quantize", () => model.quantize(), () => {});
    }
    const before = backend.bytesInUse;
    let kept = 0;
    using y = await withEveryFault("forward", () => model.forward(x), () => {
      kept = Math.max(kept, backend.bytesInUse - before);
    });
    using expectedY = expected.forward(input);
    assertEquals(await y.read(), await expectedY.read());
    // packed weights and the plan stay for the next pass
    const warm = backend.bytesInUse - before - y.size * 4;
    assert(kept <= warm, `${kept} bytes after a failure, ${warm} after success`);
    model.dispose();
    x.dispose();
    y.dispose();
    assertEquals(backend.bytesInUse, 0);
  }
});

const optimizers = {
  SGD: (model: layers.Layer) => new training.SGD(model, { lr: 0.1, momentum: 0.9 }),
  AdamW: (model: layers.Layer) => new training.AdamW(model),
};
for (const [name, create] of Object.entries(optimizers)) {
  Deno.test(`a training step with ${name} can be repeated wherever memory runs out`, async () => {
    const dataset = training.arrayDataset(sample, [0, 2], [2, 8, 8]);
    const run = (backend: Backend) => {
      const model = network().init(backend), optimizer = create(model);
      const options = { optimizer, batchSize: 2, epochs: 1, clipNorm: 1 };
      return { model, optimizer, trainer: new training.Trainer(model, dataset, options) };
    };
    using undisturbed = new WasmBackend(), backend = new WasmBackend();
    const expected = run(undisturbed), actual = run(backend);
    const { loss } = await expected.trainer.step();
    const progress = await withEveryFault("step", () => actual.trainer.step(), () => {
      assertEquals(actual.optimizer.steps, 0);
      assertEquals(actual.trainer.state.batch, 0);
    });
    assertEquals(progress.loss, loss);
    assertEquals(await parametersOf(actual.model), await parametersOf(expected.model));
    actual.optimizer.dispose();
    actual.model.dispose();
    assertEquals(backend.bytesInUse, 0);
  });
}

Deno.test("loadWeights() leaves a network without values wherever memory runs out", async () => {
  for (const precision of ["f32", "int8"] as const) {
    using source = new WasmBackend(), backend = new WasmBackend();
    using trained = new layers.Linear(40, 30).init(source);
    const entries = await Promise.all(
      [...trained.stateDict()].map(async ([name, { shape, tensor }]) => ({
        name,
        dtype: "F32" as const,
        shape: [...shape],
        data: await tensor!.read(),
      })),
    );
    const bytes = writeSafetensors(entries);
    using model = new layers.Linear(40, 30, { precision });
    await withEveryFault("loadWeights", () => loadWeights(model, backend, bytes), () => {
      assertEquals(backend.bytesInUse, 0, precision);
    });
    if (precision === "f32") assertEquals(await parametersOf(model), await parametersOf(trained));
    using x = backend.upload(new Float32Array(40).fill(1), [1, 40]);
    using y = model.forward(x);
    assertEquals((await y.read()).length, 30);
  }
});
