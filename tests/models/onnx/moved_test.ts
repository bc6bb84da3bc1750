/** Tensors whose batch is not their first axis. */

import { createBackend } from "../../../src/backend/mod.ts";
import { FileError } from "../../../src/errors.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { assert, assertAllClose, assertEquals, assertRejects } from "../../assert.ts";
import { joinBytes } from "../../bytes.ts";
import { bytes } from "../../weights/helpers.ts";
import {
  type Attribute,
  field,
  floats,
  halves,
  integers,
  node,
  onnx,
  type Parts,
  port,
} from "../../weights/onnx/helpers.ts";
import { run } from "./models.ts";

type Node = [op: string, inputs: string[], attributes?: Record<string, Attribute>];

/** Nodes of which each takes the output of the one before, "", besides constants. */
function chain(nodes: readonly Node[]) {
  return nodes.map(([op, inputs, attributes], i) => {
    const names = inputs.map((name) => name || (i > 0 ? `v${i}` : "x"));
    return node(op, names, [i < nodes.length - 1 ? `v${i + 1}` : "y"], attributes, {
      name: `n${i}`,
    });
  });
}

const tensors = [
  ...[integers("joined", -1, 2), integers("six", 6, -1), integers("back", -1, 6)],
  ...[
    integers("three", 3, -1, 2),
    integers("first", 0),
    integers("last", -1),
    integers("none", -3),
  ],
  ...[
    floats("bias", [3, 1], 1, 2, 3),
    floats("matrix", [2, 2], 1, 2, 3, 4),
    floats("two", [2, 1, 1], 1, 2),
  ],
  ...[integers("four", 1, -1, 2, 1), floats("cube", [2, 2, 2], 1, 2, 3, 4, 5, 6, 7, 8)],
];

/** Runs nodes on [2, 3, 2] and returns the output. */
async function compute(
  nodes: readonly Node[],
  batch = 2,
): Promise<{ shape: readonly number[]; values: number[] }> {
  const x = Array.from({ length: batch * 6 }, (_, i) => i + 1);
  return await run({ nodes: chain(nodes), tensors, opset: 13 }, x, [batch, 3, 2]);
}

Deno.test("the batch moves to another axis and back", async () => {
  // x[n, i, j] is 6 n + 2 i + j + 1
  const swapped: Node = ["Transpose", [""], { perm: [1, 0, 2] }];
  assertEquals(await compute([swapped, swapped, ["Neg", [""]]]), {
    shape: [2, 3, 2],
    values: [-1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12],
  });
  // the first axis joins the batch, then the last one
  assertEquals(
    (await compute([["Reshape", ["", "joined"]], ["Reshape", ["", "back"]], ["Neg", [""]]])).values,
    [-1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12],
  );
  const inner = await compute([
    ["Transpose", [""], { perm: [1, 0, 2] }], // [3, N, 2]
    ["Reshape", ["", "joined"]], // [3 N, 2], the batch inside
    ["MatMul", ["", "matrix"]],
    ["Reshape", ["", "three"]], // [3, N, 2]
    ["ReduceSum", ["", "first"]], // [1, N, 2]
    ["Reshape", ["", "four"]], // [1, N, 2, 1]
    ["Squeeze", ["", "first"]],
  ], 3);
  assertEquals(inner, { shape: [3, 2, 1], values: [45, 66, 117, 174, 189, 282] });
});

Deno.test("axes count from the end, and constants along other axes than the batch", async () => {
  const moved: Node[] = [["Transpose", [""], { perm: [2, 1, 0] }]]; // [2, 3, N]
  const back: Node = ["Transpose", [""], { perm: [2, 1, 0] }];
  assertEquals((await compute([...moved, ["Add", ["", "bias"]], back])).values, [
    ...[2, 3, 5, 6, 8, 9, 8, 9, 11, 12, 14, 15],
  ]);
  assertEquals((await compute([...moved, ["Mul", ["two", ""]], back])).values, [
    ...[1, 4, 3, 8, 5, 12, 7, 16, 9, 20, 11, 24],
  ]);
  assertEquals(await compute([...moved, ["Gather", ["", "last"], { axis: -2 }], back]), {
    shape: [2, 1, 2],
    values: [5, 6, 11, 12],
  });
  const { values } = await compute([...moved, ["Softmax", [""], { axis: -3 }], back, ["Neg", [
    "",
  ]]]);
  const [small, large] = [1 / (1 + Math.E), Math.E / (1 + Math.E)];
  assertAllClose(values, Array(6).fill([-small, -large]).flat(), { abs: 1e-6 });
});

Deno.test("products of tensors whose batch is elsewhere repeat axes of size 1", async () => {
  // heads [2, N, 3, 1] · [N, 1, 3], which lacks the first axis
  const nodes = [
    node("Unsqueeze", ["x", "last"], ["a"]), // [N, 3, 2, 1]
    node("Transpose", ["a"], ["b"], { perm: [2, 0, 1, 3] }), // [2, N, 3, 1]
    node("ReduceMax", ["x"], ["c"], { axes: [-1] }), // [N, 3, 1]
    node("Transpose", ["c"], ["d"], { perm: [0, 2, 1] }),
    node("MatMul", ["b", "d"], ["e"]), // [2, N, 3, 3]
    node("ReduceSum", ["e", "first"], ["f"], { keepdims: 0 }), // [N, 3, 3]
    node("Neg", ["f"], ["y"]),
  ];
  const x = [1, 2, 3, 4, 5, 6, 1, 1, 2, 2, 3, 3], sums = [[3, 7, 11], [2, 4, 6]];
  const most = [[2, 4, 6], [1, 2, 3]];
  const result = await run({ nodes, tensors, opset: 13 }, x, [2, 3, 2]);
  assertEquals(result, {
    shape: [2, 3, 3],
    values: sums.flatMap((row, n) => row.flatMap((sum) => most[n].map((value) => -sum * value))),
  });
});

Deno.test("Einsum is a product of matrices", async () => {
  const of = async (equation: string, second = "x") => {
    const nodes = [
      node("Einsum", ["x", second], ["a"], { equation }),
      node("Neg", ["a"], ["y"]),
    ];
    const more = [...tensors, floats("rows", [2, 3, 2], 1, 2, 3, 4, 5, 6, 1, 1, 1, 1, 1, 1)];
    const x = [1, 2, 3, 4, 5, 6, 1, 0, 0, 1, 2, 2];
    return await run({ nodes, tensors: more, opset: 13 }, x, [2, 3, 2]);
  };
  const squares = [-5, -11, -17, -11, -25, -39, -17, -39, -61, -1, -0, -2, -0, -1, -2, -2, -2, -8];
  const close = (values: number[], expected: number[]) =>
    assertAllClose(values, expected, { abs: 1e-5 });
  close((await of("nid, njd -> nij")).values, squares);
  assertEquals((await of("nid,nie->nde")).values, [-35, -44, -44, -56, -5, -4, -4, -5]);
  assertEquals((await of("nid,nid->ni")).values, [-5, -25, -61, -1, -1, -8]);
  // as Keras writes projections to heads, and back
  assertEquals((await of("nid,dhe->nihe", "cube")).values.slice(0, 4), [-11, -14, -17, -20]);
  assertEquals((await of("nid,eid->ne", "rows")).values, [-91, -21, -27, -6]);
  assertEquals(await of("nid,ed->nei", "matrix"), {
    shape: [2, 2, 3],
    values: [-5, -11, -17, -11, -25, -39, -1, -2, -6, -3, -4, -14],
  });
});

Deno.test("Where and Gemm take constants and computed tensors", async () => {
  const mask = bytes(field(8, "mask"), [8, 3, 8, 1, 16, 9], field(5, [1, 0, 1]));
  const chosen = [node("Where", ["mask", "low", "x"], ["a"]), node("Neg", ["a"], ["y"])];
  const all = { nodes: chosen, tensors: [mask, floats("low", [], -7)] };
  assertEquals((await run(all, [1, 2, 3, 4, 5, 6], [1, 3, 2])).values, [7, 7, -3, -4, 7, 7]);
  const nodes = [
    node("Reshape", ["x", "joined"], ["a"]), // a batch of one sample: a matrix
    node("Gemm", ["a", "a", "bias"], ["b"], { transB: 1, alpha: 2, beta: -1 }),
    node("Unsqueeze", ["b", "first"], ["y"]),
  ];
  using backend = await createBackend({ threads: 1 });
  const weights = onnx({
    inputs: [port("x", 1, 3, 2)],
    outputs: [port("y")],
    nodes,
    tensors,
    opset: 13,
  });
  using network = await loadModel({ backend, weights });
  using x = backend.upload([1, 2, 3, 4, 5, 6], [1, 3, 2]);
  using y = network.forward(x);
  assertEquals(y.shape, [1, 3, 3]);
  assertEquals([...await y.read()], [9, 21, 33, 20, 48, 76, 31, 75, 119]);
});

Deno.test("what mixes samples, or is not supported, gives an error that says so", async () => {
  using backend = await createBackend({ threads: 1 });
  const refuse = async (
    nodes: readonly Node[],
    reason: string,
    batch: number | string = "N",
    opset = 13,
  ) => {
    const parts: Parts = {
      nodes: chain(nodes),
      tensors: [...tensors, halves("w", 2, 3, 1)],
      opset,
    };
    const weights = onnx({ inputs: [port("x", batch, 3, 2)], outputs: [port("y")], ...parts });
    const error = await assertRejects(() => loadModel({ backend, weights }), FileError);
    assertEquals(error.message, `weights: ${reason}`);
  };
  const swapped: Node = ["Transpose", [""], { perm: [1, 0, 2] }], neg: Node = ["Neg", [""]];
  await refuse(
    [swapped],
    "node n0 (Transpose): its perm [1, 0, 2] moves the batch axis: not supported",
  );
  await refuse(
    [swapped, ["Softmax", [""], { axis: 1 }], swapped],
    "node n1 (Softmax): its axis 1 is a part of the batch: not supported",
  );
  await refuse(
    [["Reshape", ["", "joined"]], ["ReduceMean", [""], { axes: [0] }], neg],
    "node n1 (ReduceMean): its axis 0 is a part of the batch: not supported",
  );
  await refuse(
    [swapped, ["Conv", ["", "w"]], swapped],
    "node n1 (Conv): its input [3, 2, 2] does not have the batch as its first axis: not supported",
  );
  await refuse(
    [swapped, ["MatMul", ["", "x"]], swapped],
    "node n1 (MatMul): its inputs are [3, N, 2] and [N, 3, 2], which mixes samples: not supported",
  );
  await refuse(
    [["Transpose", [""], { perm: [1, 2, 0] }], ["MatMul", ["", "matrix"]], neg],
    "node n1 (MatMul): it multiplies [3, 2, 2] across samples: not supported",
    2,
  );
  await refuse(
    [["Reshape", ["", "six"]], neg],
    "node n0 (Reshape): [2, 3, 2] to [6, 2] is not supported: the first axis must stay the batch",
  );
  await refuse(
    [["Transpose", [""], { perm: [2, 0, 1] }], ["Add", ["", "bias"]], ["Transpose", [""], {
      perm: [1, 0, 2],
    }]],
    "node n1 (Add): a constant [3, 1] differs in a batch: not supported",
    3,
  );
  await refuse(
    [swapped, ["LayerNormalization", ["", "bias"], { axis: 0 }], swapped],
    "node n1 (LayerNormalization): normalising the batch axis is not supported",
    ...["N", 17] as const,
  );
  // old versions take all axes from the given one on
  await refuse(
    [swapped, ["Softmax", [""], { axis: 0 }], swapped],
    "node n1 (Softmax): softmax along the batch is not supported",
    ...["N", 11] as const,
  );
  for (
    const equation of [
      "...id,...jd->...ij",
      "nii,nij->nj",
      "nid->nd",
      "nid,mjd->nij",
      "nid,njd->nijz",
    ]
  ) {
    await assertRejects(
      () =>
        loadModel({
          backend,
          weights: onnx({
            inputs: [port("x", "N", 3, 2)],
            outputs: [port("y")],
            nodes: [node("Einsum", ["x", "x"], ["y"], { equation }, { name: "n" })],
          }),
        }),
      FileError,
      "is not supported",
    );
  }
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("hostile products, equations and indices are refused before they cost time or memory", async () => {
  using backend = await createBackend({ threads: 1 });
  const refuse = async (nodes: Parts["nodes"], reason: string, inputs = [port("x", "N", 3, 2)]) => {
    const tensors = [
      ...[integers("index", 1, 2, 3), halves("one", 2, 2)],
      ...[integers("rows", -1, 6), integers("pixels", -1, 1)],
    ];
    const weights = onnx({ inputs, outputs: [port("y")], nodes, tensors });
    const start = performance.now();
    const error = await assertRejects(() => loadModel({ backend, weights }), FileError);
    assertEquals(error.message, `weights: ${reason}`);
    assert(performance.now() - start < 10_000, "slow");
  };
  const squared = (from: string, to: string) => node("MatMul", [from, from], [to]);
  const squares = Array.from(
    { length: 20 },
    (_, i) => squared(i ? `v${i}` : "x", i < 19 ? `v${i + 1}` : "y"),
  );
  await refuse(squares, "node v6 (MatMul): the graph multiplies too large matrices", [
    port("x", "N", 3, 4096, 4096),
  ]);
  // the product of two long rows is far larger than they are
  await refuse(
    [
      node("Transpose", ["x"], ["a"], { perm: [0, 2, 1] }),
      node("MatMul", ["x", "a"], ["y"], {}, { name: "n" }),
    ],
    "node n (MatMul): its output [N, 100000, 100000] is too large",
    [port("x", "N", 100_000, 1)],
  );
  await refuse(
    [
      ...[node("Reshape", ["x", "rows"], ["a"]), node("Transpose", ["a"], ["b"])],
      node("MatMul", ["a", "b"], ["y"], {}, { name: "n" }),
    ],
    "node n (MatMul): its inputs are [N, 6] and [6, N], which mixes samples: not supported",
  );
  await refuse(
    [
      ...[node("Reshape", ["x", "pixels"], ["a"]), node("Transpose", ["a"], ["b"])],
      node("Add", ["a", "b"], ["y"], {}, { name: "n" }),
    ],
    "node n (Add): its inputs are [6·N, 1] and [1, 6·N], which mixes samples: not supported",
  );
  // more than the arguments that a call may have
  const sum = joinBytes([...Array(150_000).fill(field(1, "a")), node("Sum", [], ["s"])]);
  await refuse(
    [node("Transpose", ["x"], ["a"], { perm: [1, 0, 2] }), sum, node("Conv", ["s", "one"], ["y"])],
    "node y (Conv): its input [3, 2, 2] does not have the batch as its first axis: not supported",
  );
  const equation = `${"é".repeat(1_000_000)},b->b`;
  await refuse(
    [node("Einsum", ["x", "x"], ["y"], { equation }, { name: "n" })],
    `node n (Einsum): its equation ${"é".repeat(99)}… is not supported, or not for these inputs`,
  );
  await refuse(
    [
      node("ScatterND", ["one", "index", "one"], ["a"], {}, { name: "n" }),
      node("MatMul", ["x", "a"], ["y"]),
    ],
    "node n (ScatterND): its indices and updates do not fit its input: damaged",
  );
  assertEquals(backend.bytesInUse, 0);
});

Deno.test("values whose batch is elsewhere stay rounded or clamped to 8 bits", async () => {
  using backend = await createBackend({ threads: 1 });
  const grid = [floats("scale", [], 0.5), bytes(field(8, "zero"), [16, 3], field(9, [0]))];
  const twice = (from: string, to: string) => [
    node("QuantizeLinear", [from, "scale", "zero"], [`${to}q`]),
    node("DequantizeLinear", [`${to}q`, "scale", "zero"], [to]),
  ];
  const nodes = [
    ...twice("x", "a"),
    node("Transpose", ["a"], ["b"], { perm: [1, 0, 2] }),
    ...twice("b", "c"), // the same grid: nothing to do
    node("Split", ["c"], ["d", "e"], { axis: 2 }),
    node("Concat", ["e", "d"], ["f"], { axis: -1 }),
    node("Transpose", ["f"], ["g"], { perm: [1, 0, 2] }),
    node("Neg", ["g"], ["y"]),
  ];
  const weights = onnx({
    inputs: [port("x", "N", 2, 2)],
    outputs: [port("y")],
    nodes,
    tensors: grid,
    opset: 13,
  });
  const values = [0.6, -0.4, 100, -100, 1, 2, 3, 4.1];
  for (
    const [precision, expected] of [
      ["f32", [0.5, -0.5, 64, -63.5, -2, -1, -4, -3]],
      ["int8", [0.4, -0.6, 64, -63.5, -2, -1, -4.1, -3]],
    ] as const
  ) {
    using network = await loadModel({ backend, weights, precision });
    using x = backend.upload(values, [2, 2, 2]);
    using y = network.forward(x);
    assertAllClose(await y.read(), expected, { abs: 1e-6, name: precision });
  }
});

Deno.test("Expand repeats values whose batch is elsewhere, for any batch size", async () => {
  const swapped = { perm: [1, 0, 2] };
  const nodes = [
    node("ReduceMax", ["x"], ["a"], { axes: [2] }), // [N, 3, 1]
    node("Transpose", ["a"], ["b"], swapped), // [3, N, 1]
    node("Transpose", ["x"], ["c"], swapped),
    node("Shape", ["c"], ["d"]), // [3, N, 2]
    node("Expand", ["b", "d"], ["e"]),
    node("Div", ["c", "e"], ["f"]), // the quotient does not need the repeated values
    node("Concat", ["e", "f"], ["g"], { axis: 2 }),
    node("Transpose", ["g"], ["y"], swapped),
  ];
  const x = [1, 2, 4, 2, 5, 10], whole = { nodes, opset: 13 };
  const values = [2, 2, 0.5, 1, 4, 4, 1, 0.5, 10, 10, 0.5, 1];
  const { shape, values: one } = await run(whole, x, [1, 3, 2]);
  assertEquals(shape, [1, 3, 4]);
  assertAllClose(one, values, { abs: 1e-6 });
  const both = await run(whole, [...x, ...x], [2, 3, 2]);
  assertAllClose(both.values, [...values, ...values], { abs: 1e-6 });
});

Deno.test("masks and indices are computed: ScatterND, and lists of indices", async () => {
  const bias = Array.from({ length: 600 }, (_, i) => i % 3);
  const nodes = [
    node("ScatterND", ["zeros", "at", "news"], ["a"]), // [3, 2]: 5 at [0, 1], 7 at [2, 0]
    node("Gather", ["table", "positions"], ["b"], { axis: 0 }), // [600, 2]
    node("ReduceMax", ["b"], ["c"], { axes: [0], keepdims: 1 }), // [1, 2]: 3, 30
    node("Add", ["x", "a"], ["d"]),
    node("Add", ["d", "c"], ["y"]),
  ];
  const pairs = bytes(field(8, "at"), [8, 2, 8, 2, 16, 7], field(7, [0, 1, 2, 0]));
  const all = [
    ...[floats("zeros", [3, 2], 0, 0, 0, 0, 0, 0), pairs, floats("news", [2], 5, 7)],
    ...[integers("positions", ...bias), floats("table", [3, 2], 1, 10, 2, 20, 3, 30)],
  ];
  const result = await run({ nodes, tensors: all, opset: 13 }, [0, 0, 0, 0, 0, 0], [1, 3, 2]);
  assertEquals(result, { shape: [1, 3, 2], values: [3, 35, 3, 30, 10, 30] });
});

Deno.test("values of a single sample are stacked along the first axis, and summed", async () => {
  const nodes = [
    node("Neg", ["x"], ["n"]),
    ...["x", "n", "x"].map((from, i) => node("Unsqueeze", [from, "zero"], [`u${i}`])),
    node("Concat", ["u0", "u1", "u2"], ["c"], { axis: 0 }),
    node("ReduceSum", ["c", "zero"], ["s"], { keepdims: 0 }),
    node("Conv", ["s", "w"], ["y"]),
  ];
  const parts = { nodes, tensors: [integers("zero", 0), floats("w", [1, 2, 1], 1, 10)] };
  const inputs = [port("x", 1, 2, 3)], x = [1, 2, 3, 4, 5, 6, 0, 1, 0, 2, 0, 2];
  const { shape, values } = await run({ ...parts, inputs }, x, [2, 2, 3]);
  assertEquals([shape, values], [[2, 1, 3], [41, 52, 63, 20, 1, 20]]);
});
