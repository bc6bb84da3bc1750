/** ONNX models that are invalid or not supported give errors that name the node. */

import { type Backend, createBackend } from "../../../src/backend/mod.ts";
import { FileError, PembrokeError } from "../../../src/errors.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { assert, assertEquals, assertRejects } from "../../assert.ts";
import { joinBytes } from "../../bytes.ts";
import {
  type Attribute,
  field,
  floats,
  halves,
  integers,
  node,
  type Parts,
  port,
} from "../../weights/onnx/helpers.ts";
import { fixture, smallModel } from "./models.ts";

/** Asserts that a model gives this error, and no memory leak. */
async function assertUnsupported(backend: Backend, parts: Parts, reason: string): Promise<void> {
  const error = await assertRejects(
    () => loadModel({ backend, weights: smallModel(parts) }),
    FileError,
  );
  assertEquals(error.message, `weights: ${reason}`);
  assertEquals(backend.bytesInUse, 0);
}

Deno.test("unsupported nodes give an error that names the node", async () => {
  using backend = await createBackend({ threads: 1 });
  const tensors = [
    ...[halves("w", 2, 3, 3, 3), halves("b", 2), halves("m", 4, 48), halves("c", 4)],
    halves("large", 4, 48),
    ...[halves("line", 2, 3, 3), integers("to", 1, 48), integers("rows", 3, 16)],
    ...[halves("scale", 3), integers("whole", 1, 2), floats("far", [3, 1, 1], 0, 1, 2000)],
    ...[integers("none", 1, 0, 1, 1), integers("many", 2, 1, 1, 1)],
  ];
  const check = async (
    op: string,
    inputs: string[],
    attributes: Record<string, Attribute>,
    reason: string,
    domain = "",
  ) => {
    const nodes = [node(op, ["x", ...inputs], ["y"], attributes, { name: "n", domain })];
    await assertUnsupported(backend, { nodes, tensors }, `node n (${op}): ${reason}`);
  };
  await assertUnsupported(
    backend,
    {
      nodes: [node("Foo\n", ["x"], ["a"]), node("Add", ["a"], ["y"], {}, { domain: "com.x" })],
      tensors,
    },
    "node a (Foo\\u{a}): this operation is not supported; " +
      "node y (Add): this operation of com.x is not supported",
  );
  await check("Relu", [], { slope: 2 }, "its attribute slope is not supported");

  const conv = (attributes: Record<string, Attribute>, reason: string) =>
    check("Conv", ["w", "b"], attributes, reason);
  await conv({ auto_pad: "SAME" }, "its attribute auto_pad is unknown: damaged");
  await conv(
    { pads: [1, 1] },
    "its attribute pads must be a list of 4",
  );
  await conv({ strides: [1] }, "its attribute strides must be a list of 2");
  await conv({ strides: 1 }, "its attribute strides is not a list of numbers: damaged");
  await conv(
    { kernel_shape: [5, 5] },
    "its kernel_shape does not match its weight [2, 3, 3, 3]",
  );
  await conv({ group: 2 }, "Conv2d: groups is 2, must be a divisor of the 3 input channels");
  await conv({ group: [1] }, "its attribute group is not a number: damaged");
  await conv(
    { pads: [-1, 0, 0, 0] },
    'Conv2d: padding is [-1, 0, 0, 0], must be non-negative integers: [height, width], [top, left, bottom, right], "same" or "valid"',
  );
  await conv(
    { pads: [30000, 30000, 30000, 30000] },
    "its output [1, 2, 60002, 60002] is too large",
  );
  await check(
    "Conv",
    ["line"],
    {},
    "its input is [1, 3, 4, 4] and its weight [2, 3, 3]: only 1-D and 2-D convolutions are supported",
  );
  await check(
    "Conv",
    ["elsewhere"],
    {},
    "its input elsewhere is not computed: damaged",
  );
  await check("Conv", ["x"], {}, "its weight x is not a constant in the file: not supported");
  await check("Conv", [], {}, "it has no weight: damaged");
  await check("Conv", ["w", "c"], {}, "its bias is [4], must be [2]");

  await check(
    "MaxPool",
    [],
    { kernel_shape: [2, 2], storage_order: 1 },
    "storage_order 1 is not supported, only 0",
  );
  await check(
    "AveragePool",
    [],
    { kernel_shape: [2, 2], dilations: [2, 2] },
    "dilations are not supported",
  );
  await check("LRN", [], { size: 4 }, "LocalResponseNorm: size is 4, must be odd");
  const batch = "[1, 3, 4, 4] to [3, 16] is not supported: the first axis must stay the batch";
  await check("Flatten", [], { axis: 2 }, batch);
  await check("Reshape", ["rows"], {}, batch);
  await check("Reshape", ["large"], {}, "its shape large is F32 [4, 48]: not supported");
  await check("Gemm", ["m"], {}, "it multiplies [1, 3, 4, 4] by [4, 48]: both must be matrices");
  const norm = ["scale", "scale", "scale", "scale"];
  await check(
    "BatchNormalization",
    norm,
    { training_mode: 1 },
    "training_mode 1 is not supported, only 0",
  );
  await check(
    "BatchNormalization",
    ["c", "c", "c", "c"],
    {},
    "its scale is [4], must be [3]",
  );
  await check("Dropout", ["c"], {}, "its ratio has 4 numbers: not supported, only one");
  await check("Softmax", [], { axis: 4 }, "it has no axis 4 of 4: damaged");
  await check(
    "Transpose",
    [],
    { perm: [1, 0, 2, 3] },
    "its perm [1, 0, 2, 3] moves the batch axis: not supported",
  );
  await check(
    "Transpose",
    [],
    { perm: [0, 1, 1, 3] },
    "its perm [0, 1, 1, 3] does not fit 4 axes: damaged",
  );
  await check(
    "Concat",
    ["x"],
    { axis: 0 },
    "its output does not have the batch as its first axis: not supported",
  );
  await check("Concat", ["w"], { axis: 1 }, "its input w is a constant: not supported");
  await check(
    "Add",
    ["w"],
    {},
    "a constant [2, 3, 3, 3] and an input [1, 3, 4, 4] are not supported: only one number, or one for each channel",
  );
  await check("Max", Array(66).fill("x"), {}, "it has more than 64 inputs: not supported");
  await check("Max", ["far"], {}, "only constants up to 1000 are supported");
  await check("Tile", ["rows"], {}, "its repeats [3, 16] are not supported");
  await check("Tile", ["none"], {}, "it repeats an axis 0 times");
  const repeats =
    "[1, 3, 4, 4] to [2, 3, 4, 4] is not supported: the first axis must stay the batch";
  await check("Expand", ["many"], {}, repeats);
  const exponent = "only an exponent that is one number other than 0 is supported";
  await check("Pow", ["scale"], {}, exponent);
  await check(
    "MatMul",
    ["w"],
    {},
    "it multiplies [1, 3, 4, 4] by [2, 3, 3, 3]: only a constant matrix is supported",
  );
  await check(
    "Resize",
    ["", "whole"],
    { mode: "lanczos" },
    "the mode lanczos, half_pixel, round_prefer_floor is not supported",
  );
  await check("Pad", ["whole"], {}, "its pads do not fit its input: damaged");
  await check("Slice", ["rows"], {}, "its bounds are missing: damaged");
  await check("Range", [], {}, "this operation is only supported for constants");
  const types = "only floats, integers and booleans";
  await check("Cast", [], { to: 8 }, `the data type 8 is not supported, ${types}`);

  const flat = node("Reshape", ["x", "to"], ["f"]);
  const after = (...nodes: Uint8Array<ArrayBuffer>[]) => ({ nodes: [flat, ...nodes], tensors });
  await assertUnsupported(
    backend,
    after(node("Gemm", ["f", "m"], ["y"], {}, { name: "g" })),
    "node g (Gemm): Linear: the shape of x is [1, 48], must be […, 4]",
  );
  await assertUnsupported(
    backend,
    after(node("Gemm", ["f", "m"], ["y"], { transA: 1, transB: 1 }, { name: "g" })),
    "node g (Gemm): transA 1 is not supported, only 0",
  );
  await assertUnsupported(
    backend,
    after(node("Gemm", ["f", "whole"], ["y"])),
    "node y (Gemm): it multiplies [1, 48] by [2]: both must be matrices",
  );
});

Deno.test("graphs that are no networks are rejected", async () => {
  using backend = await createBackend({ threads: 1 });
  const tensors = [floats("a", [1], 1)];
  const relu = (from: string, to: string) => node("Relu", [from], [to], {}, { name: `to ${to}` });
  const refuse = (parts: Parts, reason: string) =>
    assertUnsupported(backend, { tensors, ...parts }, reason);
  const flat = node("Flatten", ["x"], ["f"]);
  await refuse({ nodes: [flat, relu("f", "g")] }, "its output y is not computed: damaged");
  await refuse(
    { nodes: [relu("b", "y")] },
    "node to y (Relu): its input b is not computed: damaged",
  );
  await refuse(
    { nodes: [node("Add", ["x", "c"], ["b"], {}, { name: "n" }), relu("b", "c"), relu("b", "y")] },
    "node to y (Relu): its input depends on its output: damaged",
  );
  await refuse({ nodes: [relu("x", "y"), relu("x", "y")] }, "has two tensors named y: damaged");
  await refuse({ nodes: [relu("x", "a"), relu("a", "y")] }, "has two tensors named a: damaged");
  await refuse(
    { nodes: [node("Elu", ["a"], ["y"], {}, { name: "n" })] },
    "node n (Elu): this operation is not supported for constants",
  );
  await refuse(
    { nodes: [node("Shape", ["x"], ["y"])] },
    "its output y does not depend on its input",
  );
  await refuse(
    { nodes: [node("Dropout", ["x"], ["f", "y"])] },
    "its output y does not depend on its input",
  );
  const nodes = [node("Flatten", ["x"], ["y"])], x = port("x", 1, 3, 4, 4);
  await refuse({ nodes, inputs: [] }, "has no input besides its tensors");
  await refuse({ nodes, inputs: [x, port("z", 1)] }, "has a second input, z [1]: not supported");
  await refuse({ nodes, outputs: [] }, "has no outputs: damaged");
  for (
    const [shape, text] of [
      [["N", 3, "H", 5000], "any, 3, any, 5000"],
      [[1, 3, 0, 0], "1, 3, 0, 0"],
      [["N", "C", "L"], "any, any, any"],
      [[3], "3"],
      [[], ""],
    ] as const
  ) {
    await refuse(
      { nodes, inputs: [port("x", ...shape)] },
      `its input is [${text}]: the sizes must be positive, those of images at most 4096, ` +
        "and only N, H and W, or the length of signals, may be open",
    );
  }
});

/** Nodes that are each computed from the one before, from x to y. */
function chain(count: number, step: (from: string, to: string) => Uint8Array<ArrayBuffer>) {
  return Array.from(
    { length: count },
    (_, i) => step(i ? `v${i}` : "x", i < count - 1 ? `v${i + 1}` : "y"),
  );
}

Deno.test("a hostile graph is refused before it takes time or memory", async () => {
  using backend = await createBackend({ threads: 1 });
  const tensors = [integers("two", 2), integers("ones", ...Array(64).fill(1)), halves("w", 1)];
  const refuse = (nodes: Uint8Array<ArrayBuffer>[], reason: string) =>
    assertUnsupported(backend, { nodes, tensors }, reason);
  // each doubles the size
  await refuse(
    chain(40, (from, to) => node("Concat", [from, from], [to], { axis: 1 })),
    "node v21 (Concat): its output [1, 6291456, 4, 4] is too large",
  );
  // each needs nine layers
  await refuse(
    chain(1200, (from, to) => node("Exp", [from], [to])),
    "its graph needs more than 10000 layers",
  );
  const axes = Array.from({ length: 30_000 }, (_, i) => i + 1);
  await assertUnsupported(
    backend,
    { nodes: [node("Unsqueeze", ["x"], ["y"], { axes })], tensors, opset: 11 },
    `node y (Unsqueeze): its output [1, ${"1, ".repeat(8)}…] is too large`,
  );
  const joined = (i: number) =>
    node("Concat", [i ? `c${i}` : "ones", i ? `c${i}` : "ones"], [`c${i + 1}`], { axis: 0 });
  await refuse(
    [...Array.from({ length: 12 }, (_, i) => joined(i)), node("Reshape", ["x", "c12"], ["y"])],
    "node c7 (Concat): its output [8192] has more than 4096 numbers: fold it with onnxsim first",
  );
  await refuse(
    [
      node("ConstantOfShape", ["c2"], ["c3"]),
      joined(0),
      joined(1),
      node("Reshape", ["x", "c3"], ["y"]),
    ],
    `node c3 (ConstantOfShape): its output [${
      Array(9).fill(1).join(", ")
    }, …] is not a shape of up to 16 axes`,
  );
  const square = (from: string, to: string) => node("MatMul", [from, "m"], [to]);
  await assertUnsupported(
    backend,
    {
      nodes: [
        ...Array.from({ length: 9 }, (_, i) => square(i ? `m${i}` : "m", `m${i + 1}`)),
        node("Conv", ["x", "m9"], ["y"]),
      ],
      tensors: [halves("m", 256, 256)],
    },
    "node m4 (MatMul): the graph computes too many numbers",
  );
});

Deno.test("a graph of thousands of inputs and layers loads in bounded time", async () => {
  using backend = await createBackend({ threads: 1 });
  // more than the arguments that a call may have
  const sum = joinBytes([...Array(150_000).fill(field(1, "x")), node("Sum", [], ["s"])]);
  const flat = [node("Flatten", ["s"], ["f"]), node("Gemm", ["f", "w"], ["y"], { transB: 1 })];
  using summed = await loadModel({
    backend,
    weights: smallModel({ tensors: [halves("w", 5, 48)], nodes: [sum, ...flat] }),
  });
  assertEquals(summed.classes.length, 5);
  const start = performance.now();
  using wide = await loadModel({
    backend,
    weights: smallModel({
      tensors: [halves("w", 5, 48)],
      nodes: [
        ...chain(5000, (from, to) => node("Sigmoid", [from], [to === "y" ? "last" : to])),
        ...chain(3000, (from, to) => node("Mul", [from, from === "x" ? "last" : "x"], [`m${to}`])),
        node("Flatten", ["last"], ["f"]),
        node("Gemm", ["f", "w"], ["y"], { transB: 1 }),
      ],
    }),
  });
  assertEquals(wide.classes.length, 5);
  assert(performance.now() - start < 20_000, "slow"); // a second, unless the machine is busy
});

Deno.test("integer weights are rejected", async () => {
  using backend = await createBackend({ threads: 1 });
  const parts = {
    nodes: [
      node("Flatten", ["x"], ["f"]),
      node("Gemm", ["f", "m"], ["g"], { transB: 1 }, { name: "fc" }),
      node("BatchNormalization", ["g", "n", "n", "n", "n"], ["y"]),
    ],
    tensors: [halves("m", 2, 48), integers("n", 1, 2)],
  };
  await assertUnsupported(
    backend,
    parts,
    "BatchNormalization.weight is I64, OnnxNetwork expects F32, F16, BF16, F64, F8 or I8 with a scale (and 3 more)",
  );
});

Deno.test("truncated or corrupt files load or give an error of one line", async () => {
  using backend = await createBackend({ threads: 1 });
  const whole = await Deno.readFile(fixture("layers.onnx"));
  const image = { width: 20, height: 20, data: new Uint8Array(1200).fill(99) };
  let networks = 0;
  const attempt = async (bytes: Uint8Array<ArrayBuffer>) => {
    try {
      using model = await loadModel({ backend, weights: bytes });
      networks++;
      await model.classify(image);
    } catch (error) {
      if (!(error instanceof PembrokeError)) throw error;
      assert(/^[^\n]{1,600}$/.test(error.message), error.message);
    }
    assertEquals(backend.bytesInUse, 0);
  };
  for (let length = 0; length < whole.length; length += 3) await attempt(whole.subarray(0, length));
  for (let at = 0; at < whole.length; at += 3) {
    const bytes = whole.slice();
    bytes[at] ^= 1 << at % 8;
    await attempt(bytes);
  }
  assert(networks > whole.length / 6, `${networks}`); // more than half of the bytes are weights
});
