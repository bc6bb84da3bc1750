/** Runs every case in tests/cases/ on every backend: results, and gradients if the case has dy. */

import * as ops from "../../src/ops/mod.ts";
import type { Tensor, Values } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import { activationCase, type ActivationName } from "../backend/activations.ts";
import { largest } from "../backend/harness.ts";
import { type Attributes, type Case, readCases } from "../cases.ts";
import { type Inputs, type Outputs, spatialOperations } from "./spatial_operations.ts";

type Axis = readonly [number];
type Pair = readonly [number, number];
type Sides = readonly [number, number, number, number];

/** The function for each operation name in the cases. */
const operations: Record<string, (t: Inputs, attrs: Partial<Attributes>) => Outputs> = {
  conv1d: ({ x, w, b }, a) => ({ y: ops.conv1d(x, w, b ?? null, convOptions1d(a)) }),
  conv2d: ({ x, w, b }, a) => ({ y: ops.conv2d(x, w, b ?? null, convOptions2d(a)) }),
  maxpool1d: ({ x }, a) => maxPoolOutputs(ops.maxPool1dWithIndices(x, poolOptions1d(a))),
  maxpool2d: ({ x }, a) => maxPoolOutputs(ops.maxPool2dWithIndices(x, poolOptions2d(a))),
  avgpool1d: ({ x }, a) => ({ y: ops.avgPool1d(x, { ...poolOptions1d(a), ...averageOptions(a) }) }),
  avgpool2d: ({ x }, a) => ({ y: ops.avgPool2d(x, { ...poolOptions2d(a), ...averageOptions(a) }) }),
  adaptiveavgpool1d: ({ x }, a) => ({ y: ops.adaptiveAvgPool1d(x, a.outputSize![0]) }),
  adaptiveavgpool2d: ({ x }, a) => ({ y: ops.adaptiveAvgPool2d(x, a.outputSize as Pair) }),
  add: ({ x, b }) => ({ y: ops.add(x, b) }),
  mul: ({ x, b }) => ({ y: ops.mul(x, b) }),
  matmul: ({ x, b }, a) => ({ y: ops.matmul(x, b, transposeOptions(a)) }),
  prelu: ({ x, w }) => ({ y: ops.prelu(x, w) }),
  activation: ({ x }, a) => ({ y: activationOf(a).forward(x) }),
  relu: ({ x }) => ({ y: ops.relu(x) }),
  softmax: ({ x }, a) => ({ y: ops.softmax(x, a.axis!) }),
  logsoftmax: ({ x }, a) => ({ y: ops.logSoftmax(x, a.axis!) }),
  linear: ({ x, w, b }) => ({ y: ops.linear(x, w, b ?? null) }),
  lrn: ({ x }, { size, alpha, beta, k }) => ({
    y: ops.localResponseNorm(x, size!, { alpha, beta, k }),
  }),
  batchnorm2d: ({ x, mean, var: variance, w, b }, { eps }) => ({
    y: ops.batchNorm(x, { runningMean: mean, runningVar: variance, weight: w, bias: b }, { eps }),
  }),
  crossentropy: ({ x }, { targets, labelSmoothing }) => {
    return lossOutputs(ops.crossEntropy(x, targets!, { labelSmoothing }));
  },
  mseloss: ({ x, b }) => lossOutputs(ops.mseLoss(x, b)),
  bcewithlogits: ({ x, b }) => lossOutputs(ops.bceWithLogits(x, b)),
  ...spatialOperations.forward,
};

/** The gradients of each operation in the cases. */
const gradients: Record<string, (t: Inputs, attrs: Partial<Attributes>) => Outputs> = {
  conv1d: ({ x, w, dy }, a) => ({
    dx: ops.conv1dBackwardInput(dy, w, x.shape, convOptions1d(a)),
    dw: ops.conv1dBackwardWeight(dy, x, w.shape, convOptions1d(a)),
    db: ops.biasBackward(dy),
  }),
  conv2d: ({ x, w, dy }, a) => ({
    dx: ops.conv2dBackwardInput(dy, w, x.shape, convOptions2d(a)),
    dw: ops.conv2dBackwardWeight(dy, x, w.shape, convOptions2d(a)),
    db: ops.biasBackward(dy),
  }),
  maxpool1d: ({ x, dy }, a) =>
    maxPoolGradient(ops.maxPool1dWithIndices(x, poolOptions1d(a)), x, dy),
  maxpool2d: ({ x, dy }, a) =>
    maxPoolGradient(ops.maxPool2dWithIndices(x, poolOptions2d(a)), x, dy),
  avgpool1d: ({ x, dy }, a) => ({
    dx: ops.avgPool1dBackward(dy, x.shape, { ...poolOptions1d(a), ...averageOptions(a) }),
  }),
  avgpool2d: ({ x, dy }, a) => ({
    dx: ops.avgPool2dBackward(dy, x.shape, { ...poolOptions2d(a), ...averageOptions(a) }),
  }),
  adaptiveavgpool1d: ({ x, dy }) => ({ dx: ops.adaptiveAvgPoolBackward(dy, x.shape) }),
  adaptiveavgpool2d: ({ x, dy }) => ({ dx: ops.adaptiveAvgPoolBackward(dy, x.shape) }),
  add: ({ x, b, dy }) => ({ dx: ops.addBackward(dy, x.shape), db: ops.addBackward(dy, b.shape) }),
  mul: ({ x, b, dy }) => ({ dx: ops.mul(dy, b), db: ops.mulBackward(dy, x, b.shape) }),
  matmul: ({ x, b, dy }, a) => {
    const { da, db } = ops.matmulBackward(dy, x, b, transposeOptions(a));
    return { dx: da, db };
  },
  prelu: ({ x, w, dy }) => ({
    dx: ops.preluBackwardInput(dy, x, w),
    dw: ops.preluBackwardWeight(dy, x, w.shape),
  }),
  activation: ({ x, dy }, a) => {
    const { forward, backward } = activationOf(a), y = forward(x);
    return { y, dx: backward(dy, x, y) };
  },
  relu: ({ x, dy }) => {
    using y = ops.relu(x);
    return { dx: ops.reluBackward(dy, y) };
  },
  softmax: ({ x, dy }, a) => {
    using y = ops.softmax(x, a.axis!);
    return { dx: ops.softmaxBackward(dy, y, a.axis!) };
  },
  logsoftmax: ({ x, dy }, a) => {
    using y = ops.logSoftmax(x, a.axis!);
    return { dx: ops.logSoftmaxBackward(dy, y, a.axis!) };
  },
  linear: ({ x, w, dy }) => ({
    dx: ops.linearBackwardInput(dy, w),
    dw: ops.linearBackwardWeight(dy, x),
    db: ops.biasBackward(dy.view([dy.size / w.shape[0], w.shape[0]])),
  }),
  lrn: ({ x, dy }, { size, alpha, beta, k }) => ({
    dx: ops.localResponseNormBackward(dy, x, size!, { alpha, beta, k }),
  }),
  batchnormtraining: ({ x, w, dy }, { eps }) => {
    const statistics = ops.batchNormStatistics(x);
    const [dw, db] = [0, 0].map(() => x.backend.upload(Array(x.shape[1]).fill(0), [x.shape[1]]));
    const dx = ops.batchNormBackward(dy, x, statistics, { weight: w, dweight: dw, dbias: db, eps });
    Object.values(statistics).forEach((tensor) => tensor.dispose());
    return { dx, dw, db };
  },
  ...spatialOperations.gradients,
};

/**
 * PyTorch's results for the cases in which other libraries differ. This library follows PyTorch.
 */
const pytorch: Record<string, { reason: string } & Record<string, string | number[]>> = {
  "tfjs-maxpool-x-3-3-1-f-2-2-s-1-ignores-nans": {
    reason: "PyTorch returns NaN, TensorFlow.js skips it",
    y: [5, 6, NaN, NaN],
  },
  "tfjs-maxpoolwithargmax-x-1-3-3-1-f-2-2-s-1-ignores-nans": {
    reason: "PyTorch returns NaN and its index, TensorFlow.js skips it",
    y: [NaN, 5, 7, 9],
    indices: [0, 5, 7, 8],
  },
};

for (const { file, cases } of readCases()) {
  for (const c of cases) {
    const reason = pytorch[c.id]?.reason ?? c.policy;
    testOnEveryBackend(
      `${c.op} agrees with ${c.id}${reason ? ` [policy: ${reason}]` : ""}`,
      (backend) => check(backend, c),
    );
  }
  const policies = cases.filter((c) => c.policy).length;
  const withGradients = cases.filter((c) => "dx" in c.expected || "dw" in c.expected).length;
  Deno.test(
    `${file} has unique ids (${cases.length} cases, ${withGradients} gradients, ${policies} policies)`,
    () => assertEquals(new Set(cases.map((c) => c.id)).size, cases.length, "duplicate id"),
  );
}

async function check(backend: Tensor["backend"], c: Case): Promise<void> {
  const inputs = Object.fromEntries(
    Object.entries(c.inputs).map(([name, { data, shape }]) => [name, backend.upload(data, shape)]),
  );
  const outputs: Record<string, Tensor<Values>> = {};
  const run = (table: typeof operations) => {
    assert(table[c.op], `unknown operation ${c.op}`);
    Object.assign(outputs, table[c.op](inputs as Inputs, c.attrs));
  };
  if ("dy" in inputs) run(gradients);
  if (Object.keys(c.expected).some((name) => !(name in outputs))) run(operations);
  for (const [name, { shape, data }] of Object.entries(c.expected)) {
    const expected = (pytorch[c.id]?.[name] as number[] | undefined) ?? data;
    assertEquals(outputs[name].shape, shape, `the shape of ${name}`);
    const { abs, rel, largest: share = 0 } = c.tol;
    const close = { abs: abs + share * largest(c.expected[name]), rel };
    const tolerance = name === "indices" ? {} : close;
    assertAllClose(await outputs[name].read(), expected, { ...tolerance, name });
  }
  for (const tensor of Object.values({ ...inputs, ...outputs })) tensor.dispose();
  assertEquals(backend.bytesInUse, 0, "memory leak");
}

/** The activation function of a case. */
function activationOf({ name, args = [] }: Partial<Attributes>) {
  const numbers = args.map((v) => v === "Infinity" || v === "-Infinity" ? Number(v) : v);
  return activationCase(name as ActivationName, ...numbers);
}

/** Computes the gradient of max pooling from the result of its forward pass. */
function maxPoolGradient({ output, indices }: ops.MaxPoolResult, x: Tensor, dy: Tensor): Outputs {
  output.dispose();
  const dx = ops.maxPoolBackward(dy, indices, x.shape);
  indices.dispose();
  return { dx };
}

function maxPoolOutputs({ output, indices }: ops.MaxPoolResult): Outputs {
  return { y: output, indices };
}

function lossOutputs({ loss, gradient }: ops.LossResult): Outputs {
  return { loss, dx: gradient };
}

function transposeOptions({ transposeA, transposeB }: Partial<Attributes>) {
  return { transposeA, transposeB };
}

function convOptions1d({ stride, pads, dilation, groups }: Partial<Attributes>) {
  return {
    stride: stride as Axis,
    padding: pads as Pair,
    dilation: dilation as Axis,
    groups,
  };
}

function convOptions2d({ stride, pads, dilation, groups }: Partial<Attributes>) {
  return {
    stride: stride as Pair,
    padding: pads as Sides,
    dilation: dilation as Pair,
    groups,
  };
}

function poolOptions1d(a: Partial<Attributes>) {
  return { ...convOptions1d(a), kernelSize: a.kernel as Axis, ceilMode: a.ceilMode };
}

function poolOptions2d(a: Partial<Attributes>) {
  return { ...convOptions2d(a), kernelSize: a.kernel as Pair, ceilMode: a.ceilMode };
}

function averageOptions({ countIncludePad, divisorOverride }: Partial<Attributes>) {
  return { countIncludePad, divisorOverride };
}
