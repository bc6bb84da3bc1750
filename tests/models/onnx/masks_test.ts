/** Comparisons of ONNX graphs, and what chooses by them. */

import { createBackend } from "../../../src/backend/mod.ts";
import { ArgumentError, FileError } from "../../../src/errors.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { assertAllClose, assertEquals, assertRejects, assertThrows } from "../../assert.ts";
import { type Attribute, floats, integers, node, onnx, port } from "../../weights/onnx/helpers.ts";
import { formula, run } from "./models.ts";

const shape = [2, 3, 2, 3], x = [...formula(shape, 2)];
x.splice(0, 6, 0, 0.5, -0, -(2 ** -149), 1e-30, 3e12); // a tie, zeros, and extremes

/** The channel of an element. */
const channel = (i: number) => Math.floor(i / 6) % 3;
const limits = [0.5, -0.5, 0];

const tensors = [
  ...[floats("half", [], 0.5), floats("zero", [], 0), floats("one", [], 1)],
  ...[floats("least", [], -Infinity), floats("limits", [3, 1, 1], ...limits)],
  floats("lists", [2], 1, Infinity),
];

/** Runs nodes from x to y. `b` is −x, and `c` is x > 0.5. */
async function compute(...nodes: Uint8Array<ArrayBuffer>[]): Promise<number[]> {
  const before = [node("Neg", ["x"], ["b"]), node("Greater", ["x", "half"], ["c"])];
  return (await run({ nodes: [...before, ...nodes], tensors }, x, shape)).values;
}

const to = (op: string, ...inputs: string[]) => node(op, inputs, ["y"]);

Deno.test("comparisons of ONNX graphs are exactly 1 or 0", async () => {
  const holds: [string, (a: number, b: number) => boolean][] = [
    ["Greater", (a, b) => a > b],
    ["GreaterOrEqual", (a, b) => a >= b],
    ["Less", (a, b) => a < b],
    ["LessOrEqual", (a, b) => a <= b],
    ["Equal", (a, b) => a === b],
  ];
  for (const [op, test] of holds) {
    const expected = (other: (value: number, i: number) => number) =>
      x.map((value, i) => Number(test(Math.fround(value), other(value, i))));
    const near = (list: number[]) => list.map((value) => value + 0); // no −0
    assertEquals(near(await compute(to(op, "x", "half"))), expected(() => 0.5), op);
    assertEquals(
      near(await compute(to(op, "x", "limits"))),
      expected((_, i) => limits[channel(i)]),
    );
    assertEquals(
      near(await compute(to(op, "x", "b"))),
      expected((value) => -Math.fround(value)),
      op,
    );
    const turned = x.map((value) => Number(test(0.5, Math.fround(value))));
    assertEquals(near(await compute(to(op, "half", "x"))), turned, op);
  }
});

Deno.test("comparisons of ONNX graphs take infinite numbers", async () => {
  const x = [Infinity, -Infinity, 0, 3e38, -3e38, 1];
  const lists = [
    floats("all", [], -Infinity),
    floats("list", [6], 0, -Infinity, Infinity, 1, 1, 1),
  ];
  const tests: Record<string, (a: number, b: number) => boolean> = {
    ...{ Equal: (a, b) => a === b, Greater: (a, b) => a > b, LessOrEqual: (a, b) => a <= b },
  };
  for (const [op, test] of Object.entries(tests)) {
    const check = async (other: string, values: number[]) => {
      const nodes = [node("Abs", ["x"], ["size"]), node(op, ["x", other], ["y"])];
      const y = await run({ nodes, tensors: lists }, x, [1, 6]);
      assertEquals(y.values.map((value) => value + 0), x.map((a, i) => Number(test(a, values[i]))));
    };
    await check("size", x.map(Math.abs));
    await check("all", x.map(() => -Infinity));
    await check("list", [0, -Infinity, Infinity, 1, 1, 1]);
  }
});

Deno.test("comparisons of ONNX graphs with large numbers, and signs and ceilings of small ones, are exact", async () => {
  const values = [3e12, 7e15, 9e20, 3e38, 2.9999997e12];
  for (const limit of values.map(Math.fround)) {
    const compared = async (op: string) => {
      const nodes = [node(op, ["x", "limit"], ["y"])];
      return (await run({ nodes, tensors: [floats("limit", [], limit)] }, values, [1, 5])).values;
    };
    assertEquals(await compared("Equal"), values.map((x) => Number(Math.fround(x) === limit)));
    assertEquals(await compared("Greater"), values.map((x) => Number(Math.fround(x) > limit)));
  }
  const small = [1e-45, -1e-45, 1e-38, -3e-30, 0];
  const signs = await run({ nodes: [to("Sign", "x")] }, small, [1, 5]);
  assertEquals(signs.values, [1, -1, 1, -1, 0]);
  const ceilings = await run({ nodes: [to("Ceil", "x")] }, small, [1, 5]);
  assertEquals(ceilings.values.map((value) => value + 0), [1, 0, 1, 0, 0]);
});

Deno.test("Where, Not, And, Or and Cast of ONNX graphs take comparisons", async () => {
  const check = async (nodes: Uint8Array<ArrayBuffer>[], f: (x: number, i: number) => number) =>
    assertAllClose(await compute(...nodes), x.map(f), { rel: 1e-6 });
  await check([to("Where", "c", "x", "b")], (v) => v > 0.5 ? v : -v);
  await check([to("Where", "c", "x", "zero")], (v) => v > 0.5 ? v : 0);
  await check([to("Where", "c", "half", "x")], (v) => v > 0.5 ? 0.5 : v);
  await check([to("Where", "c", "limits", "x")], (v, i) => v > 0.5 ? limits[channel(i)] : v);
  await check([to("Where", "c", "one", "half")], (v) => v > 0.5 ? 1 : 0.5);
  await check([to("Where", "c", "zero", "zero")], () => 0);
  await check(
    [node("Where", ["c", "x", "least"], ["d"]), to("Max", "d", "half")],
    (v) => Math.max(v, 0.5),
  );
  const less = node("Less", ["x", "zero"], ["d"]);
  await check([to("Not", "c")], (v) => Number(v <= 0.5));
  await check([less, to("Or", "c", "d")], (v) => Number(v > 0.5 || v < 0));
  await check([less, node("Not", ["d"], ["e"]), to("And", "c", "e")], (v) => Number(v > 0.5));
  const cast = (from: string, type: Attribute, name: string) =>
    node("Cast", [from], [name], { to: type });
  await check([cast("c", 1, "d"), to("Mul", "d", "x")], (v) => v > 0.5 ? v : 0);
  await check([cast("x", 9, "d"), cast("d", 1, "y")], (v) => Number(v !== 0));
});

Deno.test("Where of ONNX graphs ignores infinite numbers that it does not choose", async () => {
  const large = [-2, 89, 100, 3e38],
    nodes = [
      ...[node("Greater", ["x", "zero"], ["c"]), node("Exp", ["x"], ["e"])],
      ...[node("Sub", ["e", "one"], ["d"]), to("Where", "c", "x", "d")],
    ];
  const { values } = await run({ nodes, tensors }, large, [1, 4]);
  assertAllClose(values, [Math.exp(-2) - 1, 89, 100, 3e38], { rel: 1e-6 });
  const limited = await run(
    {
      nodes: [
        node("Greater", ["x", "half"], ["c"]),
        node("Where", ["c", "zero", "infinite"], ["d"]),
        to("Greater", "d", "one"),
      ],
      tensors: [...tensors, floats("infinite", [], Infinity)],
    },
    [1, 0],
    [1, 2],
  );
  assertEquals(limited.values, [0, 1]);
});

Deno.test("a size of the image that Where chooses fixes the size", async () => {
  using backend = await createBackend({ threads: 1 });
  const nodes = [
    ...[node("Shape", ["x"], ["s"]), node("Gather", ["s", "last"], ["i"])],
    ...[node("Cast", ["i"], ["w"], { to: 1 }), node("Greater", ["x", "zero"], ["c"])],
    to("Where", "c", "x", "w"),
  ];
  using network = await loadModel({
    backend,
    weights: onnx({
      inputs: [port("x", "N", 3, "H", "W")],
      outputs: [port("y")],
      nodes,
      tensors: [...tensors, integers("last", 3)],
    }),
  });
  using image = backend.upload(new Float32Array(192), [1, 3, 8, 8]);
  assertThrows(() => network.forward(image), ArgumentError, "must be [N, 3, 224, 224]");
});

Deno.test("infinite constants for each channel cannot be chosen", async () => {
  using backend = await createBackend({ threads: 1 });
  const weights = onnx({
    inputs: [port("x", "N", 2)],
    outputs: [port("y")],
    nodes: [node("Greater", ["x", "half"], ["c"]), to("Where", "c", "x", "lists")],
    tensors,
  });
  const error = await assertRejects(() => loadModel({ backend, weights }), FileError);
  assertEquals(error.message, "weights: node y (Where): infinite constants are not supported");
});

Deno.test("the logarithm of ONNX graphs is exact, and finite for 0", async () => {
  const values = [-1, 0, 1e-16, 1e-6, 0.5, 0.999, 1, 1.001, 2, 1e6, 1e12];
  const y = await run({ nodes: [to("Log", "x")], tensors }, values, [1, values.length]);
  const expected = values.map((value) => Math.log(Math.max(value, 1e-16)));
  assertAllClose(y.values, expected, { abs: 1e-6, rel: 1e-6 });
});

Deno.test("comparisons of ONNX graphs pass gradients on to what they choose", async () => {
  using backend = await createBackend({ threads: 1 });
  const nodes = [node("Greater", ["x", "half"], ["c"]), to("Where", "c", "x", "b")];
  using network = await loadModel({
    backend,
    weights: onnx({
      inputs: [port("x", "N", 4)],
      outputs: [port("y")],
      nodes: [node("Neg", ["x"], ["b"]), ...nodes],
      tensors,
    }),
  });
  using input = backend.upload(Float32Array.of(1, 0, -1, 2), [1, 4]);
  using output = network.train().forward(input);
  using dx = network.backward(output);
  assertEquals([...await output.read()], [1, 0, 1, 2]);
  assertEquals([...await dx.read()].map((value) => value + 0), [1, 0, -1, 2]);
});

Deno.test("the gradients of signs, rounded numbers, and indices of ONNX graphs are 0", async () => {
  using backend = await createBackend({ threads: 1 });
  const x = [0.7, 0, 2, -2.6, 1e7], cast = node("Cast", ["x"], ["i"], { to: 7 });
  const toFloat = node("Cast", ["i"], ["s"], { to: 1 });
  const cases: [string, Uint8Array<ArrayBuffer>[], number[]][] = [
    ["Sign", [node("Sign", ["x"], ["s"])], x.map(Math.sign)],
    ["Round", [node("Round", ["x"], ["s"])], x.map(Math.round)],
    ["Floor", [node("Floor", ["x"], ["s"])], x.map(Math.floor)],
    ["Ceil", [node("Ceil", ["x"], ["s"])], x.map(Math.ceil)],
    ["Cast", [cast, toFloat], x.map(Math.trunc)],
    ["ArgMax", [node("ArgMax", ["x"], ["i"], { axis: 1 }), toFloat], x.map(() => 4)],
  ];
  for (const [name, nodes, factors] of cases) {
    using network = await loadModel({
      backend,
      weights: onnx({
        inputs: [port("x", "N", 5)],
        outputs: [port("y")],
        nodes: [...nodes, node("Mul", ["x", "s"], ["y"])],
      }),
    });
    using input = backend.upload(Float32Array.from(x), [1, 5]);
    using output = network.train().forward(input);
    using dx = network.backward(output.backend.upload(new Float32Array(5).fill(1), [1, 5]));
    assertAllClose(await dx.read(), factors, { rel: 1e-6, name });
  }
});

Deno.test("ArgMax and ArgMin give the index of the first of equal values", async () => {
  const x = [3, -1, 7, 7, 0, 7, -5, -5, 2, 9, 9, 1];
  const indexed = async (op: string, axis: number, more: Record<string, number> = {}) => {
    const nodes = [node(op, ["x"], ["y"], { axis, ...more })];
    return await run({ nodes }, x, [1, 2, 2, 3]);
  };
  const none = { keepdims: 0 };
  assertEquals(await indexed("ArgMax", 3), { shape: [1, 2, 2, 1], values: [2, 0, 2, 0] });
  assertEquals((await indexed("ArgMax", -1, none)).values, [2, 0, 2, 0]);
  assertEquals(await indexed("ArgMin", 3, none), { shape: [1, 2, 2], values: [1, 1, 0, 2] });
  assertEquals((await indexed("ArgMax", 1, none)).values, [0, 0, 0, 1, 1, 0]);
  assertEquals(await indexed("ArgMax", 2), { shape: [1, 2, 1, 3], values: [1, 1, 0, 1, 1, 0] });
  const tiny = [node("ArgMax", ["x"], ["y"], { axis: 1 })];
  const other = { nodes: [node("Cast", ["y"], ["z"], { to: 1 })] };
  const nodes = [...tiny, ...other.nodes, node("Mul", ["z", "z"], ["w"])];
  const parts = { nodes, outputs: [port("w")] };
  const close = [1e-36, 1.0000001e-36, -1e30, 1e20, 1e20, 1.0000001e20];
  assertEquals((await run(parts, close, [2, 3])).values, [1, 4]);
});

Deno.test("ArgMax and ArgMin take infinite numbers", async () => {
  const least = -Infinity, x = [1, Infinity, 3, least, least, least, least, -3e38, 3.4e38];
  const index = async (op: string) => {
    const nodes = [node(op, ["x"], ["i"], { axis: 1 }), node("Cast", ["i"], ["z"], { to: 1 })];
    return (await run({ nodes: [...nodes, node("Mul", ["z", "z"], ["y"])] }, x, [3, 3])).values;
  };
  assertEquals(await index("ArgMax"), [1, 0, 4]); // squares
  assertEquals(await index("ArgMin"), [0, 0, 0]);
});

Deno.test("integers are compared with others, as the classes of pixels", async () => {
  const nodes = [
    node("ArgMax", ["x"], ["i"], { axis: 1 }),
    node("Equal", ["i", "one"], ["e"]),
    node("Less", ["i", "one"], ["l"]),
    node("Sub", ["e", "l"], ["y"]),
  ];
  const x = [5, 1, 0, 1, 7, 0, 2, 2, 9];
  const { values } = await run({ nodes, tensors: [integers("one", 1)] }, x, [1, 3, 1, 3]);
  assertEquals(values, [-1, 1, 0]);
});

Deno.test("Cast to integers leaves the fraction out, and floats may follow", async () => {
  const cast = (from: string, to: string, type: number) => node("Cast", [from], [to], { to: type });
  const x = [
    -2.9,
    -1,
    -0.4,
    0,
    0.6,
    1.999,
    255.5,
    3e6,
    -5000365.5,
    8388607.5,
    -12000873,
    2 ** 47 + 2 ** 24,
  ];
  const shape = [1, x.length];
  for (
    const nodes of [
      [cast("x", "y", 7)],
      [cast("x", "i", 6), cast("i", "j", 7), cast("j", "y", 1)],
    ]
  ) {
    const { values } = await run({ nodes }, x, shape);
    assertEquals(values.map((value) => value + 0), x.map((value) => Math.trunc(value) + 0));
  }
  const halves = [node("Cast", ["x"], ["i"], { to: 7 }), node("Div", ["i", "two"], ["y"])];
  const parts = { nodes: halves, tensors: [floats("two", [], 2)] };
  const error = await run(parts, x, shape).catch((error) => error);
  assertEquals(error.message, "weights: node y (Div): its input i holds integers: not supported");
});
