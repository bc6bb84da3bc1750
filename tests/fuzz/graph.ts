/**
 * ONNX graphs of valid nodes that often fit together. A network that loads must give each sample of
 * a batch what it gives the sample alone.
 */

import { createBackend } from "../../src/backend/mod.ts";
import { PembrokeError } from "../../src/errors.ts";
import { type Classifier, loadModel } from "../../src/models/mod.ts";
import { assert } from "../assert.ts";
import { bytes } from "../weights/helpers.ts";
import {
  type Attribute,
  field,
  floats,
  int,
  integers,
  node,
  port,
  tensor,
} from "../weights/onnx/helpers.ts";
import type { FuzzRandom } from "./random.ts";

type Code = Uint8Array<ArrayBuffer>;

/** The tensors that nodes take besides activations. */
const floatShapes: Readonly<Record<string, readonly number[]>> = {
  ...{ w33: [3, 3, 3, 3], w11: [4, 3, 1, 1], wd: [3, 1, 3, 3], w1d: [3, 3, 3], m8: [8, 8] },
  ...{ c3: [3], c4: [4], c8: [8], ch: [3, 1, 1], full: [1, 3, 8, 8], one: [1], matrix: [192, 5] },
};
const integerLists: Readonly<Record<string, readonly number[]>> = {
  ...{ flat: [-1, 192], rows: [0, 3, -1], same: [1, 3, 8, 8], split: [0, 3, 2, 4, 8] },
  ...{ ax1: [1], ax23: [2, 3], neg: [-1], i0: [0], i1: [1], i2: [2], big: [2 ** 31], zero: [0, 0] },
  ...{ pad: [0, 0, 1, 1, 0, 0, 0, 1], crop: [0, 0, -1, 0, 0, 0, 0, 0], order: [2, 0, 1] },
};
const scales: Readonly<Record<string, readonly number[]>> = {
  up: [1, 1, 2, 2],
  odd: [1, 1, 1.5, 1],
};

/** For each operation, the inputs and attributes that may fit. "v" stands for any activation. */
const operations:
  readonly (readonly [string, readonly string[], Readonly<Record<string, Attribute>>?])[] = [
    ...[
      "Relu",
      "Sigmoid",
      "Tanh",
      "Neg",
      "Softplus",
      "HardSwish",
      "Erf",
      "Sqrt",
      "Identity",
      "Gelu",
    ]
      .map((op) => [op, ["v"]] as const),
    ...["Add", "Sub", "Mul", "Div"].flatMap((op) => [
      ...["c3", "c8", "ch", "full", "one", "v"].map((b) => [op, ["v", b]] as const),
      [op, ["one", "v"]] as const,
    ]),
    ["Max", ["v", "one"]],
    ["Min", ["one", "v"]],
    ["Conv", ["v", "w33"], { pads: [1, 1, 1, 1] }],
    ["Conv", ["v", "w33", "c3"], { auto_pad: "SAME_UPPER", strides: [2, 1] }],
    ["Conv", ["v", "w11", "c4"]],
    ["Conv", ["v", "wd"], { group: 3 }],
    ["Conv", ["v", "w1d"], { dilations: [2] }],
    ["ConvTranspose", ["v", "w33"], { strides: [2, 2], output_padding: [1, 0] }],
    ["ConvTranspose", ["v", "w33", "c3"], { auto_pad: "SAME_LOWER", strides: [2, 2] }],
    ["MaxPool", ["v"], { kernel_shape: [2, 3], strides: [1, 2], ceil_mode: 1 }],
    ["AveragePool", ["v"], { kernel_shape: [2, 2], pads: [1, 0, 0, 1] }],
    ["GlobalAveragePool", ["v"]],
    ["GlobalMaxPool", ["v"]],
    ["BatchNormalization", ["v", "c3", "c3", "c3", "c3"]],
    ["InstanceNormalization", ["v", "c3", "c3"]],
    ["LayerNormalization", ["v", "c8", "c8"]],
    ["LRN", ["v"], { size: 3 }],
    ["PRelu", ["v", "ch"]],
    ["Clip", ["v", "", "one"]],
    ["Softmax", ["v"], { axis: 1 }],
    ["LogSoftmax", ["v"], { axis: -1 }],
    ...["ReduceMean", "ReduceMax", "ReduceSum"].flatMap((op) => [
      [op, ["v"], { axes: [2, 3], keepdims: 0 }] as const,
      [op, ["v", "ax1"]] as const,
      [op, ["v"], { axes: [-1] }] as const,
    ]),
    ["Concat", ["v", "v"], { axis: 1 }],
    ["Concat", ["v", "v", "v"], { axis: -1 }],
    ["Slice", ["v", "i1", "big", "ax1"]],
    ["Slice", ["v", "neg", "big", "i2"]],
    ["Gather", ["v", "i1"], { axis: 1 }],
    ["Gather", ["v", "order"], { axis: 1 }],
    ["Split", ["v"], { axis: 2 }],
    ["Pad", ["v", "pad"]],
    ["Pad", ["v", "crop", "one"]],
    ["Pad", ["v", "pad"], { mode: "reflect" }],
    ["Resize", ["v", "", "up"]],
    ["Resize", ["v", "", "odd"], { mode: "linear" }],
    ["Transpose", ["v"], { perm: [0, 2, 3, 1] }],
    ["Transpose", ["v"], { perm: [0, 3, 1, 2] }],
    ["Transpose", ["v"], { perm: [0, 2, 1, 3, 4] }],
    ["Transpose", ["v"], { perm: [0, 2, 1] }],
    ...["flat", "rows", "same", "split"].map((shape) => ["Reshape", ["v", shape]] as const),
    ["Reshape", ["v", "v"]],
    ["Shape", ["v"]],
    ["Gather", ["v", "i0"]],
    ["Flatten", ["v"]],
    ["Unsqueeze", ["v", "i2"]],
    ["Squeeze", ["v"]],
    ["MatMul", ["v", "m8"]],
    ["MatMul", ["v", "matrix"]],
    ["Gemm", ["v", "matrix"], { alpha: 2 }],
    ["DepthToSpace", ["v"], { blocksize: 1 }],
    ["SpaceToDepth", ["v"], { blocksize: 2 }],
    ["Dropout", ["v"]],
    ["Cast", ["v"], { to: 10 }],
  ];

/** Loads a random graph, and compares a batch with its samples. */
export default async function fuzzGraph(random: FuzzRandom): Promise<void> {
  using backend = await createBackend({ threads: 1 });
  const weights = graph(random);
  const run = async (model: Classifier, values: Float32Array, shape: readonly number[]) => {
    using x = backend.upload(values, shape);
    using y = model.forward(x);
    return await y.read();
  };
  try {
    using model = await loadModel({ backend, weights });
    const shape = model.inputShape(2), size = shape.reduce((a, b) => a * b) / 2;
    const values = Float32Array.from({ length: 2 * size }, () => 2 * random.next() - 1);
    const both = await run(model, values, shape);
    for (const n of [0, 1]) {
      const one = await run(model, values.subarray(n * size, (n + 1) * size), model.inputShape(1));
      const largest = one.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const part = both.subarray(n * one.length, (n + 1) * one.length);
      const isClose = one.every((value, i) =>
        Object.is(value, part[i]) || !Number.isFinite(value) ||
        Math.abs(value - part[i]) <= 1e-4 * largest
      );
      assert(both.length === 2 * one.length && isClose, "a sample differs in a batch");
    }
  } catch (error) {
    if (!(error instanceof PembrokeError)) throw error;
  }
}

function graph(random: FuzzRandom): Code {
  const count = 1 + random.below(8), parts: Code[] = [];
  for (let i = 0; i < count; i++) {
    const [op, inputs, attributes] = random.pick(operations);
    const names = inputs.map((name) => name === "v" ? `v${recent(random, i)}` : name);
    const outputs = op === "Split" ? [`v${i + 1}`, `more${i}`] : [`v${i + 1}`];
    parts.push(field(1, node(op, names, outputs, attributes)));
  }
  for (const [name, shape] of Object.entries(floatShapes)) {
    const length = shape.reduce((a, b) => a * b);
    const values = Float32Array.from({ length }, () => random.next());
    parts.push(field(5, tensor(name, shape, 1, field(9, new Uint8Array(values.buffer)))));
  }
  for (const [name, list] of Object.entries(scales)) {
    parts.push(field(5, floats(name, [list.length], ...list)));
  }
  for (const [name, list] of Object.entries(integerLists)) {
    parts.push(field(5, integers(name, ...list)));
  }
  const batch = random.pick([1, 2, "N"]), side = random.pick<number | string>([8, 8, 8, "H"]);
  parts.push(field(11, port("v0", batch, 3, side, 8)));
  parts.push(field(12, port(`v${count}`)));
  const version = random.pick([11, 13, 17, 21]);
  return bytes(int(1, 8), field(7, ...parts), field(8, int(2, version)));
}

/** The number of a value before node i, most often the last one. */
function recent(random: FuzzRandom, i: number): number {
  return random.chance(0.7) ? i : random.below(i + 1);
}
