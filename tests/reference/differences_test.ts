/**
 * Compares the gradients of the reference implementations with central differences in float64. This
 * finds wrong formulas before kernels are compared with them.
 */

import { assertAllClose } from "../assert.ts";
import { activationCases } from "../backend/activations.ts";
import { Draw } from "../backend/harness.ts";
import * as reference from "../reference.ts";
import type { NumArray, NumArray64, Pair } from "../reference.ts";
import { check, differences, numbers } from "./differences.ts";

type Shape4 = readonly [number, number, number, number];

const conv2d: [x: Shape4, w: Shape4, o: reference.Conv2d][] = [
  [[2, 3, 5, 4], [4, 3, 3, 2], {}],
  [[1, 2, 7, 8], [3, 2, 3, 3], { stride: [2, 3] }],
  [[1, 2, 7, 8], [2, 2, 2, 3], { dilation: [3, 2] }],
  [[1, 1, 3, 4], [2, 1, 3, 3], { padding: [2, 0, 1, 3] }],
  [[2, 4, 4, 4], [6, 2, 2, 2], { groups: 2, padding: [1, 1, 1, 1] }],
  [[1, 3, 5, 5], [6, 1, 3, 3], { groups: 3, stride: [2, 1], dilation: [1, 2] }],
  [[2, 2, 3, 3], [3, 2, 3, 3], {}],
  [[3, 3, 2, 2], [2, 3, 1, 1], {}],
];
const conv1d: [x: readonly number[], w: readonly number[], o: reference.Conv1d][] = [
  [[2, 3, 9], [4, 3, 3], {}],
  [[1, 2, 10], [3, 2, 3], { stride: [2], padding: [3, 1], dilation: [2] }],
  [[2, 4, 6], [8, 1, 2], { groups: 4, padding: [1, 0] }],
];

Deno.test("the reference conv2dBackward() and conv1dBackward() match finite differences", () => {
  const draw = new Draw(1);
  for (const [shape, weight, o] of conv2d) {
    const x = numbers(draw, shape), w = numbers(draw, weight), b = numbers(draw, [weight[0]]);
    const forward = () => reference.conv2d(x, w, b, o);
    const backward = (dy: NumArray) => {
      const { dx, dw, db } = reference.conv2dBackward(dy, x, w, o);
      return [dx, dw, db];
    };
    check(draw, { inputs: [x, w, b], forward, backward }, JSON.stringify(o));
  }
  for (const [shape, weight, o] of conv1d) {
    const x = numbers(draw, shape), w = numbers(draw, weight), b = numbers(draw, [weight[0]]);
    const forward = () => reference.conv1d(x, w, b, o);
    const backward = (dy: NumArray) => {
      const { dx, dw, db } = reference.conv1dBackward(dy, x, w, o);
      return [dx, dw, db];
    };
    check(draw, { inputs: [x, w, b], forward, backward }, JSON.stringify(o));
  }
});

Deno.test("the reference linearBackward() matches finite differences", () => {
  const draw = new Draw(2);
  for (const lead of [[], [4], [2, 3]]) {
    const x = numbers(draw, [...lead, 5]), w = numbers(draw, [3, 5]), b = numbers(draw, [3]);
    const forward = () => reference.linear(x, w, b);
    const backward = (dy: NumArray) => {
      const { dx, dw, db } = reference.linearBackward(dy, x, w);
      return [dx, dw, db];
    };
    check(draw, { inputs: [x, w, b], forward, backward }, `[${lead}]`);
  }
});

Deno.test("the reference matmulBackward() matches finite differences", () => {
  const draw = new Draw(12);
  for (const [a, b, o] of products) {
    const inputs = [numbers(draw, a), numbers(draw, b)] as const;
    const forward = () => reference.matmul(...inputs, o);
    const backward = (dy: NumArray) => reference.matmulBackward(dy, ...inputs, o);
    check(draw, { inputs: [...inputs], forward, backward }, JSON.stringify(o));
  }
});

const products: [number[], number[], reference.Transposes][] = [
  [[3, 2], [2, 4], {}],
  [[2, 3, 2], [2, 4, 2], { transposeB: true }],
  [[2, 2, 3], [2, 2, 4], { transposeA: true }],
  [[1, 2, 2, 3], [1, 2, 4, 2], { transposeA: true, transposeB: true }],
];

const pools: reference.Pool2d[] = [
  { kernel: [2, 2] },
  { kernel: [3, 2], stride: [1, 2] },
  { kernel: [3, 3], stride: [2, 2], padding: [1, 0, 1, 1] },
  { kernel: [2, 3], stride: [1, 1], dilation: [2, 2], padding: [1, 1, 1, 1] },
  { kernel: [3, 3], stride: [2, 3], padding: [1, 1, 1, 1], ceilMode: true },
];

Deno.test("the reference maxPoolBackward() matches finite differences", () => {
  const draw = new Draw(3);
  for (const o of pools) {
    const x = numbers(draw, [2, 2, 6, 7]); // random values have no ties
    const backward = (dy: NumArray) => [
      reference.maxPoolBackward(dy, reference.maxPool2d(x, o).indices, x.shape),
    ];
    check(draw, { inputs: [x], forward: () => reference.maxPool2d(x, o).y, backward });
  }
  const x = numbers(draw, [2, 3, 9]), o = { kernel: [3], stride: [2], padding: [1, 1] } as const;
  const backward = (dy: NumArray) => [
    reference.maxPoolBackward(dy, reference.maxPool1d(x, o).indices, x.shape),
  ];
  check(draw, { inputs: [x], forward: () => reference.maxPool1d(x, o).y, backward });
});

Deno.test("the reference avgPool2dBackward() and 1d match finite differences", () => {
  const draw = new Draw(4);
  for (const o of pools) {
    for (const extra of [{}, { countIncludePad: false }, { divisor: 5 }]) {
      const all = { ...o, ...extra }, x = numbers(draw, [2, 2, 6, 7]);
      const forward = () => reference.avgPool2d(x, all);
      const backward = (dy: NumArray) => [reference.avgPool2dBackward(dy, x.shape, all)];
      check(draw, { inputs: [x], forward, backward }, JSON.stringify(all));
    }
  }
  const x = numbers(draw, [2, 3, 10]);
  const pool = { kernel: [4], stride: [3], padding: [2, 1], ceilMode: true } as const;
  const o = { ...pool, countIncludePad: false };
  const forward = () => reference.avgPool1d(x, o);
  const backward = (dy: NumArray) => [reference.avgPool1dBackward(dy, x.shape, o)];
  check(draw, { inputs: [x], forward, backward });
});

Deno.test("the reference adaptiveAvgPool2dBackward() and 1d match finite differences", () => {
  const draw = new Draw(5);
  for (const size of [[3, 2], [7, 5], [1, 1], [9, 4]] as Pair[]) {
    const x = numbers(draw, [1, 2, 7, 5]);
    const forward = () => reference.adaptiveAvgPool2d(x, size);
    const backward = (dy: NumArray) => [reference.adaptiveAvgPool2dBackward(dy, x.shape)];
    check(draw, { inputs: [x], forward, backward }, `${size}`);
  }
  const x = numbers(draw, [2, 2, 7]);
  const forward = () => reference.adaptiveAvgPool1d(x, 3);
  const backward = (dy: NumArray) => [reference.adaptiveAvgPool1dBackward(dy, x.shape)];
  check(draw, { inputs: [x], forward, backward });
});

Deno.test("the reference gradients of relu and softmax match finite differences", () => {
  const draw = new Draw(6);
  const x = numbers(draw, [3, 4, 2], -3, 3);
  const relu = () => reference.relu(x);
  check(draw, {
    inputs: [x],
    forward: relu,
    backward: (dy) => [reference.reluBackward(dy, relu())],
  });
  for (const dim of [0, 1, -1]) {
    const soft = () => reference.softmax(x, dim), log = () => reference.logSoftmax(x, dim);
    check(draw, {
      inputs: [x],
      forward: soft,
      backward: (dy) => [reference.softmaxBackward(dy, soft(), dim)],
    });
    check(draw, {
      inputs: [x],
      forward: log,
      backward: (dy) => [reference.logSoftmaxBackward(dy, log(), dim)],
    });
  }
});

Deno.test("the slopes of the reference activations match finite differences", () => {
  const draw = new Draw(10);
  for (const c of activationCases) {
    const x = numbers(draw, [40], -8, 8), forward = () => reference.map(x, c.reference);
    const backward = (dy: NumArray) => [reference.mapBackward(dy, x, c.reference)];
    check(draw, { inputs: [x], forward, backward }, c.name);
  }
  const x = numbers(draw, [2, 3, 4]), weight = numbers(draw, [3, 1]);
  const all = () => reference.repeat(weight, x.shape);
  check(draw, {
    inputs: [x, weight],
    forward: () => reference.prelu(x, all()),
    backward: (dy) => {
      const { dx, dweight } = reference.preluBackward(dy, x, all());
      return [dx, reference.repeatBackward(dweight, weight.shape)];
    },
  });
});

Deno.test("the gradients of reference sums and products match finite differences", () => {
  const draw = new Draw(11);
  for (const shape of [[2, 3, 4], [3, 1], [1, 3, 1], [2, 1, 4], [4], []]) {
    const a = numbers(draw, [2, 3, 4]), b = numbers(draw, shape);
    const backward = (dy: NumArray64) => [
      reference.mul(dy, b),
      reference.repeatBackward(reference.mul(dy, a), shape),
    ];
    check(draw, { inputs: [a, b], forward: () => reference.mul(a, b), backward }, `[${shape}]`);
    const scaled = (dy: NumArray64) => [
      dy,
      reference.repeatBackward({ ...dy, data: dy.data.map((v) => v * 0.5) }, shape),
    ];
    const forward = () => reference.add(a, b, 0.5);
    check(draw, { inputs: [a, b], forward, backward: scaled }, `[${shape}]`);
  }
});

Deno.test("the gradient of the reference crossEntropy() matches finite differences", () => {
  const draw = new Draw(7);
  for (const smoothing of [0, 0.1, 0.7, 1]) {
    const x = numbers(draw, [4, 5], -4, 4), targets = [3, 0, 4, 3];
    const loss = () => reference.crossEntropy(x, targets, smoothing);
    const expected = differences(x.data, () => loss().loss);
    assertAllClose(loss().dx.data, expected, { abs: 1e-9, name: `smoothing ${smoothing}` });
  }
});

Deno.test("the gradients of the reference mseLoss() and bceWithLogits() match finite differences", () => {
  const draw = new Draw(13);
  for (const op of ["mseLoss", "bceWithLogits"] as const) {
    const x = numbers(draw, [2, 3, 4], -4, 4), target = numbers(draw, [2, 3, 4], 0, 1);
    const loss = () => reference[op](x, target);
    const expected = differences(x.data, () => loss().loss);
    assertAllClose(loss().dx.data, expected, { abs: 1e-9, name: op });
  }
});

Deno.test("the reference localResponseNormBackward() matches finite differences", () => {
  const draw = new Draw(8);
  const constants: [size: number, alpha: number, beta: number, k: number][] = [
    [1, 0.5, 0.75, 1],
    [3, 1.5, 0.75, 2],
    [5, 2, 0.5, 1],
    [9, 1, -1, 1],
  ];
  for (const [size, alpha, beta, k] of constants) {
    const o = { size, alpha, beta, k }, x = numbers(draw, [2, 6, 3], -2, 2);
    const forward = () => reference.localResponseNorm(x, o);
    const backward = (dy: NumArray) => [reference.localResponseNormBackward(dy, x, o)];
    check(draw, { inputs: [x], forward, backward }, JSON.stringify(o));
  }
});

Deno.test("the reference batchNormBackward() matches finite differences", () => {
  const draw = new Draw(9);
  for (const shape of [[5, 3], [2, 3, 4], [2, 2, 3, 3], [1, 2, 4]]) {
    for (const eps of [1e-5, 0.3]) {
      const x = numbers(draw, shape, 1, 3);
      const weight = numbers(draw, [shape[1]]), bias = numbers(draw, [shape[1]]);
      const forward = () =>
        reference.batchNorm(x, { ...reference.batchNormStatistics(x), weight, bias }, eps);
      const backward = (dy: NumArray) => {
        const { dx, dweight, dbias } = reference.batchNormBackward(dy, x, weight, eps);
        return [dx, dweight, dbias];
      };
      check(draw, { inputs: [x, weight, bias], forward, backward }, `[${shape}] eps ${eps}`);
    }
  }
});

Deno.test("the reference optimisers give steps calculated by hand", () => {
  // First w − lr·(dw + decay·w), then v = 0.5·v + g with momentum 0.5.
  const w = Float64Array.of(1), v = Float64Array.of(99);
  reference.sgdStep(w, [2], v, 1, { lr: 0.1, momentum: 0.5, weightDecay: 1 });
  assertAllClose([w[0], v[0]], [0.7, 3], { abs: 1e-15 });
  reference.sgdStep(w, [2], v, 2, { lr: 0.1, momentum: 0.5, weightDecay: 1 });
  assertAllClose([w[0], v[0]], [0.7 - 0.42, 4.2], { abs: 1e-15 });
  reference.sgdStep(w, [1], v, 3, { lr: 0.1, momentum: 0.5, nesterov: true });
  assertAllClose([w[0], v[0]], [0.28 - 0.1 * (1 + 0.5 * 3.1), 3.1], { abs: 1e-15 });
  // The first step of AdamW is ±lr by the sign of the gradient.
  const a = Float64Array.of(1, 1), m = new Float64Array(2), s = new Float64Array(2);
  const o = { lr: 0.01, betas: [0.9, 0.999], eps: 0, weightDecay: 0.5 } as const;
  reference.adamwStep(a, [1e-6, -50], m, s, 1, o);
  assertAllClose(a, [1 - 0.005 - 0.01, 1 - 0.005 + 0.01], { abs: 1e-12 });
});
