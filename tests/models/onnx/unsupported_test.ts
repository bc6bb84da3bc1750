/** ONNX models that are invalid or not supported give errors that name the node. */

import { type Backend, createBackend } from "../../../src/backend/mod.ts";
import { FileError, PembrokeError } from "../../../src/errors.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { assert, assertEquals, assertRejects } from "../../assert.ts";
import {
  type Attribute,
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
    ...[halves("line", 2, 3, 3), integers("to", 1, 48), integers("rows", 3, 16)],
    ...[halves("scale", 3), integers("whole", 1, 2)],
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
      nodes: [node("Sigmoid\n", ["x"], ["y"]), node("Add", ["y"], ["z"], {}, { domain: "com.x" })],
      tensors,
    },
    "uses operations that are not supported: Sigmoid\\u{a}, com.x.Add (supported: AveragePool, " +
      "BatchNormalization, Conv, Dropout, Flatten, Gemm, GlobalAveragePool, Identity, LRN, MaxPool, " +
      "Relu, Reshape, Softmax at the end)",
  );
  await check("Relu", [], { slope: 2 }, "its attribute slope is not supported");

  const conv = (attributes: Record<string, Attribute>, reason: string) =>
    check("Conv", ["w", "b"], attributes, reason);
  await conv(
    { auto_pad: "SAME_UPPER" },
    "auto_pad SAME_UPPER is not supported, only explicit pads",
  );
  await conv(
    { pads: [1, 1] },
    "its attribute pads must have 4 numbers, for top, left, bottom and right",
  );
  await conv({ strides: [1] }, "its attribute strides must have 2 numbers, for height and width");
  await conv({ strides: 1 }, "its attribute strides is not a list of numbers: damaged");
  await conv(
    { kernel_shape: [5, 5] },
    "its kernel_shape [5, 5] does not match its weight [2, 3, 3, 3]",
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
    "its weight is [2, 3, 3]: only 2-D convolutions are supported",
  );
  await check(
    "Conv",
    ["elsewhere"],
    {},
    "its weight elsewhere is not a constant in the file: not supported",
  );
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
  await check("Flatten", [], { axis: 2 }, "axis 2 is not supported, only 1");
  await check("Reshape", ["rows"], {}, "[1, 3, 4, 4] to [3, 16] is not supported, only [N, 48]");
  await check("Reshape", ["w"], {}, "its shape w is F32 [2, 3, 3, 3]: not supported");
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
  await check(
    "Softmax",
    [],
    { axis: 1 },
    "axis 1 of [1, 3, 4, 4] is not supported, only the last of [N, classes]",
  );
  await check("Dropout", ["c"], {}, "its ratio c is F32 [4]: not supported");

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
    after(node("Softmax", ["f"], ["s"]), node("Relu", ["s"], ["y"], {}, { name: "r" })),
    "node r (Relu): it follows Softmax, which must be the last operation",
  );
  await assertUnsupported(
    backend,
    after(node("Gemm", ["f", "whole"], ["y"])),
    "node y (Gemm): it multiplies [1, 48] by [2]: both must be matrices",
  );
});

Deno.test("graphs that are not sequences from images to classes are rejected", async () => {
  using backend = await createBackend({ threads: 1 });
  const tensors = [floats("a", [1], 1)];
  const relu = (from: string, to: string) => node("Relu", [from], [to], {}, { name: `to ${to}` });
  const flat = node("Flatten", ["x"], ["f"]);
  await assertUnsupported(
    backend,
    { nodes: [flat, relu("f", "g"), relu("f", "y")], tensors },
    "node to y (Relu): its input f is not the output of the node before: " +
      "only sequential graphs are supported",
  );
  await assertUnsupported(
    backend,
    { nodes: [flat, relu("f", "g")], tensors },
    "its output y is not the output of the last node",
  );
  await assertUnsupported(
    backend,
    { nodes: [relu("x", "y")], tensors },
    "its output is [1, 3, 4, 4], must be [N, classes]",
  );
  const nodes = [node("Flatten", ["x"], ["y"])];
  const count = (inputs: number, outputs: number) =>
    `has ${inputs} inputs and ${outputs} outputs, must have one of each`;
  const x = port("x", 1, 3, 4, 4);
  await assertUnsupported(backend, { nodes, tensors, inputs: [] }, count(0, 1));
  await assertUnsupported(backend, { nodes, tensors, inputs: [x, port("z", 1)] }, count(2, 1));
  await assertUnsupported(
    backend,
    { nodes, tensors, outputs: [port("y"), port("z")] },
    count(1, 2),
  );
  await assertUnsupported(backend, { nodes, tensors, outputs: [] }, count(1, 0));
  for (
    const [shape, text] of [
      [[1, 4, 4, 3], "1, 4, 4, 3"],
      [["N", 3, 4, 5], "any, 3, 4, 5"],
      [["N", 3, "H", 5000], "any, 3, any, 5000"],
      [[1, 3, 0, 0], "1, 3, 0, 0"],
      [[3, 4, 4], "3, 4, 4"],
      [[], ""],
    ] as const
  ) {
    await assertUnsupported(
      backend,
      { nodes, tensors, inputs: [port("x", ...shape)] },
      `its input is [${text}], must be square images [N, 3, side, side]`,
    );
  }
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
  for (let length = 0; length < whole.length; length++) await attempt(whole.subarray(0, length));
  for (let at = 0; at < whole.length; at++) {
    const bytes = whole.slice();
    bytes[at] ^= 1 << at % 8;
    await attempt(bytes);
  }
  assert(networks > whole.length / 2, `${networks}`); // more than half of the bytes are weights
});
