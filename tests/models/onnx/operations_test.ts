/** Forms of ONNX operations that no fixture has. */

import { FileError } from "../../../src/errors.ts";
import { assertAllClose, assertEquals, assertRejects } from "../../assert.ts";
import {
  field,
  floats,
  halves,
  integers,
  node,
  type Parts,
  port,
  tensor,
  typedPort,
} from "../../weights/onnx/helpers.ts";
import { run } from "./models.ts";

/** The numbers 0, 1, … times a factor. */
function count(length: number, factor = 1): number[] {
  return Array.from({ length }, (_, i) => i * factor);
}

/** A tensor that a parameter is read from in chunks, not as a list of numbers: more than 64. */
const hundred = count(100).map((i) => i + 1);

Deno.test("constants of any size are added, subtracted, multiplied and divided", async () => {
  const x = count(200, 0.5), shape = [2, 100];
  const divided = await run(
    { nodes: [node("Div", ["x", "d"], ["y"])], tensors: [floats("d", [100], ...hundred)] },
    x,
    shape,
  );
  assertAllClose(divided.values, x.map((value, i) => value / hundred[i % 100]), { rel: 1e-6 });
  const half = tensor(
    "d",
    [100],
    10,
    field(9, new Uint8Array(200).map((_, i) => i % 2 ? 0x40 : 0)),
  );
  const halved = await run({ nodes: [node("Div", ["x", "d"], ["y"])], tensors: [half] }, x, shape);
  assertAllClose(halved.values, x.map((value) => value / 2), { rel: 1e-6 });
  const reversed = await run(
    { nodes: [node("Sub", ["d", "x"], ["y"])], tensors: [floats("d", [100], ...hundred)] },
    x,
    shape,
  );
  assertAllClose(reversed.values, x.map((value, i) => hundred[i % 100] - value), { abs: 1e-5 });
  const several = await run(
    {
      nodes: [
        node("Sub", ["x", "mean"], ["a"]),
        node("Div", ["a", "std"], ["b"]),
        node("Mul", ["two", "b"], ["c"]),
        node("Add", ["c", "one"], ["y"]),
      ],
      tensors: [
        floats("mean", [1, 3, 1, 1], 1, 2, 3),
        floats("std", [3, 1, 1], 2, 4, 8),
        floats("two", [], 2),
        floats("one", [1], 1),
      ],
    },
    count(12),
    [1, 3, 2, 2],
  );
  const expected = count(12).map((value, i) => {
    const c = Math.floor(i / 4);
    return (value - [1, 2, 3][c]) / [2, 4, 8][c] * 2 + 1;
  });
  assertAllClose(several.values, expected, { abs: 1e-5 });
  const sum = await run(
    {
      nodes: [node("Sum", ["c", "x", "one", "x"], ["y"])],
      tensors: [floats("c", [3, 1], 1, 10, 100), floats("one", [], 1)],
    },
    count(6),
    [1, 3, 2],
  );
  assertEquals(sum.values, count(6).map((value, i) => 2 * value + 10 ** (i >> 1) + 1));
  const last = await run(
    { nodes: [node("Mul", ["x", "c"], ["y"])], tensors: [floats("c", [3], 1, 10, 100)] },
    count(12),
    [1, 2, 2, 3],
  );
  assertEquals(last, { shape: [1, 2, 2, 3], values: count(12).map((v, i) => v * 10 ** (i % 3)) });
});

Deno.test("weights are transposed, reshaped and scaled before their layer", async () => {
  const matrix = count(6), shape = [2, 3], x = count(6);
  const { values } = await run(
    {
      nodes: [
        node("Transpose", ["w"], ["t"]),
        node("Mul", ["half", "t"], ["s"]),
        node("MatMul", ["x", "s"], ["m"]),
        node("Add", ["b", "m"], ["y"]),
      ],
      tensors: [floats("w", [2, 3], ...matrix), floats("half", [], 0.5), floats("b", [2], 1, -1)],
    },
    x,
    shape,
  );
  const product = [0, 1].flatMap((n) =>
    [0, 1].map((o) =>
      0.5 * [0, 1, 2].reduce((sum, i) => sum + x[3 * n + i] * matrix[3 * o + i], 0) + (o ? -1 : 1)
    )
  );
  assertAllClose(values, product, { abs: 1e-5 });
  const large = await run(
    {
      nodes: [
        node("Reshape", ["w", "to"], ["k"]),
        node("Div", ["k", "two"], ["s"]),
        node("Conv", ["x", "s"], ["y"]),
      ],
      tensors: [
        floats("w", [100, 3], ...count(300)),
        floats("two", [], 2),
        integers("to", 100, 3, 1, 1),
      ],
    },
    [1, 2, 3],
    [1, 3, 1, 1],
  );
  const sums = count(100).map((o) => (3 * o + 2 * (3 * o + 1) + 3 * (3 * o + 2)) / 2);
  assertAllClose(large.values, sums, { rel: 1e-6 });
});

Deno.test("old versions of operations have their meaning", async () => {
  const x = [1, 2, 3, 4, -1, 0, 1, 2], shape = [2, 2, 2];
  const softmax = (opset: number, axis?: number) =>
    run(
      { nodes: [node("Softmax", ["x"], ["y"], axis ? { axis } : {})], tensors: [], opset },
      x,
      shape,
    );
  const rows = (size: number) =>
    x.map((value, i) => {
      const row = x.slice(i - i % size, i - i % size + size);
      return Math.exp(value) / row.reduce((sum, other) => sum + Math.exp(other), 0);
    });
  assertAllClose((await softmax(12)).values, rows(4), { abs: 1e-6 });
  assertAllClose((await softmax(13)).values, rows(2), { abs: 1e-6 });
  const clip = await run(
    {
      nodes: [node("Clip", ["x"], ["y"], { min: { float: 0.5 }, max: { float: 2.5 } })],
      opset: 6,
    },
    x,
    shape,
  );
  assertEquals(clip.values, [1, 2, 2.5, 2.5, 0.5, 0.5, 1, 2]);
  const padded = await run(
    { nodes: [node("Pad", ["x"], ["y"], { pads: [0, 1, 0, 0, 0, -1] })], opset: 2 },
    x,
    shape,
  );
  assertEquals(padded, { shape: [2, 3, 1], values: [0, 1, 3, 0, -1, 1] });
  const sliced = await run(
    { nodes: [node("Slice", ["x"], ["y"], { axes: [2], starts: [-1], ends: [99] })], opset: 9 },
    x,
    shape,
  );
  assertEquals(sliced, { shape: [2, 2, 1], values: [2, 4, 0, 2] });
});

Deno.test("what Expand repeats is added or multiplied", async () => {
  const x = count(24), shape = [2, 3, 2, 2];
  const expanded = (last: Uint8Array<ArrayBuffer>, from = "p", to = "s") =>
    run(
      {
        nodes: [
          node("GlobalAveragePool", ["x"], ["p"]),
          node("Shape", ["x"], ["s"]),
          node("Expand", [from, to], ["e"]),
          last,
        ],
        tensors: [integers("ones", 1, 1)],
      },
      x,
      shape,
    );
  const mean = (i: number) => i - i % 4 + 1.5;
  const product = await expanded(node("Mul", ["x", "e"], ["y"]));
  assertEquals(product, { shape, values: x.map((value, i) => value * mean(i)) });
  const sum = await expanded(node("Add", ["e", "x"], ["y"]));
  assertEquals(sum.values, x.map((value, i) => value + mean(i)));
  const same = await expanded(node("Relu", ["e"], ["y"]), "x", "ones");
  assertEquals(same.values, x);
  const alone = await expanded(node("Relu", ["e"], ["y"]));
  assertEquals(alone, { shape, values: x.map((_, i) => mean(i)) });
});

Deno.test("ConvTranspose crops and extends each side as given", async () => {
  const x = [1, 2, 3, 4], shape = [1, 1, 2, 2];
  const transposed = (
    attributes: Parameters<typeof node>[3],
    kernel: readonly number[] = [1, 10, 100, 1000],
    inputs = ["x", "w"],
  ) => {
    const side = Math.sqrt(kernel.length);
    const tensors = [floats("w", [1, 1, side, side], ...kernel), floats("b", [1], 1)];
    return run({ nodes: [node("ConvTranspose", inputs, ["y"], attributes)], tensors }, x, shape);
  };
  const all = (await transposed({})).values; // 3×3
  const cropped = await transposed({ pads: [1, 1, 0, 0] });
  assertEquals(cropped, { shape: [1, 1, 2, 2], values: [all[4], all[5], all[7], all[8]] });
  const lower = await transposed({ auto_pad: "SAME_LOWER" });
  assertEquals(lower, cropped);
  const upper = await transposed({ auto_pad: "SAME_UPPER" });
  assertEquals(upper.values, [all[0], all[1], all[3], all[4]]);
  const strided = await transposed({ strides: [2, 2], pads: [1, 1, 0, 0], output_padding: [1, 1] });
  const whole = await transposed({ strides: [2, 2], output_padding: [1, 1] }); // 5×5
  const inner = whole.values.filter((_, i) => i >= 5 && i % 5 >= 1);
  assertEquals(strided, { shape: [1, 1, 4, 4], values: inner });
  const same = { strides: [2, 2], auto_pad: "SAME_UPPER" };
  const extended = await transposed(same, [1]);
  assertEquals(extended.values, [1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0]);
  const error = await assertRejects(() => transposed(same, [1], ["x", "w", "b"]), FileError);
  assertEquals(
    error.message,
    "weights: node y (ConvTranspose): its output is larger than what it computes: " +
      "only supported in 2-D without a bias",
  );
});

Deno.test("sizes are computed in float32, and clipped", async () => {
  const x = count(100), shape = [1, 1, 10, 10], factor = Math.fround(0.7); // 10 times it is 7
  const tensors = [
    ...[floats("scales", [4], 1, 1, factor, 1), floats("k", [], factor)],
    ...[integers("one", 1), integers("two", 2), integers("zero", 0), integers("four", 4)],
    floats("grid", [2, 3], 0, 1, 2, 0, 0, 3),
    tensor("double", [1], 11, field(10, new Uint8Array(new Float64Array([factor]).buffer))),
  ];
  const mode = { mode: "nearest", coordinate_transformation_mode: "asymmetric" };
  const resized = await run(
    { nodes: [node("Resize", ["x", "", "scales"], ["y"], mode)], tensors },
    x,
    shape,
  );
  assertEquals(resized.shape, [1, 1, 7, 10]);
  const part = async (...steps: Uint8Array<ArrayBuffer>[]) => {
    const nodes = [
      ...[node("Shape", ["x"], ["s"]), node("Gather", ["s", "two"], ["h"], { axis: 0 })],
      ...steps,
      node("Slice", ["x", "zero", "end", "two"], ["y"]),
    ];
    return (await run({ nodes, tensors }, x, shape)).shape[2];
  };
  const rows = (type: number, factor: string) =>
    part(
      node("Cast", ["h"], ["f"], { to: type }),
      node("Mul", ["f", factor], ["p"]),
      node("Floor", ["p"], ["r"]),
      node("Cast", ["r"], ["end"], { to: 7 }),
    );
  assertEquals([await rows(1, "k"), await rows(11, "double")], [7, 6]);
  assertEquals(await part(node("Clip", ["h", "", "four"], ["end"])), 4);
  const axis = node("Gather", ["z", "one"], ["a"]), sum = node("ReduceSum", ["a"], ["end"]);
  assertEquals(await part(node("NonZero", ["grid"], ["z"]), axis, sum), 5);
  assertEquals(await part(node("Clip", ["h", "two"], ["c"]), node("Sign", ["c"], ["end"])), 1);
});

Deno.test("Resize rounds halves as the file says, though float32 misses them", async () => {
  const resized = async (size: number, to: number, mode: string, nearest_mode: string) => {
    const attributes = { mode: "nearest", coordinate_transformation_mode: mode, nearest_mode };
    const nodes = [node("Resize", ["x", "", "", "to"], ["y"], attributes)];
    const tensors = [integers("to", 1, 1, 1, to)];
    const inputs = [port("x", 1, 1, 1, size)];
    return (await run({ nodes, tensors, inputs }, count(size), [1, 1, 1, size])).values;
  };
  assertEquals(await resized(7, 4, "asymmetric", "round_prefer_ceil"), [0, 2, 4, 5]);
  assertEquals((await resized(14, 19, "half_pixel", "round_prefer_floor"))[9], 6); // 6.5
  assertEquals(await resized(6, 2, "half_pixel_symmetric", "ceil"), [1, 4]);
});

Deno.test("inputs hold floats of any size, in batches of any size", async () => {
  const relu = { nodes: [node("Relu", ["x"], ["y"])], outputs: [port("y")] };
  const typed = (type: number) => typedPort(type, "x", 1, 2);
  for (const type of [10, 16]) {
    const half = await run({ ...relu, inputs: [typed(type)] }, [-1, 2, 3, -4], [2, 2]);
    assertEquals(half, { shape: [2, 2], values: [0, 2, 3, 0] });
  }
  const error = await assertRejects(
    () => run({ ...relu, tensors: [halves("w", 1)], inputs: [typed(7)] }, [1, 2], [1, 2]),
    FileError,
  );
  assertEquals(error.message, "weights: its input x does not hold floats or uint8: not supported");
});

Deno.test("inputs hold bytes that are cast to floats", async () => {
  const cast = node("Cast", ["t"], ["c"], { to: 1 }), half = node("Mul", ["c", "half"], ["y"]);
  const inputs = [typedPort(2, "x", 1, 2, 2)], tensors = [floats("half", [], 0.5)];
  const turned = node("Transpose", ["x"], ["t"], { perm: [0, 2, 1] });
  const y = await run({ nodes: [turned, cast, half], tensors, inputs }, [0, 1, 128, 255], [
    1,
    2,
    2,
  ]);
  assertEquals(y, { shape: [1, 2, 2], values: [0, 64, 0.5, 127.5] });
  const fails = async (...nodes: Uint8Array<ArrayBuffer>[]) => {
    const parts = { nodes, tensors: [...tensors, floats("one", [], 1)], inputs };
    return (await assertRejects(() => run(parts, count(4), [1, 2, 2]), FileError)).message;
  };
  const reason = "holds integers: not supported";
  const product = node("Mul", ["x", "half"], ["y"]);
  assertEquals(await fails(product), `weights: node y (Mul): its input x ${reason}`);
  const floating = node("Cast", ["x"], ["f"], { to: 1 });
  const doubled = node("QuantizeLinear", ["f", "half"], ["t"]); // the integers are twice the values
  const castHalves = await fails(floating, doubled, cast, half);
  assertEquals(castHalves, `weights: node c (Cast): its input t ${reason}`);
  const whole = node("QuantizeLinear", ["f", "one"], ["t"]);
  const more = { tensors: [...tensors, floats("one", [], 1)], inputs };
  const same = await run({ nodes: [floating, whole, cast, half], ...more }, count(4), [1, 2, 2]);
  assertEquals(same.values, count(4, 0.5));
});

Deno.test("a value may have one number for each sample", async () => {
  const tensors = [
    ...[integers("one", 1), integers("all", -1), floats("s", [], 4)],
    ...[floats("c", [2], 5, 6), floats("t", [2], 3, 3)],
  ];
  const squeezed = (nodes: NonNullable<Parts["nodes"]>, inputs = [port("x", "N", 1)]) =>
    run({ nodes, tensors, inputs, opset: 13 }, [1, -2], [2, 1]);
  const scaled = node("Mul", ["a", "s"], ["y"]), expected = { shape: [2], values: [4, -8] };
  assertEquals(await squeezed([node("Squeeze", ["x", "one"], ["a"]), scaled]), expected);
  assertEquals(await squeezed([node("Reshape", ["x", "all"], ["a"]), scaled]), expected);
  const sum = node("ReduceSum", ["x", "one"], ["a"], { keepdims: 0 });
  assertEquals(await squeezed([sum, scaled]), expected);
  assertEquals(await squeezed([sum, node("Unsqueeze", ["a", "one"], ["y"])]), {
    ...{ shape: [2, 1], values: [1, -2] },
  });
  const fixed = [port("x", 2, 1)], add = (name: string) => node("Add", ["a", name], ["y"]);
  assertEquals((await squeezed([sum, add("t")], fixed)).values, [4, 1]);
  const error = await assertRejects(() => squeezed([sum, add("c")], fixed), FileError);
  assertEquals(
    error.message,
    "weights: node y (Add): a constant [2] and an input [2] are not supported: " +
      "only one number, or one for each channel",
  );
});
