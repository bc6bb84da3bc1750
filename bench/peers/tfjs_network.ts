/**
 * Networks in TensorFlow.js. Convolution, batch normalisation, ReLU and ReLU6 are one call, as in the
 * output of its own converter. Values are disposed of after their last use.
 *
 * @module
 */

import type * as TensorFlow from "npm:@tensorflow/tfjs-core@4.22.0";
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from "npm:@tensorflow/tfjs-core@4.22.0";
import { affine, fold, type FoldedOperation } from "./folding.ts";
import { reverseAxes } from "./layout.ts";
import type { Network } from "./network.ts";
import { type ActivationName, inputName, type Operation } from "./operations.ts";
import type { Values } from "./peer.ts";

type TF = typeof TensorFlow;

/** Computes an output. */
type Compute = (inputs: readonly Tensor[]) => Tensor;

/** An operation that is ready to run. */
interface Step {
  readonly inputs: readonly string[];
  readonly output: string;
  readonly compute: Compute;
  /** The values that no later step uses. */
  readonly unused: readonly string[];
}

/** The activations that its fused operations compute. */
const fused = ["relu", "relu6"] as const;

type Folded = FoldedOperation<typeof fused[number]>;

/**
 * Uploads the weights of a network, and returns its forward pass: [N, H, W, C] to logits. It disposes
 * of its input.
 *
 * @param maxBytes Larger matrices are split.
 */
export function prepareNetwork(
  tf: TF,
  network: Network,
  maxBytes: number,
): (x: Tensor4D) => Tensor {
  const folded = fold(network, fused), last = folded.at(-1)!.output;
  const lastUse = new Map(
    folded.flatMap(({ operation }, i) =>
      operation.inputs.map((input): [string, number] => [input, i])
    ),
  );
  const steps = folded.map((item, i): Step => ({
    inputs: item.operation.inputs,
    output: item.output,
    compute: prepare(tf, network, item, maxBytes),
    unused: [...lastUse].filter(([, use]) => use === i).map(([name]) => name),
  }));
  return (x) => {
    const values = new Map<string, Tensor>([[inputName, x]]);
    for (const { inputs, output, compute, unused } of steps) {
      values.set(output, tf.tidy(() => compute(inputs.map((name) => values.get(name)!))));
      for (const name of unused) values.get(name)!.dispose();
    }
    return values.get(last)!;
  };
}

function prepare(tf: TF, network: Network, folded: Folded, maxBytes: number): Compute {
  const { operation } = folded;
  switch (operation.op) {
    case "conv":
      return convolution(tf, operation, folded);
    case "linear":
      return fullyConnected(tf, folded, maxBytes);
    case "norm": {
      const { scale, shift } = affine(network, operation);
      const factor = tf.tensor1d(scale), offset = tf.tensor1d(shift);
      return ([x]) => tf.add(tf.mul(x, factor), offset);
    }
    case "activation":
      return ([x]) => activations[operation.name](tf, x);
    case "hardsigmoid": {
      const { alpha, beta } = operation;
      return ([x]) => tf.clipByValue(tf.add(tf.mul(x, alpha), beta), 0, 1);
    }
    case "maxPool":
      return pooling(operation, tf.maxPool);
    case "avgPool":
      return pooling(operation, tf.avgPool);
    case "mean":
      return ([x]) => tf.mean(x, [1, 2], true);
    case "add":
      return (inputs) => inputs.reduce((a, b) => tf.add(a, b));
    case "mul":
      return ([a, b]) => tf.mul(a, b);
    case "concat":
      return (inputs) => tf.concat([...inputs], -1);
    case "slice": {
      const { start, end } = operation;
      return ([x]) => tf.slice(x, [0, 0, 0, start], [-1, -1, -1, end - start]);
    }
    case "shuffle":
      return shuffle(tf, operation);
    case "flatten":
      return ([x]) => {
        // PyTorch flattens channels, rows, columns; x is [N, H, W, C].
        const isPlane = x.shape[1]! * x.shape[2]! > 1;
        return tf.reshape(isPlane ? tf.transpose(x, [0, 3, 1, 2]) : x, [x.shape[0], -1]);
      };
  }
}

const activations: Readonly<Record<ActivationName, (tf: TF, x: Tensor) => Tensor>> = {
  relu: (tf, x) => tf.relu(x),
  relu6: (tf, x) => tf.relu6(x),
  hardswish: (tf, x) => tf.mul(tf.mul(x, 1 / 6), tf.relu6(tf.add(x, 3))),
  sigmoid: (tf, x) => tf.sigmoid(x),
  silu: (tf, x) => tf.mul(x, tf.sigmoid(x)),
};

function convolution(
  tf: TF,
  { g }: Extract<Operation, { op: "conv" }>,
  { weight, bias, activation }: Folded,
): Compute {
  const isDepthwise = g.groups > 1 && g.groups === g.inC;
  if (g.groups > 1 && !isDepthwise) throw new Error("it has no grouped convolutions");
  const groupC = g.inC / g.groups;
  // OIHW to HWIO. A depthwise filter is [kH, kW, I, O / I], and its values are in the same order.
  const values = reverseAxes(weight!.values, g.outC, groupC, g.kh * g.kw);
  const inner = isDepthwise ? [g.inC, g.outC / g.inC] : [g.inC, g.outC];
  const filter = tf.tensor4d(values, [g.kh, g.kw, inner[0], inner[1]]);
  const compute = isDepthwise ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
  const options = {
    filter,
    strides: [g.strideH, g.strideW] as [number, number],
    pad: evenPadding(g),
    dilations: [g.dilationH, g.dilationW] as [number, number],
    dimRoundingMode: "floor" as const,
    bias: bias && tf.tensor1d(bias),
  };
  return ([x]) => compute({ x: x as Tensor4D, ...options, activation: activation ?? "linear" });
}

function pooling(
  { op, g }: Extract<Operation, { op: "maxPool" | "avgPool" }>,
  compute: TF["maxPool"],
): Compute {
  if (g.dilationH > 1 || g.dilationW > 1) throw new Error(`it has no ${op} with dilation`);
  return ([x]) => compute(x as Tensor4D, [g.kh, g.kw], [g.strideH, g.strideW], padding(g), "floor");
}

/** The zeros on each side of a plane. */
interface Sides {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** The padding of each axis of [N, H, W, C]. */
function padding({ top, left, bottom, right }: Sides): TensorFlow.backend_util.ExplicitPadding {
  return [[0, 0], [top, bottom], [left, right], [0, 0]];
}

/** The padding of all sides. */
function evenPadding({ top, left, bottom, right }: Sides): number {
  if (left === top && bottom === top && right === top) return top;
  throw new Error("its fused convolutions take the same padding on all sides");
}

function shuffle(
  tf: TF,
  { groups, shape: [, channels, height, width] }: Extract<Operation, { op: "shuffle" }>,
): Compute {
  return ([x]) => {
    const split = tf.reshape(x, [-1, height, width, groups, channels / groups]);
    return tf.reshape(tf.transpose(split, [0, 1, 2, 4, 3]), [-1, height, width, channels]);
  };
}

function fullyConnected(
  tf: TF,
  { weight, bias, activation }: Folded,
  maxBytes: number,
): Compute {
  const { shape: [outFeatures, inFeatures], values } = weight!;
  const matrix = reverseAxes(values, outFeatures, inFeatures, 1); // [out, in] to [in, out]
  const count = Math.ceil(4 * matrix.length / maxBytes) || 1, width = outFeatures / count;
  const parts = Array.from({ length: count }, (_, part) => {
    const b: Tensor2D = tf.tensor2d(columns(matrix, inFeatures, part * width, width), [
      inFeatures,
      width,
    ]);
    const own: Tensor1D | undefined = bias &&
      tf.tensor1d(bias.subarray(part * width, (part + 1) * width));
    return { b, bias: own };
  });
  return ([x]) => {
    const results = parts.map((part) =>
      tf.fused.matMul({ a: x as Tensor2D, ...part, activation: activation ?? "linear" })
    );
    return results.length === 1 ? results[0] : tf.concat(results, 1);
  };
}

/** `width` columns of a matrix from column `start` on. */
function columns(matrix: Values, rows: number, start: number, width: number): Values {
  const all = matrix.length / rows, out = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const from = row * all + start;
    out.set(matrix.subarray(from, from + width), row * width);
  }
  return out;
}
