/** Convolutions that the tests of the forward pass and of the gradients share. */

import type { Sides } from "../reference.ts";
import type { Draw } from "./harness.ts";

/** A convolution of images. */
export interface ConvCase {
  readonly x: readonly [number, number, number, number];
  readonly w: readonly [number, number, number, number];
  readonly stride?: readonly [number, number];
  readonly padding?: Sides;
  readonly dilation?: readonly [number, number];
  readonly groups?: number;
}

/** Convolutions of unusual sizes, by what is unusual. */
export const unusualConvs: readonly (readonly [what: string, ConvCase])[] = [
  ["strides that differ", { x: [1, 3, 11, 12], w: [4, 3, 3, 3], stride: [3, 2] }],
  ["a stride that leaves rows and columns unread", {
    x: [2, 2, 10, 9],
    w: [3, 2, 2, 2],
    stride: [4, 4],
  }],
  ["dilations that differ", { x: [1, 3, 11, 12], w: [4, 3, 3, 3], dilation: [2, 4] }],
  ["each side's own padding", { x: [1, 2, 5, 6], w: [3, 2, 3, 4], padding: [1, 0, 3, 2] }],
  ["padding on one side only", { x: [1, 2, 5, 6], w: [3, 2, 3, 3], padding: [0, 0, 0, 4] }],
  ["padding larger than the input", { x: [2, 1, 2, 2], w: [2, 1, 3, 3], padding: [5, 6, 7, 8] }],
  ["a kernel as large as the input", { x: [2, 3, 5, 7], w: [4, 3, 5, 7] }],
  ["a kernel larger than the input", { x: [1, 2, 3, 2], w: [4, 2, 5, 4], padding: [1, 1, 1, 1] }],
  ["one pixel", { x: [1, 1, 1, 1], w: [1, 1, 1, 1] }],
  ["one pixel in the middle of padding", {
    x: [1, 1, 1, 1],
    w: [1, 1, 3, 3],
    padding: [1, 1, 1, 1],
  }],
  ["a stride beyond the input", { x: [1, 2, 4, 4], w: [3, 2, 2, 2], stride: [9, 9] }],
  ["a stride larger than the kernel", { x: [2, 2, 9, 9], w: [3, 2, 1, 1], stride: [2, 3] }],
  ["columns only", { x: [1, 2, 9, 1], w: [3, 2, 4, 1], stride: [2, 1], padding: [1, 0, 2, 0] }],
  ["batches", { x: [5, 3, 6, 5], w: [7, 3, 3, 3], padding: [1, 1, 1, 1] }],
  ["two groups", { x: [2, 6, 6, 5], w: [8, 3, 3, 3], groups: 2, padding: [1, 1, 1, 1] }],
  ["groups of 7 rows", { x: [2, 6, 5, 5], w: [21, 2, 2, 2], groups: 3 }],
  ["a channel each", { x: [9, 7, 6, 6], w: [7, 1, 3, 3], groups: 7, padding: [1, 1, 1, 1] }],
  ["two outputs of each channel", { x: [2, 5, 6, 6], w: [10, 1, 3, 3], groups: 5, stride: [2, 2] }],
  ["groups of deep kernels", { x: [1, 100, 4, 4], w: [14, 50, 3, 3], groups: 2 }],
  ["AlexNet's first layer, small", {
    x: [2, 3, 35, 35],
    w: [8, 3, 11, 11],
    stride: [4, 4],
    padding: [2, 2, 2, 2],
  }],
];

/** Draws the sizes of a convolution of up to so many images. */
export function drawConv(draw: Draw, maxSamples: number): ConvCase {
  const groups = draw.pick([1, 1, 1, 2, 3]);
  const inC = groups * draw.integer(1, 4), outC = groups * draw.integer(1, 9);
  const kernel = [draw.integer(1, 4), draw.integer(1, 4)] as const;
  const dilation = [draw.integer(1, 3), draw.integer(1, 3)] as const;
  const stride = [draw.integer(1, 3), draw.integer(1, 3)] as const;
  const padding = [0, 0, 0, 0].map(() => draw.pick([0, 0, 1, 2, 3])) as unknown as Sides;
  const room = (axis: 0 | 1) => dilation[axis] * (kernel[axis] - 1) + 1;
  const h = Math.max(1, room(0) - padding[0] - padding[2]) + draw.integer(0, 8);
  const w = Math.max(1, room(1) - padding[1] - padding[3]) + draw.integer(0, 20);
  const x = [draw.integer(1, maxSamples), inC, h, w] as const;
  return { x, w: [outC, inC / groups, ...kernel], stride, padding, dilation, groups };
}
