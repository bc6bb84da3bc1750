/** As differences_test.ts, for operations that move, resample and normalise values. */

import { Draw } from "../backend/harness.ts";
import * as reference from "../reference.ts";
import type { NumArray } from "../reference.ts";
import { check, numbers } from "./differences.ts";

Deno.test("the reference gradients of slice, permute, channelShuffle and pad match differences", () => {
  const draw = new Draw(20);
  const x = numbers(draw, [2, 6, 3, 4]), { shape } = x;
  const range = { axis: 1, start: 1, end: 6, step: 2 }, dims = [2, 0, 3, 1];
  check(draw, {
    inputs: [x],
    forward: () => reference.slice(x, range),
    backward: (dy: NumArray) => [reference.sliceBackward(dy, shape, range)],
  });
  check(draw, {
    inputs: [x],
    forward: () => reference.permute(x, dims),
    backward: (dy: NumArray) => [reference.permuteBackward(dy, shape, dims)],
  });
  check(draw, {
    inputs: [x],
    forward: () => reference.channelShuffle(x, 3),
    backward: (dy: NumArray) => [reference.channelShuffleBackward(dy, 3)],
  });
  for (const padding of [[1, 2, 0, 3], [-1, 2, 3, -2, 0, -1], [0, -3]]) {
    check(draw, {
      inputs: [x],
      forward: () => reference.pad(x, padding, 5),
      backward: (dy: NumArray) => [reference.padBackward(dy, shape, padding)],
    });
  }
});

Deno.test("the reference gradient of adaptiveMaxPool2d matches differences", () => {
  const draw = new Draw(21);
  for (const size of [[3, 2], [1, 1], [9, 4]] as const) {
    const x = numbers(draw, [1, 2, 7, 5]); // random values have no ties
    check(draw, {
      inputs: [x],
      forward: () => reference.adaptiveMaxPool2d(x, size).y,
      backward: (dy: NumArray) => {
        const { indices } = reference.adaptiveMaxPool2d(x, size);
        return [reference.maxPoolBackward(dy, indices, x.shape)];
      },
    });
  }
});

Deno.test("the reference gradients of interpolate and mirrorPad match differences", () => {
  const draw = new Draw(22);
  const x = numbers(draw, [1, 2, 4, 5]), { shape } = x;
  const cases: reference.Interpolation[] = [
    { size: [8, 3], mode: "nearest" },
    { size: [7, 9], mode: "bilinear" },
    { size: [3, 9], mode: "bilinear", alignCorners: true },
    { size: [6, 8], scale: [1.6, 1.7], mode: "bilinear" },
  ];
  for (const o of cases) {
    check(draw, {
      inputs: [x],
      forward: () => reference.interpolate(x, o),
      backward: (dy: NumArray) => [reference.interpolateBackward(dy, shape, o)],
    }, JSON.stringify(o));
  }
  for (const mode of ["reflect", "replicate"] as const) {
    const padding = [3, 2, -1, 3];
    check(draw, {
      inputs: [x],
      forward: () => reference.mirrorPad(x, padding, mode),
      backward: (dy: NumArray) => [reference.mirrorPadBackward(dy, shape, padding, mode)],
    }, mode);
  }
});

Deno.test("the reference convTranspose2dBackward() matches differences", () => {
  const draw = new Draw(23);
  const cases: [x: number[], w: number[], o: reference.ConvTranspose2d][] = [
    [[2, 3, 3, 2], [3, 2, 2, 3], {}],
    [[1, 4, 3, 3], [4, 2, 3, 3], { stride: [2, 3], padding: [1, 0, 2, 1], groups: 2 }],
    [[1, 2, 3, 3], [2, 2, 2, 2], { dilation: [2, 1], stride: [1, 2], outputPadding: [1, 1] }],
  ];
  for (const [shape, weight, o] of cases) {
    const x = numbers(draw, shape), w = numbers(draw, weight);
    const b = numbers(draw, [weight[1] * (o.groups ?? 1)]);
    check(draw, {
      inputs: [x, w, b],
      forward: () => reference.convTranspose2d(x, w, b, o),
      backward: (dy: NumArray) => {
        const { dx, dw, db } = reference.convTranspose2dBackward(dy, x, w, o);
        return [dx, dw, db];
      },
    }, JSON.stringify(o));
  }
});

Deno.test("the reference rowNormBackward() matches differences", () => {
  const draw = new Draw(24);
  const cases: [shape: number[], rows: reference.Rows][] = [
    [[4, 5], { groups: 1, channels: 5, plane: 1 }],
    [[2, 6, 3], { groups: 2, channels: 3, plane: 3 }],
    [[2, 3, 2, 2], { groups: 3, channels: 1, plane: 4 }],
  ];
  for (const [shape, rows] of cases) {
    const x = numbers(draw, shape, 1, 3), channels = [rows.groups * rows.channels];
    const weight = numbers(draw, channels), bias = numbers(draw, channels);
    check(draw, {
      inputs: [x, weight, bias],
      forward: () => reference.rowNorm(x, weight, bias, rows, 0.1),
      backward: (dy: NumArray) => {
        const { dx, dweight, dbias } = reference.rowNormBackward(dy, x, weight, rows, 0.1);
        return [dx, dweight, dbias];
      },
    }, `[${shape}]`);
  }
});
