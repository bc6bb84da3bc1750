/** Positions of axes: Gather, Slice backwards and Pad. */

import { createBackend } from "../../../src/backend/mod.ts";
import { loadModel } from "../../../src/models/mod.ts";
import { Gather } from "../../../src/models/onnx/moving_layers.ts";
import { ArgumentError, FileError } from "../../../src/errors.ts";
import { assertEquals, assertMatch, assertRejects, assertThrows } from "../../assert.ts";
import { testOnEveryBackend } from "../../backends.ts";
import { bytes } from "../../weights/helpers.ts";
import { field, int, integers, node, port, tensor, varint } from "../../weights/onnx/helpers.ts";
import { run, smallModel } from "./models.ts";

/** The numbers 0, 1, … */
const count = (length: number) => Array.from({ length }, (_, i) => i);

/** A tensor of indices with any shape. */
const indices = (shape: readonly number[], ...values: number[]) =>
  tensor("at", shape, 7, field(7, ...values.map(varint)));

Deno.test("Gather takes a list, or a table of windows, along any axis", async () => {
  const gathered = async (axis: number, shape: number[], ...at: number[]) => {
    const nodes = [node("Gather", ["x", "at"], ["y"], { axis })];
    return await run({ nodes, tensors: [indices(shape, ...at)] }, count(48), [1, 2, 4, 6]);
  };
  assertEquals(await gathered(1, [3], 1, 0, 1), {
    shape: [1, 3, 4, 6],
    values: [...count(24).map((i) => i + 24), ...count(24), ...count(24).map((i) => i + 24)],
  });
  const rows = [0, 1, 2, 2, 3, -1]; // two windows of three rows
  const row = (channel: number, at: number) =>
    count(6).map((i) => 24 * channel + 6 * (at < 0 ? at + 4 : at) + i);
  assertEquals(await gathered(2, [2, 3], ...rows), {
    shape: [1, 2, 2, 3, 6],
    values: [0, 1].flatMap((channel) => rows.flatMap((at) => row(channel, at))),
  });
  const columns = [5, 0, 0, 3];
  assertEquals(await gathered(3, [2, 1, 2], ...columns), {
    shape: [1, 2, 4, 2, 1, 2],
    values: count(8).flatMap((i) => columns.map((column) => 6 * i + column)),
  });
});

Deno.test("Slice reverses an axis of any length", async () => {
  const bounds = [integers("from", -1), integers("to", -1e9), integers("axis", 2)];
  const nodes = [node("Slice", ["x", "from", "to", "axis", "step"], ["y"])];
  const tensors = [...bounds, integers("step", -1)];
  const { values } = await run({ nodes, tensors }, count(600), [2, 1, 300]);
  assertEquals(values, [...count(300).reverse(), ...count(300).map((i) => 599 - i)]);
});

Deno.test("the channels of large images are reversed", async () => {
  using backend = await createBackend({ threads: 1 });
  const bounds = [integers("from", -1), integers("to", -1e9), integers("axis", 1)];
  const backwards = node("Slice", ["x", "from", "to", "axis", "step"], ["y"]);
  const at = indices([4], 2, 1, -1, 0), taken = node("Gather", ["x", "at"], ["y"], { axis: 1 });
  for (const nodes of [[backwards], [taken]]) {
    const parts = { nodes, tensors: [...bounds, integers("step", -1), at] };
    const { values } = await run(parts, count(24), [2, 3, 2, 2]);
    const channels = nodes[0] === taken ? [2, 1, 2, 0] : [2, 1, 0];
    const expected = [0, 3].flatMap((first) =>
      channels.flatMap((channel) => count(4).map((i) => 4 * (first + channel) + i))
    );
    assertEquals(values, expected);
    using network = await loadModel({
      backend,
      weights: smallModel({ ...parts, inputs: [port("x", "N", 3, 2160, 3840)] }),
    });
    assertEquals(network.outputShape([1, 3, 2160, 3840]), [1, channels.length, 2160, 3840]);
    const tables = network.nodes.filter(({ layer }) => layer instanceof Gather);
    assertEquals(tables.length, 0); // that take 12 bytes for each pixel
  }
});

Deno.test("Pad wraps values from the other end of an axis", async () => {
  const padded = async (...pads: number[]) => {
    const nodes = [node("Pad", ["x", "pads"], ["y"], { mode: "wrap" })];
    const parts = { nodes, tensors: [integers("pads", ...pads)], opset: 19 };
    return await run(parts, count(6), [1, 1, 2, 3]);
  };
  assertEquals(await padded(0, 0, 0, 1, 0, 0, 0, 2), {
    shape: [1, 1, 2, 6],
    values: [2, 0, 1, 2, 0, 1, 5, 3, 4, 5, 3, 4],
  });
  assertEquals((await padded(0, 0, 3, 0, 0, 0, 0, -1)).values, [3, 4, 0, 1, 3, 4, 0, 1, 3, 4]);
  // cropped first
  assertEquals((await padded(0, 0, 0, -1, 0, 0, 0, 3)).values, [1, 2, 1, 2, 1, 4, 5, 4, 5, 4]);
  assertEquals((await padded(0, 0, 0, 3, 0, 0, 0, -1)).values, [1, 0, 1, 0, 1, 4, 3, 4, 3, 4]);
  assertEquals((await padded(0, 0, 0, 0, 0, 0, 0, 0)).values, count(6));
  assertEquals((await padded(0, 1, 0, 0, 0, 0, 0, 0)).shape, [1, 2, 2, 3]);
  const error = await assertRejects(() => padded(0, 0, 0, -3, 0, 0, 0, 5), FileError);
  assertEquals(
    error.message,
    "weights: node y (Pad): only 1 to 65536 positions are supported",
  );
});

testOnEveryBackend("Gather sends gradients back to all positions", async (backend) => {
  for (const [axis, inner] of [[1, 4], [2, 1]] as const) {
    using layer = new Gather(axis, [2, -1, 0, 2]).train();
    const shape = axis === 1 ? [2, 3, 2, 2] : [2, 1, 3], from = [2, 2, 0, 2];
    using x = backend.upload(Float32Array.from(count(6 * inner)), shape);
    using y = layer.forward(x);
    assertEquals(y.shape, shape.with(axis, 4));
    const taken = (row: number) => count(inner).map((i) => inner * row + i);
    const sample = (n: number) => from.flatMap((at) => taken(3 * n + at));
    assertEquals([...await y.read()], [...sample(0), ...sample(1)]);
    using dy = backend.upload(Float32Array.from(count(8 * inner)), y.shape);
    using dx = layer.backward(dy);
    const expected = new Float32Array(6 * inner);
    [...sample(0), ...sample(1)].forEach((at, i) => expected[at] += i);
    assertEquals([...await dx.read()], [...expected]);
  }
  const error = assertThrows(() => new Gather(2, [0, 3]).outputShape([1, 2, 3]), ArgumentError);
  assertEquals(
    error.message,
    "Gather: the shape of x is [1, 2, 3], must be larger along the axis 2",
  );
});

Deno.test("a number of positions that is none is refused", async () => {
  const error = "weights: node y (Pad): only 1 to 65536 positions are supported";
  const refused = async (...pads: number[]) => {
    const raw = field(7, ...pads.map((pad) => new Uint8Array(new Float32Array([pad]).buffer)));
    const list = bytes(field(1, "pads"), raw, int(20, 6)); // an attribute of floats
    const pad = bytes(node("Pad", ["x"], ["y"], { mode: "wrap" }), field(5, list));
    return await run({ nodes: [pad] }, count(4), [1, 1, 4]).catch((error) => error.message);
  };
  for (const pads of [[0, 0, -4, 0, 0, 0], [0, 0, 0, 0, 0, -9], [0, 0, NaN, 0, 0, 0]]) {
    assertEquals(await refused(...pads), error);
  }
  assertMatch(await refused(0, 0, 0.5, 0, 0, 0.5), /^weights: node y \(Pad\): it has no axis /);
});

Deno.test("a list of too many positions is refused before it is read", async () => {
  const bounds = [integers("from", -1), integers("to", -1e9), integers("axis", 2)];
  const nodes = [node("Slice", ["x", "from", "to", "axis", "step"], ["y"])];
  const parts = { nodes, tensors: [...bounds, integers("step", -1)] };
  const inputs = [port("x", "N", 1, 70_000)];
  const error = await run({ ...parts, inputs }, [], [1, 1, 70_000]).catch((error) => error);
  assertEquals(error.message, "weights: node y (Slice): only 1 to 65536 positions are supported");
});
