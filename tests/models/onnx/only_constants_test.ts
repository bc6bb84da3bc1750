/** Nodes that only have constants: what they compute does not depend on the pixels. */

import { assertAllClose, assertEquals } from "../../assert.ts";
import { type Attribute, floats, halves, integers, node } from "../../weights/onnx/helpers.ts";
import { run } from "./models.ts";

/** The numbers 0, 1, … */
const count = (length: number) => Array.from({ length }, (_, i) => i);

Deno.test("CumSum sums up positions, as the coordinates of image features", async () => {
  const summed = async (
    axis: number,
    attributes: Record<string, Attribute> = {},
    values = [1, 2, 3, 4, 5, 6],
  ) => {
    const tensors = [floats("c", [1, 2, 3], ...values), integers("axis", axis)];
    const nodes = [
      node("CumSum", ["c", "axis"], ["s"], attributes),
      node("Add", ["x", "s"], ["y"]),
    ];
    return (await run({ nodes, tensors }, Array(6).fill(0), [1, 2, 3])).values;
  };
  assertEquals(await summed(2), [1, 3, 6, 4, 9, 15]);
  assertEquals(await summed(-2), [1, 2, 3, 5, 7, 9]);
  assertEquals(await summed(2, { reverse: 1 }), [6, 5, 3, 15, 11, 6]);
  assertEquals(await summed(2, { exclusive: 1 }), [0, 1, 3, 0, 4, 9]);
  assertEquals(await summed(1, { exclusive: 1, reverse: 1 }), [4, 5, 6, 0, 0, 0]);
  const far = [1, 2 ** 70, 3, 4, Infinity, 6]; // not a sum minus the last number of it
  assertEquals(await summed(2, { exclusive: 1 }, far), [0, 1, 2 ** 70, 0, 4, Infinity]);
});

Deno.test("layers compute constants, as the first image of a generator", async () => {
  const image = floats("image", [1, 1, 2, 2], -1, 2, -3, 4),
    scales = floats("scales", [4], 1, 1, 2, 2);
  const alpha = { alpha: { float: 0.5 } }, nearest = { mode: "nearest" };
  const activated = node("LeakyRelu", ["image"], ["a"], alpha);
  const x = [0, 0, 0, 0, 10, 10, 10, 10], small = [-0.5, 2, -1.5, 4];
  const added = [activated, node("Add", ["x", "a"], ["y"])];
  const both = [...small, ...small.map((value) => value + 10)];
  assertEquals((await run({ nodes: added, tensors: [image] }, x, [2, 1, 2, 2])).values, both);
  const repeated = [ // for each sample, as Expand does
    node("Shape", ["x"], ["s"]),
    node("Expand", ["image", "s"], ["i"]),
    node("LeakyRelu", ["i"], ["a"], alpha),
    node("Add", ["x", "a"], ["y"]),
  ];
  assertEquals((await run({ nodes: repeated, tensors: [image] }, x, [2, 1, 2, 2])).values, both);
  const larger = [
    ...[activated, node("Resize", ["a", "", "scales"], ["r"], nearest)],
    node("Add", ["x", "r"], ["y"]),
  ];
  const { values } = await run({ nodes: larger, tensors: [image, scales] }, count(16), [
    1,
    1,
    4,
    4,
  ]);
  const resized = count(16).map((i) => small[2 * (i >> 3) + (i >> 1) % 2]);
  assertEquals(values, count(16).map((i) => i + resized[i]));
});

Deno.test("a position embedding is resized to the size in the file", async () => {
  const tensors = [floats("p", [1, 1, 2, 2], 0, 1, 2, 3), integers("to", 1, 1, 2, 4)];
  const mode = { mode: "linear", coordinate_transformation_mode: "align_corners" };
  const nodes = [node("Resize", ["p", "", "", "to"], ["r"], mode), node("Add", ["x", "r"], ["y"])];
  const { values } = await run({ nodes, tensors }, Array(16).fill(0), [2, 1, 2, 4]);
  const one = [0, 1 / 3, 2 / 3, 1, 2, 7 / 3, 8 / 3, 3];
  assertAllClose(values, [...one, ...one], { abs: 1e-6 });
});

Deno.test("a mask of windows may have a number for each byte of the file", async () => {
  // as in Swin with windows of 12×12: which pairs of positions are in the same part of the image
  const size = 730, part = count(size).map((i) => Math.floor(i / 300));
  const tensors = [
    ...[floats("a", [1, size, 1], ...part), floats("b", [1, 1, size], ...part)],
    ...[floats("zero", [], 0), floats("far", [], -100), halves("weights", 150_000)],
  ];
  const nodes = [
    node("Sub", ["a", "b"], ["d"]),
    node("Equal", ["d", "zero"], ["same"]),
    node("Where", ["same", "zero", "far"], ["mask"]),
    node("Add", ["x", "mask"], ["y"]),
  ];
  const { values } = await run({ nodes, tensors }, count(size * size), [1, size, size]);
  const mask = (i: number) => part[Math.floor(i / size)] === part[i % size] ? 0 : -100;
  assertEquals(values.findIndex((value, i) => value !== i + mask(i)), -1);
});
