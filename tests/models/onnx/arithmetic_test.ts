/** Arithmetic of ONNX graphs that several layers compute. */

import { createBackend } from "../../../src/backend/mod.ts";
import { FileError } from "../../../src/errors.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { assertAllClose, assertEquals, assertRejects } from "../../assert.ts";
import { bytes } from "../../weights/helpers.ts";
import {
  type Attribute,
  field,
  floats,
  integers,
  node,
  onnx,
  port,
} from "../../weights/onnx/helpers.ts";
import { formula, run } from "./models.ts";

const shape = [2, 3, 4, 5], x = [...formula(shape, 2)];
const axes = (name: string, ...values: number[]) => integers(name, ...values);

/** 1, 2, 4 and 8 in rows of 5. */
const rows = [1, 2, 4, 8].flatMap((value) => Array<number>(5).fill(value));

/** The mean of x over some axes, for the element at an index. */
function mean(i: number, over: readonly number[]): number {
  const at = (axis: number, index: number) =>
    Math.floor(index / shape.slice(axis + 1).reduce((a, b) => a * b, 1)) % shape[axis];
  const same = x.filter((_, j) =>
    shape.every((_, axis) => over.includes(axis) || at(axis, i) === at(axis, j))
  );
  return same.reduce((a, b) => a + b) / same.length;
}

/** Runs nodes from x to y. The means a, b and c are over [2, 3], [1] and [1, 3]. */
async function compute(...nodes: Uint8Array<ArrayBuffer>[]): Promise<number[]> {
  const all = [
    node("ReduceMean", ["x"], ["a"], { axes: [2, 3] }),
    node("ReduceMean", ["x"], ["b"], { axes: [1] }),
    node("ReduceMean", ["x"], ["c"], { axes: [1, 3] }),
    ...nodes,
  ];
  const tensors = [
    ...[axes("plane", 2, 3), floats("two", [], 2), floats("three", [], 3)],
    ...[
      floats("third", [], 1 / 3),
      floats("minus", [1], -2),
      floats("ten", [], 10),
      floats("eps", [], 1e-3),
    ],
    ...[floats("limits", [3, 1, 1], -0.5, 0, 0.5), floats("rows", [4, 5], ...rows)],
  ];
  return (await run({ nodes: all, tensors }, x, shape)).values;
}

/** Compares with the result for each element. */
async function check(
  nodes: Uint8Array<ArrayBuffer>[],
  expected: (value: number, i: number) => number,
): Promise<void> {
  assertAllClose(await compute(...nodes), x.map(expected), { abs: 2e-6, rel: 2e-6 });
}

const a = (i: number) => mean(i, [2, 3]), b = (i: number) => mean(i, [1]);
const c = (i: number) => mean(i, [1, 3]);

Deno.test("values of ONNX graphs are repeated in both directions", async () => {
  await check([node("Add", ["a", "b"], ["y"])], (_, i) => a(i) + b(i));
  await check([node("Sub", ["b", "a"], ["y"])], (_, i) => b(i) - a(i));
  await check([node("Mul", ["b", "a"], ["y"])], (_, i) => a(i) * b(i));
  await check([node("Sum", ["a", "b", "x"], ["y"])], (v, i) => a(i) + b(i) + v);
  await check([node("Mul", ["x", "c"], ["y"])], (v, i) => v * c(i)); // not along a run of axes
  const tiled = await run(
    { nodes: [node("Tile", ["x", "t"], ["y"])], tensors: [axes("t", 1, 1, 3, 2)] },
    [1, 2, 3, 4],
    [2, 1, 1, 2],
  );
  assertEquals(tiled, {
    shape: [2, 1, 3, 4],
    values: [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4, 3, 4],
  });
  const back = { starts: [-1], ends: [-9], axes: [1], steps: [-2] };
  const reversed = await run(
    {
      nodes: [node("Slice", ["x", "starts", "ends", "axes", "steps"], ["y"])],
      tensors: Object.entries(back).map(([name, values]) => axes(name, ...values)),
    },
    [1, 2, 3, 4, 5, 6],
    [2, 3],
  );
  assertEquals(reversed, { shape: [2, 2], values: [3, 1, 6, 4] });
});

Deno.test("constants of ONNX graphs are joined with values of any batch", async () => {
  const input = [1, 2, 3, 4, 5, 6, 7, 8], shape = [2, 1, 2, 2];
  const nodes = [
    ...[node("Shape", ["x"], ["s"]), node("Expand", ["grid", "s"], ["g"])],
    node("Concat", ["g", "x"], ["y"], { axis: 1 }),
  ];
  const joined = await run({ nodes, tensors: [floats("grid", [2, 2], -1, 0, 1, 2)] }, input, shape);
  assertEquals(joined, {
    shape: [2, 2, 2, 2],
    values: [-1, 0, 1, 2, 1, 2, 3, 4, -1, 0, 1, 2, 5, 6, 7, 8],
  });
  const stored = Array.from({ length: 100 }, (_, i) => i);
  const large = await run(
    {
      nodes: [node("Concat", ["x", "c"], ["y"], { axis: 2 })],
      tensors: [floats("c", [1, 2, 50], ...stored)],
      inputs: [port("x", 1, 2, 1)],
    },
    [-1, -2],
    [1, 2, 1],
  );
  assertEquals(large.values, [-1, ...stored.slice(0, 50), -2, ...stored.slice(50)]);
});

Deno.test("constants of ONNX graphs are repeated, and repeat values", async () => {
  const row = (i: number) => [1, 2, 4, 8][Math.floor(i / 5) % 4];
  const limit = (i: number) => [-0.5, 0, 0.5][Math.floor(i / 20) % 3];
  await check([node("Mul", ["x", "rows"], ["y"])], (v, i) => v * row(i));
  await check([node("Div", ["x", "rows"], ["y"])], (v, i) => v / row(i));
  await check([node("Sub", ["rows", "x"], ["y"])], (v, i) => row(i) - v);
  await check([node("Add", ["b", "limits"], ["y"])], (_, i) => b(i) + limit(i));
  await check([node("Div", ["rows", "a"], ["y"])], (_, i) => row(i) / a(i));
});

Deno.test("what is repeated in both directions suits images of any size", async () => {
  using backend = await createBackend({ threads: 1 });
  const nodes = [
    node("ReduceMean", ["x"], ["a"], { axes: [2, 3] }),
    node("ReduceMean", ["x"], ["b"], { axes: [1] }),
    node("Mul", ["a", "b"], ["y"]),
  ];
  const model = { nodes, inputs: [port("x", "N", 3, "H", "W")], outputs: [port("y")] };
  using network = await loadModel({ backend, weights: onnx(model) });
  using input = backend.upload(Float32Array.from(x), shape);
  using output = network.forward(input);
  assertAllClose(await output.read(), x.map((_, i) => a(i) * b(i)), { abs: 1e-6 });
});

Deno.test("powers, quotients and norms of ONNX graphs have their values", async () => {
  const absolute = node("Abs", ["x"], ["p"]);
  await check([absolute, node("Identity", ["p"], ["y"])], Math.abs);
  await check([absolute, node("Sqrt", ["p"], ["y"])], (v) => Math.sqrt(Math.abs(v)));
  await check([absolute, node("Pow", ["p", "third"], ["y"])], (v) => Math.cbrt(Math.abs(v)));
  await check([node("Pow", ["x", "three"], ["y"])], (v) => v ** 3);
  await check([node("Pow", ["x", "minus"], ["y"])], (v) => v ** -2);
  await check([node("Pow", ["x", "ten"], ["y"])], (v) => v ** 10);
  await check(
    [node("LRN", ["x"], ["l"], { size: 1 }), node("Abs", ["l"], ["m"]), node("Sqrt", ["m"], ["y"])],
    (v) => Math.sqrt(Math.abs(v) / (1 + 1e-4 * v * v) ** 0.75),
  );
  await check(
    [node("LRN", ["x"], ["l"], { size: 1, alpha: { float: 3 } }), node("Reciprocal", ["l"], ["y"])],
    (v) => (1 + 3 * v * v) ** 0.75 / v,
  );
  await check([node("Div", ["x", "a"], ["y"])], (v, i) => v / a(i));
  await check([node("Div", ["two", "x"], ["y"])], (v) => 2 / v);
  await check(
    [absolute, node("Sqrt", ["p"], ["r"]), node("Reciprocal", ["r"], ["y"])],
    (v) => 1 / Math.sqrt(Math.abs(v)),
  );
  const norm = [
    node("ReduceL2", ["x"], ["l"], { axes: [2, 3] }),
    node("Shape", ["x"], ["s"]),
    node("Expand", ["l", "s"], ["e"]),
    node("Div", ["x", "e"], ["y"]),
  ];
  const planeOf = (i: number) => x.slice(i - i % 20, i - i % 20 + 20);
  await check(norm, (v, i) => v / Math.hypot(...planeOf(i)));
  const reduced = async (op: string, of: (values: number[]) => number) => {
    const values = await compute(
      node(op, ["x"], ["y"], { axes: [2, 3], keepdims: 0 }),
    );
    const expected = [0, 20, 40, 60, 80, 100].map((i) => of(planeOf(i)));
    assertAllClose(values, expected, { abs: 1e-5 });
  };
  await reduced("ReduceL1", (values) => values.reduce((sum, v) => sum + Math.abs(v), 0));
  await reduced("ReduceMin", (values) => Math.min(...values));
  await reduced(
    "ReduceLogSumExp",
    (values) => Math.log(values.reduce((sum, v) => sum + Math.exp(v), 0)),
  );
  await reduced("ReduceSumSquare", (values) => values.reduce((sum, v) => sum + v * v, 0));
  const zero = await run({ nodes: [node("Sqrt", ["x"], ["y"])] }, [0, 4], [1, 2]);
  assertAllClose(zero.values, [0, 2], { abs: 1e-6 });
  const exponents = [-400, -80, -30, -1, -0.01, 0, 0.5, 1, 10, 45, 80, 87];
  const exp = { nodes: [node("Exp", ["x"], ["y"])] };
  const powers = await run(exp, [...exponents, 90, 400, Infinity], [1, 15]);
  assertAllClose(powers.values.slice(0, -3), exponents.map(Math.exp), { rel: 5e-6, abs: 1e-35 });
  assertEquals(powers.values.slice(-3), Array(3).fill(Infinity));
});

Deno.test("Max and Min of ONNX graphs take values and constants for each channel", async () => {
  await check([node("Max", ["x", "a"], ["y"])], (v, i) => Math.max(v, a(i)));
  await check([node("Min", ["a", "x", "b"], ["y"])], (v, i) => Math.min(v, a(i), b(i)));
  const limit = (i: number) => [-0.5, 0, 0.5][Math.floor(i / 20) % 3];
  await check([node("Max", ["limits", "x"], ["y"])], (v, i) => Math.max(v, limit(i)));
  await check(
    [node("Min", ["x", "limits", "eps"], ["y"])],
    (v, i) => Math.min(v, limit(i), 1e-3),
  );
});

Deno.test("activations of ONNX graphs that consist of others have their values", async () => {
  const only = (op: string, attributes: Record<string, Attribute> = {}) => [
    node(op, ["x"], ["y"], attributes),
  ];
  const elu = (v: number, alpha = 1) => v > 0 ? v : alpha * Math.expm1(v);
  await check(only("Selu"), (v) => 1.0507009873554805 * elu(v, 1.6732632423543772));
  await check(only("Celu", { alpha: { float: 2 } }), (v) => 2 * elu(v / 2));
  await check(
    [node("Sigmoid", ["x"], ["s"]), node("Log", ["s"], ["y"])],
    (v) => -Math.log1p(Math.exp(-v)),
  );
  await check(
    [node("Softmax", ["x"], ["s"], { axis: 1 }), node("Log", ["s"], ["y"])],
    (v, i) =>
      v - Math.log([0, 20, 40].reduce((sum, j) => sum + Math.exp(x[i - i % 60 + j + i % 20]), 0)),
  );
  await check(only("Mish"), (v) => v * Math.tanh(Math.log1p(Math.exp(v))));
});

Deno.test("GELU of ONNX graphs is found after a factor and a summand", async () => {
  const gelu = [
    ...[node("Mul", ["x", "three"], ["m"]), node("Sub", ["m", "eps"], ["v"])],
    ...[
      node("Div", ["v", "root"], ["r"]),
      node("Erf", ["r"], ["e"]),
      node("Add", ["e", "one"], ["f"]),
    ],
    ...[node("Mul", ["v", "f"], ["g"]), node("Mul", ["g", "half"], ["y"])],
  ];
  const tensors = [
    ...[floats("three", [], 3), floats("eps", [], 0.25), floats("root", [], Math.SQRT2)],
    ...[floats("one", [], 1), floats("half", [], 0.5)],
  ];
  const { values } = await run({ nodes: gelu, tensors }, [-1, 0, 0.25, 1], [1, 4]);
  // torch.nn.functional.gelu(3 * x - 0.25)
  assertAllClose(values, [-0.0018755, -0.1003234, 0.3457312, 2.7418056], { abs: 1e-5 });
});

Deno.test("layer normalisation of ONNX graphs is found along any axes", async () => {
  using backend = await createBackend({ threads: 1 });
  const centre = (to: string) => [
    node("ReduceMean", ["x"], [`${to} mean`], { axes: [1] }),
    node("Sub", ["x", `${to} mean`], [to]),
  ];
  const variance = [
    ...[...centre("d"), ...centre("e"), node("Mul", ["e", "e"], ["q"])],
    node("ReduceMean", ["q"], ["v"], { axes: [1] }),
    ...[node("Add", ["v", "eps"], ["w"]), node("Sqrt", ["w"], ["r"])],
  ];
  const ways = [
    [node("Div", ["d", "r"], ["y"])],
    [node("Reciprocal", ["r"], ["i"]), node("Mul", ["d", "i"], ["y"])],
  ];
  for (const way of ways) {
    const nodes = [...variance, ...way], tensors = [floats("eps", [], 1e-3)];
    const model = { nodes, tensors, inputs: [port("x", ...shape)], outputs: [port("y")] };
    using network = await loadModel({ backend, weights: onnx(model) });
    const types = network.nodes.map(({ layer }) => layer.type);
    assertEquals(types, ["Permute", "LayerNorm", "Permute"]);
    await check(nodes, (value, i) => {
      const others = [0, 20, 40].map((channel) => x[i - i % 60 + channel + i % 20]);
      const square = others.reduce((sum, other) => sum + (other - b(i)) ** 2, 0) / 3;
      return (value - b(i)) / Math.sqrt(square + 1e-3);
    });
  }
});

/** A node with two branches, each with one node. */
function choose(condition: string, yes: Uint8Array<ArrayBuffer>, no: Uint8Array<ArrayBuffer>) {
  const branch = (name: string, code: Uint8Array<ArrayBuffer>, output: string) =>
    field(5, field(1, name), field(6, field(1, code), field(12, port(output))));
  return bytes(
    ...[field(1, condition), field(2, "y"), field(3, "n"), field(4, "If")],
    ...[branch("else_branch", no, "no"), branch("then_branch", yes, "yes")],
  );
}

Deno.test("an ONNX graph takes the branch that its sizes choose", async () => {
  const nodes = (position: string, condition = "is") => [
    ...[node("Unsqueeze", ["x", "at"], ["u"]), node("Shape", ["u"], ["s"])],
    ...[node("Gather", ["s", position], ["size"]), node("Equal", ["size", "one"], ["is"])],
    choose(condition, node("Squeeze", ["u", position], ["yes"]), node("Neg", ["u"], ["no"])),
  ];
  const tensors = [axes("at", 1), axes("one", 1), axes("three", 3)];
  const taken = await run({ nodes: nodes("at"), tensors }, x, shape);
  assertEquals(taken, { shape, values: x });
  // the other branch is no valid graph
  const other = await run({ nodes: nodes("three"), tensors }, x, shape);
  assertEquals(other, { shape: [2, 1, 3, 4, 5], values: x.map((v) => -v) });
  const refuse = async (nodes: Uint8Array<ArrayBuffer>[], reason: string) => {
    const error = await assertRejects(() => run({ nodes, tensors }, x, shape), FileError);
    assertEquals(error.message, `weights: node ${reason}`);
  };
  await refuse(
    nodes("at", "x"),
    "n (If): its condition x is not a constant in the file: not supported",
  );
  await refuse(
    [node("Foo", ["x"], ["is"]), ...nodes("at").filter((_, i) => i !== 3)],
    "is (Foo): this operation is not supported",
  );
});

Deno.test("PyTorch's local response normalisation is computed by its parts", async () => {
  const nodes = [
    ...[node("Mul", ["x", "x"], ["q"]), node("Unsqueeze", ["q", "one"], ["u"])],
    node("Pad", ["u", "pads"], ["p"]),
    node("AveragePool", ["p"], ["m"], { kernel_shape: [3, 1, 1], strides: [1, 1, 1] }),
    node("Squeeze", ["m", "one"], ["s"]),
    ...[node("Mul", ["s", "alpha"], ["t"]), node("Add", ["t", "k"], ["w"])],
    ...[node("Pow", ["w", "beta"], ["z"]), node("Div", ["x", "z"], ["y"])],
  ];
  const tensors = [
    ...[axes("one", 1), axes("pads", 0, 0, 1, 0, 0, 0, 0, 1, 0, 0)],
    ...[floats("alpha", [], 2), floats("k", [], 1.5), floats("beta", [], 0.75)],
  ];
  const { values } = await run({ nodes, tensors }, x, shape);
  const expected = x.map((value, i) => {
    const channel = Math.floor(i / 20) % 3;
    const near = [-1, 0, 1].filter((step) => channel + step >= 0 && channel + step < 3);
    const sum = near.reduce((sum, step) => sum + x[i + 20 * step] ** 2, 0);
    return value / (1.5 + 2 * sum / 3) ** 0.75;
  });
  assertAllClose(values, expected, { abs: 1e-5 });
});
