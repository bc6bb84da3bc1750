/** Classifiers return logits, also where more than a softmax ends the graph. */

import { createBackend } from "../../../src/backend/mod.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { OnnxNetwork } from "../../../src/models/onnx/network.ts";
import { assert, assertAllClose, assertEquals } from "../../assert.ts";
import {
  field,
  floats,
  integers,
  node,
  type Parts,
  port,
  tensor,
} from "../../weights/onnx/helpers.ts";
import { run, smallModel } from "./models.ts";

/** Logits of five classes, [1, 5, 1, 1]. */
const body = [
  node("GlobalAveragePool", ["x"], ["p"]),
  node("Conv", ["p", "w"], ["c"]),
];

const weight = Array.from({ length: 15 }, (_, i) => i % 4 - 1);

const softmax = (from: string, to: string, axis: number) => node("Softmax", [from], [to], { axis });

const flat = (from: string, to: string) => node("Reshape", [from, "flat"], [to]);

/** Rounds to 8 bits. */
const rounded = (from: string, to: string) => [
  node("QuantizeLinear", [from, "scale", "zero"], ["q"]),
  node("DequantizeLinear", ["q", "scale", "zero"], [to]),
];

Deno.test("the softmax of classes is left out before views and rounding", async () => {
  using backend = await createBackend({ threads: 1 });
  const check = async (
    tail: Parts["nodes"] & object,
    layers: string,
    precision?: "f32" | "int8",
  ) => {
    const weights = smallModel({
      nodes: [...body, ...tail],
      tensors: [
        floats("w", [5, 3, 1, 1], ...weight),
        integers("flat", -1, 5),
        floats("scale", [], 1 / 256),
        tensor("zero", [], 2, field(9, Uint8Array.of(0))),
      ],
    });
    using network = await loadModel({ backend, weights, precision });
    assert(network instanceof OnnxNetwork);
    const types = network.nodes.map(({ layer }) => layer.type).slice(2).join(" ");
    assertEquals(types, layers);
    using x = backend.upload(Float32Array.from({ length: 48 }, (_, i) => i), [1, 3, 4, 4]);
    using y = network.forward(x);
    const means = [7.5, 23.5, 39.5];
    const logits = Array.from(
      { length: 5 },
      (_, k) => means.reduce((sum, mean, c) => sum + mean * weight[3 * k + c], 0),
    );
    assertAllClose(await y.read(), logits, { abs: precision === "int8" ? 0.01 : 1e-4 });
  };
  await check([softmax("c", "s", 1), flat("s", "y")], "Flatten");
  await check([softmax("c", "s", 1), node("Flatten", ["s"], ["y"])], "Flatten");
  await check([softmax("c", "y", 1)], "");
  const last = node("Transpose", ["c"], ["t"], { perm: [0, 2, 3, 1] });
  await check([last, node("LogSoftmax", ["t"], ["s"], { axis: -1 }), flat("s", "y")], "Flatten");
  const tail = [flat("c", "f"), softmax("f", "s", -1), ...rounded("s", "y")];
  await check(tail, "Flatten", "f32");
  await check(tail, "Flatten", "int8");
  const whole = [softmax("c", "s", 1), ...rounded("s", "r"), flat("r", "y")];
  await check(whole, "Flatten", "f32");
});

Deno.test("the classes of a sigmoid have probabilities of their own", async () => {
  using backend = await createBackend({ threads: 1 });
  const sigmoid = node("Sigmoid", ["f"], ["s"]);
  for (const tail of [[flat("s", "y")], rounded("s", "y")]) {
    const weights = smallModel({
      nodes: [...body, flat("c", "f"), sigmoid, ...tail],
      tensors: [
        floats("w", [5, 3, 1, 1], ...weight.map((value) => value / 20)),
        integers("flat", -1, 5),
        floats("scale", [], 1 / 256),
        tensor("zero", [], 2, field(9, Uint8Array.of(0))),
      ],
    });
    for (const precision of ["f32", "int8"] as const) {
      using network = await loadModel({ backend, weights, precision });
      const x = Float32Array.from({ length: 48 }, (_, i) => i / 20);
      const predictions = await network.classify(x);
      const logits = [0, 1, 2, 3, 4].map((k) =>
        [7.5, 23.5, 39.5].reduce((sum, mean, c) => sum + mean * weight[3 * k + c] / 400, 0)
      );
      const order = [0, 1, 2, 3, 4].sort((a, b) => logits[b] - logits[a]);
      assertEquals(predictions.map(({ index }) => index), order);
      const expected = order.map((k) => 1 / (1 + Math.exp(-logits[k])));
      const abs = precision === "f32" && tail.length === 1 ? 1e-6 : 0.005; // the others have 8 bits
      assertAllClose(predictions.map((p) => p.probability), expected, { abs });
      if (tail.length === 1) assertEquals(network.head.featureCount, 3);
    }
  }
});

Deno.test("the index of the largest score is left out at the end", async () => {
  using backend = await createBackend({ threads: 1 });
  const tensors = [floats("w", [5, 3, 1, 1], ...weight), integers("flat", -1, 5)];
  const largest = (from: string, to: string) => node("ArgMax", [from], [to], { axis: 1 });
  const scores = [...body, flat("c", "f"), softmax("f", "s", 1)];
  for (const outputs of [["y"], ["y", "s"], ["s", "y"]]) {
    const ports = outputs.map((name) => port(name));
    const nodes = [...scores, largest("s", "y")];
    using network = await loadModel({
      backend,
      weights: smallModel({ nodes, tensors, outputs: ports }),
    });
    assert(network instanceof OnnxNetwork);
    assertEquals([...network.outputs.keys()], outputs.length > 1 ? ["s"] : ["y"]);
    assertEquals(network.numClasses, 5);
    const [best] = await network.classify(Float32Array.from({ length: 48 }, (_, i) => i));
    assertEquals(best.index, 3);
  }
  const apart = [node("Neg", ["s"], ["n"]), largest("n", "y"), node("Relu", ["s"], ["z"])];
  using both = await loadModel({
    backend,
    weights: smallModel({ nodes: [...scores, ...apart], tensors, outputs: [port("y"), port("z")] }),
  });
  assert(both instanceof OnnxNetwork); // "y" has other scores than "z"
  assertEquals([...both.outputs.keys()], ["y", "z"]);
  assertEquals(both.outputShape([2, 3, 4, 4]), [2, 1]);
  const peak = node("ReduceMax", ["s"], ["m"], { axes: [1] }); // needs the scores, but has none
  using two = await loadModel({
    backend,
    weights: smallModel({
      nodes: [...scores, peak, largest("s", "y")],
      tensors,
      outputs: [port("m"), port("y")],
    }),
  });
  assert(two instanceof OnnxNetwork);
  assertEquals([...two.outputs.keys()], ["m", "y"]);
  const others = [node("Relu", ["f"], ["g"]), node("MatMul", ["g", "v"], ["z"]), largest("g", "y")];
  const values = floats("v", [5, 5], ...weight, ...weight.slice(0, 10));
  using same = await loadModel({ // values of the same shape that need the scores, but are none
    backend,
    weights: smallModel({
      nodes: [...body, flat("c", "f"), ...others],
      tensors: [...tensors, values],
      outputs: [port("z"), port("y")],
    }),
  });
  assert(same instanceof OnnxNetwork);
  assertEquals([...same.outputs.keys()], ["z", "y"]);
});

Deno.test("the index of the largest position is the output", async () => {
  const largest = (axis: number) => node("ArgMax", ["f"], ["y"], { axis, keepdims: 0 });
  const heat = (peak: number) => Array.from({ length: 16 }, (_, i) => i === peak ? 5 : 0);
  const rows = { nodes: [node("Reshape", ["x", "rows"], ["f"]), largest(2)] };
  const parts = { ...rows, tensors: [integers("rows", 0, 1, -1)] };
  assertEquals(await run(parts, heat(9), [1, 1, 4, 4]), { shape: [1, 1], values: [9] });
  const signal = { nodes: [node("Identity", ["x"], ["f"]), largest(2)] };
  assertEquals(await run(signal, heat(7), [1, 1, 16]), { shape: [1, 1], values: [7] });
  const features = { nodes: [node("Identity", ["x"], ["f"]), largest(1)] };
  assertEquals(await run(features, heat(3), [1, 16]), { shape: [1], values: [3] });
});
