/** Weights that PyTorch computes from other tensors: by normalisation and pruning. */

import { createBackend } from "../../../src/backend/mod.ts";
import { FileError } from "../../../src/errors.ts";
import {
  Conv2d,
  ConvTranspose2d,
  type Layer,
  Linear,
  Sequential,
} from "../../../src/layers/mod.ts";
import { loadWeights, openInput } from "../../../src/models/load.ts";
import { loadModel } from "../../../src/models/load_model.ts";
import { createModel } from "../../../src/models/registry.ts";
import { RandomGenerator } from "../../../src/random.ts";
import { convertWeights } from "../../../src/weights/convert.ts";
import type { TensorToWrite } from "../../../src/weights/io/file_writer.ts";
import { bytesSource, openWeights, writePth, writeSafetensors } from "../../../src/weights/mod.ts";
import { withComputedWeights } from "../../../src/weights/pth/parametrizations.ts";
import { assert, assertAllClose, assertEquals, assertRejects } from "../../assert.ts";
import { countedSource, fixture, floats, pth, py, readAll, tensor } from "../helpers.ts";

interface Expected {
  readonly shape: number[];
  readonly values: number[];
}

const expected: Readonly<Record<string, Readonly<Record<string, Expected>>>> = JSON.parse(
  new TextDecoder().decode(await fixture("expected.json")),
);

/** Loads a fixture in both formats, and as a stream, and compares all parameters. */
async function checkFixture(name: string, layers: () => Layer[]) {
  using backend = await createBackend({ threads: 1 });
  const zip = await fixture(`${name}.pth`);
  const inputs = [zip, await fixture(`${name}_legacy.pth`), new Response(zip)];
  for (const input of inputs) {
    using model = new Sequential(layers());
    await loadWeights(model, backend, input);
    assertEquals([...model.stateDict().keys()], Object.keys(expected[name]));
    for (const [key, { shape, tensor }] of model.stateDict()) {
      assertEquals(shape, expected[name][key].shape);
      const { values } = expected[name][key];
      assertAllClose(await tensor!.read(), values, { rel: 1e-6, abs: 1e-7, name: key });
    }
  }
  // the tensors of the file itself stay visible
  using file = await openWeights(bytesSource(zip));
  assert(file.entries.has("0.weight_g") && !file.entries.has("0.weight"));
}

Deno.test("weights are those that PyTorch computes by weight normalisation", async () => {
  await checkFixture(
    "weight_norm",
    () => [new Conv2d(3, 4, 3), new Linear(6, 3), new Linear(3, 2)],
  );
});

Deno.test("weights are those of norms along other axes, spectral norms and pruning", async () => {
  await checkFixture("parametrizations", () => [
    new Conv2d(3, 4, 3), // a norm for each input
    new Conv2d(4, 4, [1, 2]), // for each column
    new Linear(6, 3), // for all weights
    new Linear(3, 2),
    new Conv2d(2, 3, 3), // spectral norms
    new ConvTranspose2d(3, 3, 2),
    new Linear(5, 4),
    new Conv2d(3, 3, 2),
    new ConvTranspose2d(2, 3, 2),
    new Conv2d(2, 3, 3), // pruning
    new Linear(5, 4),
  ]);
});

/** A network's tensors, with norms and directions in place of the weight of one layer. */
async function normalised(prefix: string) {
  using backend = await createBackend({ threads: 1 });
  using model = createModel("alexnet-tiny").init(backend, { seed: 1 });
  const tensors: TensorToWrite[] = [];
  const add = (name: string, shape: readonly number[], data: Float32Array) =>
    tensors.push({ name: `${prefix}${name}`, dtype: "F32", shape, data });
  for (const [name, { shape, tensor }] of model.stateDict()) {
    const values = await tensor!.read();
    if (!/^classifier.*weight$/.test(name)) add(name, shape, values);
    else { // directions half as long as the weights
      const [count] = shape, size = values.length / count;
      const norms = Float32Array.from(
        { length: count },
        (_, i) => Math.hypot(...values.subarray(i * size, (i + 1) * size)),
      );
      add(`${name}_g`, shape.map((size, axis) => axis === 0 ? size : 1), norms);
      add(`${name}_v`, shape, values.map((value) => value / 2));
    }
  }
  const state = new Map<string, Float32Array>();
  for (const [name, { tensor }] of model.stateDict()) state.set(name, await tensor!.read());
  return { tensors, state };
}

Deno.test("networks with weight normalisation are recognised, in chunks and under prefixes", async () => {
  using backend = await createBackend({ threads: 1 });
  const { tensors, state } = await normalised("module.");
  for (const weights of [writePth(tensors), writeSafetensors(tensors)]) {
    using model = await loadModel({ backend, weights });
    assertEquals([model.network, model.numClasses], ["alexnet-tiny", 200]);
    for (const [name, { tensor }] of model.stateDict()) {
      assertAllClose(await tensor!.read(), state.get(name)!, { rel: 1e-5, name });
    }
  }
  // as `convert` does
  using file = await openInput(writePth(tensors));
  assertEquals(new Set(file.entries.keys()), new Set(state.keys()));
  let largest = 0;
  await file.read("classifier.1.weight", ({ length }) => largest = Math.max(largest, length));
  assertEquals(largest, 1 << 16);
  const written = new Uint8Array(1 << 25);
  const sink = { write: (at: number, bytes: Uint8Array) => written.set(bytes, at) };
  const size = await convertWeights(file, sink, { precision: "f32" });
  using same = await openWeights(bytesSource(written.subarray(0, size)));
  for (const [name, values] of state) {
    assertAllClose(await readAll(same, name), values, { rel: 1e-5, name });
  }
});

/** A product of a matrix or its transpose with a vector, scaled to a length of one. */
function normalisedProduct(
  vector: Float32Array,
  length: number,
  at: (i: number, j: number) => number,
) {
  const product = Float32Array.from(
    { length },
    (_, i) => vector.reduce((sum, value, j) => sum + value * at(i, j), 0),
  );
  const norm = Math.hypot(...product);
  return product.map((value) => value / norm);
}

Deno.test("a spectral norm is along the axis that PyTorch has computed its vectors for", async () => {
  const size = 3, inner = 2, shape = [size, size, 1, 2], columns = size * inner;
  const random = new RandomGenerator(1),
    normal = (length: number) => {
      const values = new Float32Array(length);
      random.normal(values, 0, 1);
      return values;
    };
  const tensors: TensorToWrite[] = [], expected = new Map<string, Float32Array>();
  const add = (name: string, shape: readonly number[], data: Float32Array) =>
    tensors.push({ name, dtype: "F32", shape, data });
  for (let i = 0; i < 100; i++) {
    const axis = i % 2, isFirst = i % 4 < 2, data = normal(size * columns);
    const element = (row: number, column: number) =>
      data[
        axis === 0
          ? row * columns + column
          : (Math.floor(column / inner) * size + row) * inner + column % inner
      ];
    let u = normal(size), v = normal(columns);
    const computeU = () => u = normalisedProduct(v, size, element);
    const computeV = () => v = normalisedProduct(u, columns, (i, j) => element(j, i));
    if (isFirst) [computeV, computeU].forEach((compute) => compute()); // as spectral_norm()
    else [computeU, computeV].forEach((compute) => compute()); // as its parametrization
    const product = u.reduce(
      (sum, value, row) =>
        sum + v.reduce((sum, other, column) => sum + value * element(row, column) * other, 0),
      0,
    );
    const stem = isFirst ? `${i}.weight_` : `${i}.parametrizations.weight.`;
    add(`${stem}${isFirst ? "orig" : "original"}`, shape, data);
    add(`${stem}${isFirst ? "u" : "0._u"}`, [size], u);
    add(`${stem}${isFirst ? "v" : "0._v"}`, [columns], v);
    expected.set(`${i}.weight`, data.map((value) => value / product));
  }
  using file = await openInput(writePth(tensors));
  for (const [name, values] of expected) {
    assertAllClose(await readAll(file, name), values, { rel: 1e-4, name });
  }
});

Deno.test("a spectral norm that fits both axes is refused, unless both give the same weights", async () => {
  const read = async (data: number[], u: number[], v: number[]) => {
    const floats = Object.entries({ orig: data, u, v });
    using file = await openInput(writeSafetensors(floats.map(([end, values]) => ({
      ...{ name: `fc.weight_${end}`, dtype: "F32" as const },
      shape: end === "orig" ? [2, 2] : [2],
      data: Float32Array.from(values),
    }))));
    return [...await readAll(file, "fc.weight")];
  };
  assertEquals(await read([2, 0, 0, 1], [1, 0], [1, 0]), [1, 0, 0, 0.5]);
  const error = await assertRejects(() => read([1, 2, 3, 4], [0.6, 0.8], [0.8, -0.6]), FileError);
  assertEquals(
    error.message,
    "weights: fc.weight may have a spectral norm along either axis: remove the norm before you save " +
      "it in PyTorch",
  );
});

Deno.test("a tensor from which a weight is computed may be computed itself", async () => {
  const tensor = (name: string, shape: number[], ...values: number[]) => ({
    ...{ name, shape, dtype: "F32" as const, data: new Float32Array(values) },
  });
  const tensors = [
    tensor("a.weight_g", [2, 1], 10, 20), // weight_norm() before pruning
    tensor("a.weight_v_orig", [2, 2], 3, 4, 6, 8),
    tensor("a.weight_v_mask", [2, 2], 1, 1, 1, 0),
    tensor("b.weight_orig_orig", [2, 2], 2, 5, 0, 1), // spectral_norm() before pruning
    tensor("b.weight_orig_mask", [2, 2], 1, 0, 1, 1),
    tensor("b.weight_u", [2], 1, 0),
    tensor("b.weight_v", [2], 1, 0),
    tensor("c.weight_g_orig", [2, 1], 10, 20), // the norms pruned
    tensor("c.weight_g_mask", [2, 1], 1, 0),
    tensor("c.weight_v", [2, 2], 3, 4, 6, 8),
    tensor("d.weight_g_orig", [2, 1], 10, 20), // both pruned
    tensor("d.weight_g_mask", [2, 1], 0, 1),
    tensor("d.weight_v_orig", [2, 2], 3, 4, 6, 8),
    tensor("d.weight_v_mask", [2, 2], 1, 1, 0, 1),
    tensor("e.parametrizations.weight.original0", [2, 1], 10, 20),
    tensor("e.parametrizations.weight.original1_orig", [2, 2], 3, 4, 6, 8),
    tensor("e.parametrizations.weight.original1_mask", [2, 2], 1, 1, 1, 0),
    tensor("f.parametrizations.weight.original_orig", [2, 2], 2, 5, 0, 1),
    tensor("f.parametrizations.weight.original_mask", [2, 2], 1, 0, 1, 1),
    tensor("f.parametrizations.weight.0._u", [2], 1, 0),
    tensor("f.parametrizations.weight.0._v", [2], 1, 0),
  ];
  const normalised = [6, 8, 20, 0], spectral = [1, 0, 0, 0.5];
  const expected = {
    ...{ "a.weight": normalised, "b.weight": spectral },
    ...{ "c.weight": [6, 8, 0, 0], "d.weight": [0, 0, 0, 20] },
    ...{ "e.weight": normalised, "f.weight": spectral },
  };
  for (const input of [writePth(tensors), new Response(writeSafetensors(tensors))]) {
    using file = await openInput(input);
    const found: Record<string, number[]> = {};
    for (const name of file.order) found[name] = [...await readAll(file, name)];
    assertEquals(found, expected);
  }
});

Deno.test("other tensors with such names are left as they are", async () => {
  const tensor = (name: string, ...shape: number[]) => ({
    ...{ name, shape, dtype: "F32" as const },
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1),
  });
  const cases = [
    [tensor("fc.weight_g", 2, 3), tensor("fc.weight_v", 2, 3)],
    [tensor("fc.weight_g", 3), tensor("fc.weight_v", 2, 3)],
    [tensor("fc.weight_g", 2, 1)],
    [tensor("fc.weight_v", 2, 3)],
    [tensor("fc.weight_g", 2, 1), tensor("fc.weight_v", 2, 3), tensor("fc.weight", 2, 3)],
    [tensor("fc.parametrizations.weight.original0", 2, 3)],
    [tensor("fc.parametrizations.weight.original", 2, 3)], // a method of the user's own
    [tensor("some_weight_g", 2, 1), tensor("some_weight_v", 2, 3)],
    [tensor("fc.weight_orig", 2, 3)],
    [tensor("fc.weight_orig", 2, 3), tensor("fc.weight_mask", 3, 2)],
    [tensor("fc.weight_orig", 2, 3), tensor("fc.weight_u", 2), tensor("fc.weight_v", 2)],
    [tensor("fc.weight_orig", 2, 3), tensor("fc.weight_u", 6), tensor("fc.weight_v", 1)],
    [ // two methods at once
      ...[tensor("fc.weight_orig", 2, 3), tensor("fc.weight_mask", 2, 3)],
      ...[tensor("fc.weight_u", 2), tensor("fc.weight_v", 3)],
    ],
  ];
  for (const tensors of cases) {
    using file = await openWeights(bytesSource(writePth(tensors)));
    assert(withComputedWeights(file) === file);
  }
  { // a second way to compute the same weight
    const parts = ["fc.weight_g", "fc.parametrizations.weight.original0"];
    const others = ["fc.weight_v", "fc.parametrizations.weight.original1"];
    const tensors = [
      ...parts.map((name) => tensor(name, 2, 1)),
      ...others.map((name) => tensor(name, 2, 3)),
    ];
    using file = await openInput(writePth(tensors));
    assertEquals(file.order, [parts[1], "fc.weight", others[1]]);
  }
  using backend = await createBackend({ threads: 1 });
  using model = new Sequential({ fc: new Linear(3, 2, { bias: false }) });
  const error = await assertRejects(
    () => loadWeights(model, backend, writePth(cases[0])),
    FileError,
  );
  assertEquals(
    error.message,
    "weights: its first tensor is fc.weight_g, Sequential starts with fc.weight: fc.weight_g is not " +
      "the weight itself: before you save it in PyTorch, remove its parametrizations and " +
      "pruning, or export the network as ONNX",
  );
});

Deno.test("many computed weights take little time", async () => {
  const tensors = Array.from({ length: 10_000 }, (_, i) =>
    ["orig", "mask"].map((end) => ({
      ...{ name: `${i}.weight_${end}`, dtype: "F32" as const, shape: [1] },
      data: new Float32Array([end === "orig" ? i : 1]),
    })));
  using file = await openInput(writeSafetensors(tensors.flat()));
  const begin = performance.now();
  for (const name of file.order) {
    await file.read(name, ([value]) => assert(name === `${value}.weight`, name));
  }
  assertEquals(file.order.length, 10_000);
  assert(performance.now() - begin < 3000);
});

Deno.test("fused tensors whose parts are needed together are read once", async () => {
  const [rows, parts] = [50, 200], count = rows * parts, factors = [1, 2, 3];
  const part = (i: number, name: string, key: string): [Uint8Array, Uint8Array] => [
    py.text(`${i}.weight_${name}`),
    tensor({ key, count, shape: [rows, 1], stride: [parts, 1], offset: i }),
  ];
  const entries = Array.from({ length: parts }, (_, i) => [
    part(i, "orig", "0"),
    part(i, "mask", "1"),
  ]);
  const data = (value: (i: number) => number) =>
    new Uint8Array(Float32Array.from({ length: count }, (_, i) => value(i)).buffer);
  const source = countedSource(
    pth(py.dict(...entries.flat()), data((i) => i), [
      { name: "x/data/1", data: data((i) => factors[i % 3]) },
    ]),
  );
  using file = await openInput(source);
  source.total = 0;
  for (const [i, name] of file.order.entries()) {
    const at = Array.from({ length: rows }, (_, row) => row * parts + i);
    assertEquals([...await readAll(file, name)], at.map((j) => j * factors[j % 3]));
  }
  assertEquals([file.order.length, source.total], [parts, 2 * 4 * count]);
});

Deno.test("parts of a weight may be far apart in a stream", async () => {
  // sorted as text, storage 10 is the second, and 9 the last
  const entries: [Uint8Array, Uint8Array][] = Array.from({ length: 9 }, (_, i) => [
    py.text(`${i}.bias`),
    tensor({ key: `${i}`, count: 1e6, shape: [1e6], stride: [1] }),
  ]);
  entries.push(
    [py.text("9.weight_g"), tensor({ key: "9", count: 2, shape: [2, 1], stride: [1, 1] })],
    [py.text("9.weight_v"), tensor({ key: "10" })],
  );
  const item = (key: number, ...values: number[]) => ({
    name: `x/data/${key}`,
    data: values.length ? floats(...values) : new Uint8Array(4e6),
  });
  const more = [item(1), item(10, 3, 4, 6, 8), ...[2, 3, 4, 5, 6, 7, 8].map((key) => item(key))];
  const bytes = pth(py.dict(...entries), new Uint8Array(4e6), [...more, item(9, 10, 20)]);
  using file = await openInput(new Response(bytes));
  assertEquals(file.entries.get("9.weight"), { name: "9.weight", dtype: "F32", shape: [2, 2] });
  for (const name of file.order) {
    const values = await readAll(file, name);
    assertEquals([...values.subarray(0, 4)], name === "9.weight" ? [6, 8, 12, 16] : [0, 0, 0, 0]);
  }
});
