/** ONNX models with attention give the results of PyTorch, and their gradients are right. */

import { createBackend } from "../../../src/backend/mod.ts";
import type { Backend } from "../../../src/backend/mod.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { OnnxNetwork } from "../../../src/models/onnx/network.ts";
import { elements } from "../../../src/tensor.ts";
import { assert, assertAllClose, assertEquals } from "../../assert.ts";
import { testOnEveryBackend } from "../../backends.ts";
import expected from "../../fixtures/onnx/attention/expected.json" with { type: "json" };
import { fixture, formula } from "./models.ts";

async function load(backend: Backend, file: string): Promise<OnnxNetwork> {
  const network = await loadModel({ backend, weights: fixture(`attention/${file}.onnx`) });
  assert(network instanceof OnnxNetwork);
  return network;
}

/** Computes three samples together, then one by one. */
async function check(backend: Backend, { file, shape, output, data }: typeof expected[number]) {
  using network = await load(backend, file);
  const values = formula(shape, 2), size = elements(shape) / 3, scores = data.length / 3;
  for (const [first, count] of [[0, 3], [0, 1], [1, 1], [2, 1]]) {
    const part = values.slice(first * size, (first + count) * size);
    using x = backend.upload(part, shape.with(0, count)), y = network.forward(x);
    assertEquals(y.shape, output.with(0, count), file);
    const own = data.slice(first * scores, (first + count) * scores);
    assertAllClose(await y.read(), own, {
      abs: 1e-5 * Math.max(...data.map(Math.abs)),
      name: file,
    });
  }
}

const onEveryBackend = ["transformer_13", "windows_17", "sums_13"];
for (const model of expected) {
  const { file } = model, name = `${file}.onnx gives the results of PyTorch`;
  if (onEveryBackend.includes(file)) testOnEveryBackend(name, (backend) => check(backend, model));
  else {
    Deno.test(name, async () => {
      using backend = await createBackend({ threads: 1 });
      await check(backend, model);
      assertEquals(backend.bytesInUse, 0);
    });
  }
}

Deno.test("gradients of attention match finite differences", async () => {
  using backend = await createBackend({ threads: 1 });
  for (const { file, shape, output } of expected) {
    using network = await load(backend, file);
    network.train();
    const values = formula(shape, 2), weights = formula(output, 1);
    const forward = async () => {
      using x = backend.upload(values, shape), y = network.forward(x);
      const scores = await y.read();
      return scores.reduce((sum, score, i) => sum + score * weights[i], 0);
    };
    using x = backend.upload(values, shape), y = network.forward(x);
    using dy = backend.upload(weights, y.shape), dx = network.backward(dy);
    const gradient = await dx.read(), largest = Math.max(...gradient.map(Math.abs));
    for (let i = 5; i < values.length; i += Math.floor(values.length / 7)) {
      const old = values[i], h = 4e-3;
      values[i] = old + h;
      const above = await forward();
      values[i] = old - h;
      const below = await forward();
      values[i] = old;
      const limits = { abs: 0.03 * largest, name: `${file} ${i}` };
      assertAllClose([gradient[i]], [(above - below) / (2 * h)], limits);
    }
    network.eval();
  }
  assertEquals(backend.bytesInUse, 0);
});
