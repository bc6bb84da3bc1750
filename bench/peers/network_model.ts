/**
 * Writes networks as ONNX models, so that ONNX Runtime needs neither Python nor a download.
 *
 * @module
 */

import type { Conv2dGeometry, Pool2dGeometry } from "../../src/backend/geometry.ts";
import type { Network } from "./network.ts";
import {
  attribute,
  type Constant,
  floatAttribute,
  integers,
  type Node,
  onnxModel,
  type Window,
  windowAttributes,
} from "./onnx_model.ts";
import { type ActivationName, inputName, type Operation } from "./operations.ts";
import type { Pieces } from "./protobuf.ts";

/** A part of a model. */
interface Part {
  readonly nodes: readonly Node[];
  /** Constants that are not parameters of the network. */
  readonly constants?: readonly Constant[];
}

const models = new WeakMap<Network, Uint8Array<ArrayBuffer>>();

/** A network with its weights. A model is made once, and shared by all peers that read ONNX. */
export function networkModel(network: Network): Uint8Array<ArrayBuffer> {
  let model = models.get(network);
  if (model === undefined) models.set(network, model = write(network));
  return model;
}

function write({ name, operations, parameters, image }: Network): Uint8Array<ArrayBuffer> {
  const parts = operations.map(part), last = operations.at(-1)!;
  return onnxModel({
    name,
    nodes: parts.flatMap(({ nodes }) => nodes),
    constants: [
      ...[...parameters].map(([name, weight]) => ({ name, ...weight })),
      ...parts.flatMap(({ constants = [] }) => constants),
    ],
    input: { name: inputName, shape: image },
    output: { name: last.output, shape: last.shape.slice(1) },
  });
}

/** The nodes of an operation. */
function part(operation: Operation): Part {
  const { inputs, output, shape } = operation, [, channels, ...plane] = shape;
  const one = (op: string, attributes?: Pieces, ...weights: (string | undefined)[]): Part => {
    const names = weights.filter((name) => name !== undefined);
    return { nodes: [{ op, inputs: [...inputs, ...names], output, attributes }] };
  };
  switch (operation.op) {
    case "conv": {
      const { g, weight, bias } = operation;
      const attributes = [...windowAttributes(window(g)), ...attribute("group", g.groups)];
      return one("Conv", attributes, weight, bias);
    }
    case "norm": {
      const { weight, bias, mean, variance, eps } = operation;
      const attributes = floatAttribute("epsilon", eps);
      return one("BatchNormalization", attributes, weight, bias, mean, variance);
    }
    case "activation":
      return activation(operation.name, inputs, output);
    case "hardsigmoid": {
      const { alpha, beta } = operation;
      return one("HardSigmoid", [
        ...floatAttribute("alpha", alpha),
        ...floatAttribute("beta", beta),
      ]);
    }
    case "maxPool":
      return one("MaxPool", windowAttributes(window(operation.g)));
    case "avgPool":
      return one("AveragePool", windowAttributes(window(operation.g)));
    case "mean":
      return one("GlobalAveragePool");
    case "add":
      return one(inputs.length === 2 ? "Add" : "Sum");
    case "mul":
      return one("Mul");
    case "concat":
      return one("Concat", attribute("axis", 1));
    case "slice":
      return slice(operation.start, operation.end, inputs, output);
    case "shuffle":
      return shuffle(operation.groups, [channels, ...plane], inputs, output);
    case "flatten":
      return one("Flatten");
    case "linear":
      return one("Gemm", attribute("transB", 1), operation.weight, operation.bias);
  }
}

function activation(name: ActivationName, inputs: readonly string[], output: string): Part {
  switch (name) {
    case "relu":
      return { nodes: [{ op: "Relu", inputs, output }] };
    case "hardswish":
      return { nodes: [{ op: "HardSwish", inputs, output }] };
    case "sigmoid":
      return { nodes: [{ op: "Sigmoid", inputs, output }] };
    case "relu6": {
      const limits = [0, 6].map((limit): Constant => {
        return { name: `${output}.${limit}`, shape: [], values: Float32Array.of(limit) };
      });
      const names = limits.map(({ name }) => name);
      return { nodes: [{ op: "Clip", inputs: [...inputs, ...names], output }], constants: limits };
    }
    case "silu": {
      const sigmoid = `${output}.sigmoid`;
      return {
        nodes: [
          { op: "Sigmoid", inputs, output: sigmoid },
          { op: "Mul", inputs: [...inputs, sigmoid], output },
        ],
      };
    }
  }
}

function slice(start: number, end: number, inputs: readonly string[], output: string): Part {
  const constants = Object.entries({ start, end, axis: 1 }).map(([key, value]) =>
    integerConstant(`${output}.${key}`, [value])
  );
  const names = constants.map(({ name }) => name);
  return { nodes: [{ op: "Slice", inputs: [...inputs, ...names], output }], constants };
}

/** [N, C, H, W] → [N, groups, C/groups, H, W] → [N, C/groups, groups, H, W] → [N, C, H, W]. */
function shuffle(
  groups: number,
  [channels, ...plane]: readonly number[],
  inputs: readonly string[],
  output: string,
): Part {
  const split = `${output}.split`, swapped = `${output}.swapped`;
  // 0 keeps the size of the batch.
  const before = integerConstant(`${split}.shape`, [0, groups, channels / groups, ...plane]);
  const after = integerConstant(`${output}.shape`, [0, channels, ...plane]);
  return {
    nodes: [
      { op: "Reshape", inputs: [...inputs, before.name], output: split },
      {
        op: "Transpose",
        inputs: [split],
        output: swapped,
        attributes: integers("perm", [0, 2, 1, 3, 4]),
      },
      { op: "Reshape", inputs: [swapped, after.name], output },
    ],
    constants: [before, after],
  };
}

function integerConstant(name: string, values: readonly number[]): Constant {
  return { name, shape: [values.length], values: BigInt64Array.from(values, BigInt) };
}

/** The window of a geometry. */
function window(g: Conv2dGeometry | Pool2dGeometry): Window {
  const isDilated = g.dilationH > 1 || g.dilationW > 1;
  return {
    kernel: [g.kh, g.kw],
    strides: [g.strideH, g.strideW],
    pads: [g.top, g.left, g.bottom, g.right],
    dilations: isDilated ? [g.dilationH, g.dilationW] : undefined,
  };
}
