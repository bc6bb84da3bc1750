/** ONNX models that other tools export, and what is missing to run them. */

import { FileError } from "../../../src/errors.ts";
import { readClassNames } from "../../../src/models/onnx/class_names.ts";
import { loadModel } from "../../../src/models/load_model.ts";
import { assertEquals, assertRejects } from "../../assert.ts";
import { assertQuick } from "../../quick.ts";
import { field, halves, node, onnx, type Parts, port } from "../../weights/onnx/helpers.ts";
import { bytes } from "../../weights/helpers.ts";

const fixture = (name: string) => new URL(`../../fixtures/onnx/faults/${name}`, import.meta.url);

async function assertFails(attempt: () => Promise<unknown>, reason: string): Promise<void> {
  const error = await assertRejects(attempt, FileError);
  assertEquals(error.message.replace(/^.*?: /, ""), reason);
}

Deno.test("loadModel() names all nodes of an ONNX graph that are not supported", async () => {
  const unsupported = "this operation is not supported";
  const chain = (operations: string[]) =>
    operations.map((op, i) =>
      node(op, [i ? `v${i}` : "x"], [i < operations.length - 1 ? `v${i + 1}` : "y"])
    );
  const refuse = (operations: string[], reason: string) => {
    const weights = model({ tensors: [halves("w", 1)], nodes: chain(operations) });
    return assertFails(() => loadModel({ weights }), reason);
  };
  await refuse(["Relu", "Det", "Relu"], `node v2 (Det): ${unsupported}`);
  await refuse(
    ["Det", "Relu", "Det", "Det", "Det", "LSTM", "Relu"],
    `nodes v1, v3, v4 and 1 more (Det): ${unsupported}; node v6 (LSTM): ${unsupported}`,
  );
  await refuse(
    Array.from({ length: 14 }, (_, i) => `Op${i}`),
    `${
      Array.from({ length: 9 }, (_, i) => `node v${i + 1} (Op${i}): ${unsupported}`).join("; ")
    }; ` +
      `node v10 (Op9): ${unsupported}; and 4 more`,
  );
  await refuse(
    ["Sqrt", "Erf", "Det"],
    `node y (Det): ${unsupported}`,
  );
  await refuse(["Sqrt", "Erf"], "node y (Erf): this operation is only supported in GELU");
});

Deno.test("loadModel() takes the classes of an ONNX model from its metadata", async () => {
  using model = await loadModel({ weights: fixture("cnn_labels.onnx") });
  assertEquals(
    model.classes.map(({ label }) => label),
    ["ant", "bee", "cat", "dog", "eel"],
  );
  const classes = ["a", "b", "c", "d", "e"].map((label) => ({ wnid: "", label }));
  using other = await loadModel({ weights: fixture("cnn_labels.onnx"), classes });
  assertEquals(other.classes, classes);
});

Deno.test("readClassNames() reads lists, dictionaries and lines, of JSON and Python", async () => {
  const read = (text: string, count = 2, key = "names") =>
    readClassNames(new Map([["other", "x"], [key, text]]), count)?.map(({ label }) => label);
  for (
    const text of [
      `{0: 'ant', 1: 'bee'}`,
      `{"0": "ant", "1": "bee"}`,
      `{"0":"ant","1":"bee",}`,
      `["ant", "bee"]`,
      `['ant', "bee"]`,
      `('ant', 'bee')`,
      ` [ "ant" , "bee" ] `,
      "ant\nbee",
      "ant\r\nbee",
      "ant, bee",
      `["a\\u006et", "b\\x65e"]`,
    ]
  ) assertEquals(read(text), ["ant", "bee"], text);
  assertEquals(read(`['it\\'s', "a, b"]`), ["it's", "a, b"]);
  assertEquals(read(`["a", ","]`), ["a", ","]);
  assertEquals(read(`["a\\u001b[2J", "b"]`), ["a\\u{1b}[2J", "b"]);
  for (const key of ["classes", "class_names", "labels", "id2label"]) {
    assertEquals(read("ant,bee", 2, key), ["ant", "bee"]);
  }
  for (
    const text of [
      ...["", "ant", "ant,bee,cat", `{0: 'ant'}`, `{1: 'ant', 0: 'bee'}`, `{0: 'ant', 1: bee}`],
      ...[`["ant" "bee"]`, `["ant", "bee"`, `[["ant"], "bee"]`, `{"ant", "bee"}`, `["ant", 1]`],
      ...[`["ant", ""]`, `[`, `{`, `{0: 'ant', 1: 'bee'`, `['ant', 'bee\\']`],
    ]
  ) assertEquals(read(text), undefined, text);
  const quotes = `[${"'".repeat(2e5)}`;
  await assertQuick(3000, () => {
    assertEquals(read(quotes), undefined);
    assertEquals(read(`["${"\\".repeat(2e5)}`), undefined);
  });
  // all keys together: each text of a million characters takes up to a second
  const long = "[".repeat(2 ** 20 - 5);
  assertEquals(readClassNames(new Map([["names", long], ["labels", "ant,bee"]]), 2), undefined);
});

/** A model with these nodes from x [1, 3, 4, 4] to y. */
const model = (parts: Parts) =>
  onnx({ inputs: [port("x", 1, 3, 4, 4)], outputs: [port("y")], ...parts });

Deno.test("loadModel() refuses outputs of training mode, and others that it does not compute", async () => {
  const reason = "it outputs the statistics of a batch, as in training mode: " +
    "export the model after eval()";
  await assertFails(
    () => loadModel({ weights: fixture("train_mode_op13.onnx") }),
    `node /1/BatchNormalization (BatchNormalization): ${reason}`,
  );
  const tensors = [halves("n", 3), halves("w", 5, 48)];
  const rest = [node("Flatten", ["b"], ["f"]), node("Gemm", ["f", "w"], ["y"], { transB: 1 })];
  const norm = (outputs: string[], attributes = {}) =>
    model({
      tensors,
      nodes: [node("BatchNormalization", ["x", "n", "n", "n", "n"], outputs, attributes), ...rest],
    });
  for (
    const outputs of [["b", "mean", "var", "m", "v"], ["b", "mean", "var"], ["b", "", "", "", "v"]]
  ) {
    await assertFails(
      () => loadModel({ weights: norm(outputs) }),
      `node b (BatchNormalization): ${reason}`,
    );
  }
  await assertFails(
    () => loadModel({ weights: norm(["b"], { is_test: 0 }) }),
    "node b (BatchNormalization): is_test 0 is not supported, only 1",
  );
  for (const outputs of [["b"], ["b", "", "", "", ""]]) {
    using loaded = await loadModel({ weights: norm(outputs, { is_test: 1 }) });
    assertEquals(loaded.classes.length, 5);
  }
  const two = model({ tensors, nodes: [node("Relu", ["x"], ["b", "more"]), ...rest] });
  await assertFails(
    () => loadModel({ weights: two }),
    "node b (Relu): it has 2 outputs, only one is supported",
  );
});

Deno.test("loadModel() bounds how often an ONNX graph uses its weights", async () => {
  const tensors = [halves("w", 3, 3, 201, 201)];
  const nodes = Array.from(
    { length: 100 },
    (_, i) => node("Conv", [i ? `v${i}` : "x", "w"], [`v${i + 1}`], { pads: [100, 100, 100, 100] }),
  );
  await assertFails(
    () => loadModel({ weights: model({ tensors, nodes, outputs: [port("v100")] }) }),
    "node v55 (Conv): the graph uses its weights too many times",
  );
});

Deno.test("an ONNX graph with thousands of nodes of one name loads in linear time", async () => {
  const length = 4000;
  const nodes = Array.from(
    { length },
    (_, i) => node("Relu", [i ? `v${i}` : "x"], [`v${i + 1}`], {}, { name: "same" }),
  );
  nodes.push(
    node("Flatten", [`v${length}`], ["f"]),
    node("Gemm", ["f", "w"], ["y"], { transB: 1 }),
  );
  const weights = model({ tensors: [halves("w", 5, 48)], nodes });
  await assertQuick(3000, async () => {
    using loaded = await loadModel({ weights });
    assertEquals(loaded.classes.length, 5);
  });
});

Deno.test("metadata of ONNX files is read as text", async () => {
  const pair = (key: string, value: string) => field(14, field(1, key), field(2, value));
  const file = bytes(
    model({
      tensors: [halves("w", 2, 48)],
      nodes: [node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "w"], ["y"], { transB: 1 })],
    }),
    pair("author", "me"),
    pair("classes", "left,right"),
  );
  using loaded = await loadModel({ weights: file });
  assertEquals(loaded.classes.map(({ label }) => label), ["left", "right"]);
});
