/** ONNX's own tests of single operations, through the whole import. */

import { createBackend } from "../../../src/backend/mod.ts";
import { fold } from "../../../src/models/onnx/fold.ts";
import { OnnxNetwork } from "../../../src/models/onnx/network.ts";
import { NodeReader, type Scope } from "../../../src/models/onnx/node.ts";
import { storedConstant, type Value } from "../../../src/models/onnx/values.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { bytesSource, openWeights } from "../../../src/weights/mod.ts";
import { OnnxFile } from "../../../src/weights/onnx/reader.ts";
import { assert, assertAllClose, assertEquals } from "../../assert.ts";
import cases from "../../fixtures/onnx/node_cases.json" with { type: "json" };

function decode(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

Deno.test("operations of ONNX give the results of ONNX's own tests", async () => {
  using backend = await createBackend({ threads: 1 });
  for (const { name, model, x, outputs, tol } of cases.layers) {
    using network = await loadModel({ backend, weights: decode(model) });
    assert(network instanceof OnnxNetwork);
    using input = backend.upload(new Float32Array(decode(x.data).buffer), x.shape);
    const results = network.outputsOf(input, [...network.outputs.values()]);
    for (const [i, { shape, data }] of outputs.entries()) {
      assertEquals(results[i].shape, shape, name);
      const expected = new Float32Array(decode(data).buffer);
      assertAllClose(await results[i].read(), expected, { abs: tol.abs + 1e-6, rel: 1e-5, name });
    }
    for (const result of results) result.dispose();
  }
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("sizes computed in ONNX graphs are those of ONNX's own tests", async () => {
  for (const { name, model, outputs } of cases.folded) {
    using file = await openWeights(bytesSource(decode(model), name));
    assert(file instanceof OnnxFile);
    const { graph } = file, values = new Map<string, Value>();
    for (const [key, tensor] of graph.tensors) values.set(key, storedConstant(tensor));
    const scope: Scope = {
      ...{ file: name, opset: graph.opset, batches: [1, 2], isBatchFixed: false },
      value: (key) => values.get(key),
      bindSize: () => {},
    };
    const numbers = (value: Value | undefined) =>
      value?.kind === "constant" ? value.numbers![0] : undefined!;
    for (const node of graph.nodes) { // none if the reader has folded it
      const arrays = fold(
        new NodeReader(node, scope),
        node.inputs.map((key) => numbers(values.get(key))),
      );
      for (const [i, array] of arrays.entries()) {
        values.set(node.outputs[i], { kind: "constant", numbers: [array, array], isSized: false });
      }
    }
    for (const [i, { shape, numbers: expected }] of outputs.entries()) {
      const actual = numbers(values.get(graph.outputs[i].name));
      assertEquals(actual.shape, shape, name);
      assertAllClose(actual.numbers, expected, { rel: 1e-6, name });
    }
  }
});

Deno.test("dequantised tensors are those of ONNX's own tests", async () => {
  for (const { name, model, output, data } of cases.stored) {
    using file = await openWeights(bytesSource(decode(model), name));
    assert(file instanceof OnnxFile);
    const expected = new Float32Array(decode(data).buffer),
      values = new Float32Array(expected.length);
    const parameters = new Map([["w", { tensor: output, shape: [expected.length] }]]);
    await file.mapParameters(parameters).read("w", (chunk, at) => values.set(chunk, at));
    assertAllClose(values, expected, { rel: 1e-6, name });
  }
});
