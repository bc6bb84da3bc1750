/** As refusals_test.ts, for operations that move, resample and normalise values. */

import { ArgumentError } from "../../src/errors.ts";
import * as ops from "../../src/ops/mod.ts";
import { assertEquals, assertThrows } from "../assert.ts";
import { fakeBackend, fakeTensor } from "./fake_tensor.ts";

const x = fakeTensor([2, 6, 4, 5]), vector = fakeTensor([4]), w = fakeTensor([6, 2, 3, 3]);
const foreign = fakeTensor([2, 6, 4, 5], fakeBackend());

/** Passes a value of a wrong type, as plain JavaScript can. */
// deno-lint-ignore no-explicit-any
const any = (value: unknown) => value as any;

/** Error messages, and the calls that throw them. */
const invalidCalls: [string, () => unknown][] = [
  ["cat: tensors is [], must be a list of at least one", () => ops.cat([])],
  ["cat: tensors[1] is null, must be a Tensor", () => ops.cat([x, any(null)])],
  [
    "cat: tensors[1] is on another backend, fake, must be on that of the other tensors",
    () => ops.cat([x, foreign]),
  ],
  [
    "cat: the shape of input 1 is [4], must be [2, 6, 4, 5] but for axis 1",
    () => ops.cat([x, vector], 1),
  ],
  ["cat: dim is 4, must be an axis of x [2, 6, 4, 5]", () => ops.cat([x, x], 4)],
  [
    "cat: the shape of out is [2, 6, 4, 5], must be [2, 12, 4, 5]",
    () => ops.cat([x, x], 1, { out: x }),
  ],
  [
    "cat: out is the memory of an input, must be another tensor",
    () => ops.cat([x], 1, { out: x }),
  ],
  ["slice: dim is -5, must be an axis of x [2, 6, 4, 5]", () => ops.slice(x, -5, 0)],
  ["slice: start is 6, must be a position on the axis of size 6", () => ops.slice(x, 1, 6)],
  ["slice: start is -7, must be a position on the axis of size 6", () => ops.slice(x, 1, -7)],
  ["slice: end is 7, must be behind 2, and at most 6", () => ops.slice(x, 1, 2, 7)],
  ["slice: end is 2, must be behind 2, and at most 6", () => ops.slice(x, 1, 2, 2)],
  ["slice: step is 0, must be a positive integer", () => ops.slice(x, 1, 2, 5, { step: 0 })],
  [
    "sliceBackward: the shape of dy is [2, 6, 4, 5], must be [2, 3, 4, 5]",
    () => ops.sliceBackward(x, x.shape, 1, 3),
  ],
  ["permute: dims is [0, 1, 1, 2], must be each axis once", () => ops.permute(x, [0, 1, 1, 2])],
  [
    "permute: dims is [1, 0], must be the 4 axes of [2, 6, 4, 5] in any order",
    () => ops.permute(x, [1, 0]),
  ],
  [
    "permute: dims is [5, 4, 3, 2, 1, 0], must be at most five axes that do not stay together",
    () => ops.permute(fakeTensor([2, 3, 2, 3, 2, 3]), [5, 4, 3, 2, 1, 0]),
  ],
  [
    "channelShuffle: groups is 4, must be a divisor of the 6 channels",
    () => ops.channelShuffle(x, 4),
  ],
  [
    "pad: padding is [1], must be integers: [before, after] of each padded axis, the last axis first",
    () => ops.pad(x, [1]),
  ],
  [
    "pad: the padded shape is [2, 6, 4, 0], must be sizes from 1 to 536870912",
    () => ops.pad(x, [-3, -2]),
  ],
  ['pad: value is "0", must be a number', () => ops.pad(x, [1, 1], { value: any("0") })],
  [
    'pad: mode is "circular", must be "constant", "reflect" or "replicate"',
    () => ops.pad(x, [1, 1], { mode: any("circular") }),
  ],
  [
    'pad: padding is 5, must be less than 5 along an axis of that size, with mode "reflect"',
    () => ops.pad(x, [1, 5], { mode: "reflect" }),
  ],
  [
    'pad: padding is [0, 0, 0, 0, 1, 1], must be at most 2 pairs with mode "replicate"',
    () => ops.pad(x, [0, 0, 0, 0, 1, 1], { mode: "replicate" }),
  ],
  [
    "padBackward: the shape of dy is [2, 6, 4, 5], must be [2, 6, 4, 7]",
    () => ops.padBackward(x, x.shape, [1, 1]),
  ],
  [
    "interpolate: the output size is given by neither, must be given by one of size and scaleFactor",
    () => ops.interpolate(x, {}),
  ],
  [
    "interpolate: the output size is given by both, must be given by one of size and scaleFactor",
    () => ops.interpolate(x, { size: 3, scaleFactor: 2 }),
  ],
  [
    "interpolate: size is [3, 1.5], must be positive integers",
    () => ops.interpolate(x, { size: [3, 1.5] }),
  ],
  [
    "interpolate: scaleFactor is 0, must be positive numbers",
    () => ops.interpolate(x, { scaleFactor: 0 }),
  ],
  [
    "interpolate: scaleFactor is [1], must be one number, or one for each of 2 axes",
    () => ops.interpolate(x, { scaleFactor: [1] }),
  ],
  [
    "interpolate: a size of the output is 0, must be from 1 to 4194304",
    () => ops.interpolate(x, { scaleFactor: 0.2 }),
  ],
  [
    'interpolate: mode is "linear", must be "bilinear" for [N, C, H, W]',
    () => ops.interpolate(x, { size: 2, mode: "linear" }),
  ],
  [
    'interpolate: alignCorners is true, must be false with mode "nearest"',
    () => ops.interpolate(x, { size: 2, alignCorners: true }),
  ],
  [
    'interpolate: mode is "bicubic", must be "nearest", "nearest-exact", "linear" or "bilinear"',
    () => ops.interpolate(x, { size: 2, mode: any("bicubic") }),
  ],
  [
    "interpolateBackward: the shape of dy is [2, 6, 4, 5], must be [2, 6, 3, 3]",
    () => ops.interpolateBackward(x, x.shape, { size: 3 }),
  ],
  [
    "convTranspose2d: the shape of x is [4], must be [N, C, H, W], each at least 1",
    () => ops.convTranspose2d(vector, w, null),
  ],
  [
    "convTranspose2d: the shape of weight is [8, 2, 3, 3], must be [6, …] for x [2, 6, 4, 5]",
    () => ops.convTranspose2d(x, fakeTensor([8, 2, 3, 3]), null),
  ],
  [
    "convTranspose2d: groups is 4, must be a divisor of the 6 input channels",
    () => ops.convTranspose2d(x, w, null, { groups: 4 }),
  ],
  [
    "convTranspose2d: the shape of bias is [4], must be [6]",
    () => ops.convTranspose2d(x, w, vector, { groups: 3 }),
  ],
  [
    "convTranspose2d: outputPadding is 2, must be less than the stride or the dilation",
    () => ops.convTranspose2d(x, w, null, { stride: 2, outputPadding: 2 }),
  ],
  [
    "convTranspose2d: padding is [1], must be non-negative integers: [height, width] or [top, left, bottom, right]",
    () => ops.convTranspose2d(x, w, null, { padding: [1] }),
  ],
  [
    "convTranspose2d: the size of the output is [0, 1], must be from 1 to 536870912",
    () => ops.convTranspose2d(x, w, null, { padding: 3 }),
  ],
  [
    "convTranspose2d: stride is 0, must be one positive integer, or one for each of 2 axes",
    () => ops.convTranspose2d(x, w, null, { stride: 0 }),
  ],
  [
    "convTransposeBackwardInput: the shape of dy is [2, 6, 4, 5], must be [2, 2, 6, 7]",
    () => ops.convTransposeBackwardInput(x, w, x.shape),
  ],
  [
    "convTransposeBackwardWeight: the shape of dy is [2, 6, 4, 5], must be [2, 2, 6, 7]",
    () => ops.convTransposeBackwardWeight(x, fakeTensor(x.shape), w.shape),
  ],
  [
    "layerNorm: normalizedShape is [4], must be the sizes of the last axes of x [2, 6, 4, 5]",
    () => ops.layerNorm(x, [4]),
  ],
  [
    "layerNorm: normalizedShape is [], must be the sizes of the last axes of x [2, 6, 4, 5]",
    () => ops.layerNorm(x, []),
  ],
  [
    "layerNorm: the shape of weight is [4], must be [4, 5]",
    () => ops.layerNorm(x, [4, 5], { weight: vector }),
  ],
  [
    "layerNorm: eps is -1, must be a non-negative number",
    () => ops.layerNorm(x, [5], { eps: -1 }),
  ],
  [
    "layerNorm: the shape of mean is [4], must be [12]",
    () => ops.layerNorm(x, [4, 5], { statistics: { mean: vector, rstd: vector } }),
  ],
  [
    "layerNorm: rstd is the memory of mean, must be another tensor",
    () => ops.layerNorm(fakeTensor([4, 5]), [5], { statistics: { mean: vector, rstd: vector } }),
  ],
  [
    "groupNorm: numGroups is 4, must be a divisor of the 6 channels",
    () => ops.groupNorm(x, 4),
  ],
  [
    "groupNorm: the shape of bias is [4], must be [6]",
    () => ops.groupNorm(x, 3, { bias: vector }),
  ],
  [
    "groupNormBackward: the shape of dy is [4], must be [2, 6, 4, 5]",
    () => ops.groupNormBackward(vector, x, { mean: vector, rstd: fakeTensor([4]) }, 2),
  ],
  [
    "layerNormBackward: dbias is the memory of dweight, must be another tensor",
    () => {
      const [dy, rows] = [fakeTensor([4, 4]), fakeTensor([4, 4])], shared = fakeTensor([4]);
      const statistics = { mean: vector, rstd: fakeTensor([4]) };
      const options = { dweight: shared, dbias: shared.view([4]) };
      return ops.layerNormBackward(dy, rows, statistics, [4], options);
    },
  ],
];
for (const [message, call] of invalidCalls) {
  Deno.test(`${message.slice(0, message.indexOf(", must be"))}: rejected`, () => {
    assertEquals(assertThrows(call, ArgumentError).message, message);
  });
}
