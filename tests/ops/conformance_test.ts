/**
 * Runs every case of tests/cases/ on every backend. A case with nothing to compare but what is not
 * computed here shows as ignored, its reason in its name.
 */

import * as ops from "../../src/ops/mod.ts";
import type { Tensor, Values } from "../../src/tensor.ts";
import { assert, assertAllClose, assertEquals } from "../assert.ts";
import { testOnEveryBackend } from "../backends.ts";
import { type Attributes, type Case, readCases } from "../cases.ts";

/** The operations' inputs; which of them a case has depends on its operation. */
type Inputs = Readonly<Record<"x" | "w" | "b" | "mean" | "var", Tensor>>;
type Outputs = Readonly<Record<string, Tensor<Values>>>;
type Axis = readonly [number];
type Pair = readonly [number, number];
type Sides = readonly [number, number, number, number];

/** The outputs that are computed; what a case expects besides is gradients. */
const computed = ["y", "indices"];

/** What each operation of the cases is called here. */
const operations: Record<string, (t: Inputs, attrs: Partial<Attributes>) => Outputs> = {
  conv1d: ({ x, w, b }, a) => ({ y: ops.conv1d(x, w, b ?? null, moves1d(a)) }),
  conv2d: ({ x, w, b }, a) => ({ y: ops.conv2d(x, w, b ?? null, moves2d(a)) }),
  maxpool1d: ({ x }, a) => maxima(ops.maxPool1dWithIndices(x, windows1d(a))),
  maxpool2d: ({ x }, a) => maxima(ops.maxPool2dWithIndices(x, windows2d(a))),
  avgpool1d: ({ x }, a) => ({ y: ops.avgPool1d(x, { ...windows1d(a), ...divisor(a) }) }),
  avgpool2d: ({ x }, a) => ({ y: ops.avgPool2d(x, { ...windows2d(a), ...divisor(a) }) }),
  adaptiveavgpool1d: ({ x }, a) => ({ y: ops.adaptiveAvgPool1d(x, a.outputSize![0]) }),
  adaptiveavgpool2d: ({ x }, a) => ({ y: ops.adaptiveAvgPool2d(x, a.outputSize as Pair) }),
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
};

/** Where libraries disagree this one follows PyTorch: what it gives there, and why. */
const pytorch: Record<string, { reason: string } & Record<string, string | number[]>> = {
  "tfjs-maxpool-x-3-3-1-f-2-2-s-1-ignores-nans": {
    reason: "PyTorch hands NaN on, TensorFlow.js skips it",
    y: [5, 6, NaN, NaN],
  },
  "tfjs-maxpoolwithargmax-x-1-3-3-1-f-2-2-s-1-ignores-nans": {
    reason: "PyTorch hands NaN on and points at it, TensorFlow.js skips it",
    y: [NaN, 5, 7, 9],
    indices: [0, 5, 7, 8],
  },
};

for (const { file, cases } of readCases()) {
  const ignored = cases.filter((c) => wanted(c).length === 0);
  for (const c of ignored) {
    Deno.test.ignore(`${c.op} agrees with ${c.id} (ignored: gradients)`, () => {});
  }
  for (const c of cases.filter((c) => wanted(c).length > 0)) {
    const why = pytorch[c.id]?.reason ?? c.policy;
    testOnEveryBackend(
      `${c.op} agrees with ${c.id}${why ? ` [policy: ${why}]` : ""}`,
      (backend) => check(backend, c),
    );
  }
  const policies = cases.filter((c) => c.policy).length;
  const gradients = cases.filter((c) => wanted(c).length < Object.keys(c.expected).length);
  Deno.test(
    `${file}: ${cases.length - ignored.length} of ${cases.length} cases run, ${policies} of them ` +
      `policy; gradients of ${gradients.length} are not compared`,
    () => assertEquals(new Set(cases.map((c) => c.id)).size, cases.length, "an id comes twice"),
  );
}

/** The expected tensors that can be compared. */
function wanted(c: Case): string[] {
  return Object.keys(c.expected).filter((name) => computed.includes(name));
}

async function check(backend: Tensor["backend"], c: Case): Promise<void> {
  const run = operations[c.op];
  assert(run, `no operation is known as ${c.op}`);
  const inputs = Object.fromEntries(
    Object.entries(c.inputs).map(([name, { data, shape }]) => [name, backend.upload(data, shape)]),
  );
  const outputs = run(inputs as Inputs, c.attrs);
  for (const name of wanted(c)) {
    const { shape, data } = c.expected[name];
    const expected = (pytorch[c.id]?.[name] as number[] | undefined) ?? data;
    assertEquals(outputs[name].shape, shape, `the shape of ${name}`);
    const tolerance = name === "indices" ? {} : c.tol;
    assertAllClose(await outputs[name].read(), expected, { ...tolerance, name });
  }
  for (const tensor of Object.values({ ...inputs, ...outputs })) tensor.dispose();
  assertEquals(backend.bytesInUse, 0, "bytes in use afterwards");
}

function maxima({ output, indices }: ops.MaxPoolResult): Outputs {
  return { y: output, indices };
}

function moves1d({ stride, pads, dilation, groups }: Partial<Attributes>) {
  return {
    stride: stride as Axis,
    padding: pads as Pair,
    dilation: dilation as Axis,
    groups,
  };
}

function moves2d({ stride, pads, dilation, groups }: Partial<Attributes>) {
  return {
    stride: stride as Pair,
    padding: pads as Sides,
    dilation: dilation as Pair,
    groups,
  };
}

function windows1d(a: Partial<Attributes>) {
  return { ...moves1d(a), kernelSize: a.kernel as Axis, ceilMode: a.ceilMode };
}

function windows2d(a: Partial<Attributes>) {
  return { ...moves2d(a), kernelSize: a.kernel as Pair, ceilMode: a.ceilMode };
}

function divisor({ countIncludePad, divisorOverride }: Partial<Attributes>) {
  return { countIncludePad, divisorOverride };
}
