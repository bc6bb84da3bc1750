/** Resizing that ONNX's own tests do not have. */

import { ArgumentError } from "../../../src/errors.ts";
import {
  coordinates,
  linear,
  Resize,
  type ResizeMode,
} from "../../../src/models/onnx/resize_layer.ts";
import { assertAllClose, assertEquals, assertThrows } from "../../assert.ts";
import { floats, integers, node, port } from "../../weights/onnx/helpers.ts";
import { run } from "./models.ts";

Deno.test("Resize averages all pixels of a smaller image, as PyTorch does with antialias", async () => {
  const rows = [
    ...[[1, 2, 4, 8, 16, -3, 5], [0, 3, 1, -2, 6, 7, 9], [2, 2, -5, 1, 0, 4, 3]],
    ...[[8, 1, 1, 0, -1, -2, -3], [4, 4, 7, 5, 2, 1, 0]],
  ];
  const resized = async (mode: string, height: number) => {
    const attributes = {
      ...{ mode, antialias: 1, exclude_outside: 1, cubic_coeff_a: { float: -0.5 } },
      coordinate_transformation_mode: "half_pixel",
    };
    const nodes = [node("Resize", ["x", "", "", "to"], ["y"], attributes)];
    const parts = { nodes, tensors: [integers("to", 1, 1, height, 3)], opset: 18 };
    const inputs = [port("x", 1, 1, 5, 7)];
    const { shape, values } = await run({ ...parts, inputs }, rows.flat(), [1, 1, 5, 7]);
    assertEquals(shape, [1, 1, height, 3]);
    return values;
  };
  // torch.nn.functional.interpolate(x, (2, 3), mode="bilinear", antialias=True), and so on
  const bilinear = [1.545455, 3.008022, 4.853896, 3.090909, 1.368984, 0.37013];
  const bicubic = [1.200662, 3.173621, 5.219223, 3.321371, 1.107688, 0.107732];
  const higher = [
    ...[1.630521, 9.070344, 3.652836, 1.493544, 4.657626, 6.3644, 1.013731, 0.203655, 7.063056],
    ...[0.560484, -0.84249, 3.060483, 2.892493, -0.771046, -1.335031, 4.393329, 1.994034],
    ...[-1.354447, 4.773646, 4.965539, 0.794121],
  ];
  assertAllClose(await resized("linear", 2), bilinear, { abs: 5e-6 });
  assertAllClose(await resized("cubic", 2), bicubic, { abs: 5e-6 });
  assertAllClose(await resized("cubic", 7), higher, { abs: 5e-6 });
});

Deno.test("Resize keeps infinite pixels that have no weight apart", async () => {
  const attributes = { mode: "cubic", coordinate_transformation_mode: "align_corners" };
  const nodes = [node("Resize", ["x", "", "scales"], ["y"], attributes)];
  const parts = { nodes, tensors: [floats("scales", [3], 1, 1, 1.5)] };
  const { values } = await run(parts, [1, Infinity, 3, 4, 5, 6], [1, 1, 6]);
  assertEquals([values[0], values.at(-1)], [1, 6]);
});

Deno.test("Resize refuses factors of samples and channels, even if their number stays", async () => {
  const error =
    "weights: node y (Resize): its scales of the batch and the channels are not 1: not supported";
  for (const scales of [[1, 1.3, 1], [1.3, 1, 1], [1, 2, 2]]) {
    const nodes = [node("Resize", ["x", "", "scales"], ["y"], { mode: "linear" })];
    const parts = { nodes, tensors: [floats("scales", [3], ...scales)] };
    const message = await run(parts, Array(12).fill(0), [1, 3, 4]).catch(({ message }) => message);
    assertEquals(message, error);
  }
  const largest = node("ReduceMax", ["x"], ["m"], { axes: [1], keepdims: 0 }); // [N]
  const nodes = [largest, node("Resize", ["m", "", "scales"], ["y"])];
  const list = run({ nodes, tensors: [floats("scales", [1], 1.3)] }, [0, 0], [1, 2]);
  assertEquals(await list.catch(({ message }) => message), error);
});

Deno.test("Resize reads a limited number of positions", () => {
  const filter = { weight: linear, radius: 1, antialias: true, excludesOutside: false };
  const layer = (out: number, rounding: ResizeMode["rounding"] = filter) =>
    new Resize([{ out }], { coordinates: coordinates.get("half_pixel")!, rounding });
  const refused = (layer: Resize, size: number) =>
    assertThrows(() => layer.outputShape([1, 1, size]), ArgumentError).message;
  assertEquals(layer(1).outputShape([1, 1, 2 ** 21 - 1]), [1, 1, 1]);
  const weights = (count: number) =>
    `Resize: the number of weights is ${count}, must be at most 4194304`;
  assertEquals(refused(layer(1), 2 ** 21), weights(2 ** 22 + 1));
  assertEquals(refused(layer(1000), 2 ** 21), weights(4196 * 1000));
  assertEquals(refused(layer(2 ** 21), 8), weights(3 * 2 ** 21));
  const nearest = layer(1, Math.floor);
  assertEquals(nearest.outputShape([1, 1, 2 ** 22]), [1, 1, 1]);
  const error = "Resize: a size of x is 4194305, must be from 1 to 4194304";
  assertEquals(refused(nearest, 2 ** 22 + 1), error);
});
