/** saveWeights() and loadWeights() with networks of one's own. */

import { createBackend } from "../../src/backend/mod.ts";
import { ArgumentError, FileError, PembrokeError } from "../../src/errors.ts";
import {
  Add,
  BatchNorm2d,
  Conv2d,
  Flatten,
  Graph,
  type Layer,
  Linear,
  ReLU,
  Sequential,
} from "../../src/layers/mod.ts";
import {
  Classifier,
  createModel,
  loadWeights,
  saveModel,
  saveWeights,
} from "../../src/models/mod.ts";
import { bytesSource, openWeights } from "../../src/weights/mod.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";

const preprocessing = { resize: 4, crop: 4, mean: [0, 0, 0], std: [1, 1, 1] } as const;

/** Networks of one's own, with and without a container. */
const networks: (() => Layer)[] = [
  () => new Linear(3, 2),
  () => new BatchNorm2d(3),
  () => new Sequential([new Conv2d(3, 4, 3), new BatchNorm2d(4), new ReLU(), new Flatten()]),
  () =>
    new Graph([
      { name: "block", layer: new Sequential([new Conv2d(1, 1, 1), new ReLU()]) },
      { name: "sum", layer: new Add(), inputs: ["block", "input"] },
    ]),
  () => new Classifier([new Flatten(), new Linear(48, 2)], { preprocessing, classes: ["a", "b"] }),
];

async function valuesOf(model: Layer): Promise<[string, number[]][]> {
  const values: [string, number[]][] = [];
  for (const [name, { tensor }] of model.stateDict()) {
    values.push([name, [...await tensor!.read()]]);
  }
  return values;
}

testOnEveryBackend("loadWeights() reads what saveWeights() wrote", async (backend) => {
  for (const create of networks) {
    using model = create().init(backend, { seed: 1 });
    for (const { isBuffer, tensor } of model.stateDict().values()) {
      if (isBuffer) backend.write(tensor!, Float32Array.from({ length: tensor!.size }, Math.cos));
    }
    const expected = await valuesOf(model), file = await saveWeights(model);
    using same = create();
    await loadWeights(same, backend, file);
    assertEquals(await valuesOf(same), expected);
    assertEquals(await valuesOf(model), expected);
    using opened = await openWeights(bytesSource(file));
    assertEquals([opened.format, opened.metadata.size], ["safetensors", 0]);
    assertEquals([...opened.entries.keys()].sort(), expected.map(([name]) => name).sort());
  }
});

Deno.test("saveWeights() refuses what it cannot save", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  for (const wrong of [null, {}, new Map()] as unknown as Layer[]) {
    await assertRejects(() => saveWeights(wrong), ArgumentError, "saveWeights: model is");
  }
  await assertRejects(() => saveWeights(new ReLU()), PembrokeError, "ReLU has no weights");
  const text = "saveWeights: 0.weight has no float32 values; call init() or load weights in f32";
  const empty = new Sequential([new Linear(2, 2)]);
  await assertRejects(() => saveWeights(empty), PembrokeError, text);
  using rounded = new Sequential([new Linear(2, 2, { precision: "int8" })]).init(backend);
  await assertRejects(() => saveWeights(rounded), PembrokeError, text);
});

Deno.test("saveWeights() refuses weights that change meanwhile", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using model = new Linear(2, 2).init(backend);
  const saved = saveWeights(model);
  model.parameters.weight.write(new Float32Array(4));
  await assertRejects(() => saved, PembrokeError, "saveWeights: the weights changed meanwhile");

  const file = await saveWeights(model), refused: Promise<unknown>[] = [];
  const text = "other weights are being loaded";
  const onProgress = () =>
    void refused.push(assertRejects(() => saveWeights(model), PembrokeError, text));
  await loadWeights(model, backend, file, { onProgress });
  assertEquals((await Promise.all(refused)).length, 2);
});

Deno.test("saveModel() names saveWeights() for networks that it cannot save", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using own = new Sequential([new Linear(2, 2)]).init(backend);
  await assertRejects(
    () => saveModel(own as unknown as Classifier),
    ArgumentError,
    "saveModel: model is [object Sequential], must be a Classifier; for other networks, use saveWeights()",
  );
  using classifier = networks.at(-1)!().init(backend) as Classifier;
  const text = "cannot save Classifier, only networks of createModel(); use saveWeights()";
  await assertRejects(() => saveModel(classifier), PembrokeError, text);
  using known = createModel("alexnet-tiny").init(backend);
  using same = createModel("alexnet-tiny");
  await loadWeights(same, backend, await saveWeights(known));
  assertEquals(await valuesOf(same.head.layer), await valuesOf(known.head.layer));
});

Deno.test("loadWeights() names what a file for another network lacks, and what is left over", async () => {
  using backend = await createBackend({ device: "wasm", threads: 1 });
  using two = new Sequential([new Linear(2, 3), new ReLU(), new Linear(3, 2)]).init(backend);
  using one = new Linear(2, 3).init(backend);
  const file = await saveWeights(two), before = await valuesOf(one);
  const load = () => loadWeights(one, backend, file);
  const error = await assertRejects(load, FileError);
  assertEquals(
    error.message,
    "weights: missing weight, bias; left over 0.weight, 0.bias, 2.weight (and 1 more): the names " +
      "must be those of stateDict() of Linear",
  );
  assertEquals(await valuesOf(one), before);
  const other = new Classifier([new Flatten(), new Linear(4, 2)], { preprocessing, classes: [] });
  const text = "missing 1.weight, 1.bias; left over 0.weight, 0.bias, 2.weight (and 1 more)";
  await assertRejects(() => loadWeights(other, backend, file), FileError, text);
});
