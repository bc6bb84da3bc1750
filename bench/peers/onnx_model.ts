/**
 * Writes networks as ONNX models, so that ONNX Runtime needs neither Python nor a download. Field
 * numbers are those of onnx.proto (ONNX 1.x).
 *
 * @module
 */

import { ALEXNET, CLASSES, type Convolution, IMAGE, PARAMETERS } from "./architecture.ts";
import type { AlexNetWeights, ConvProblem } from "./peer.ts";
import { bytes, integer, join, message, type Pieces, text } from "./protobuf.ts";

/** The names of a model's input and output. */
export const INPUT = "input", OUTPUT = "output";

/** A sequence of operations on tensors of any batch size. */
interface Network {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly weights: readonly Weight[];
  /** The shapes of the input and the output, without the batch dimension. */
  readonly input: readonly number[];
  readonly output: readonly number[];
}

/** An operation on the previous output, and on weights by name. */
interface Node {
  readonly op: string;
  readonly weights?: readonly string[];
  readonly attributes?: Pieces;
}

interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

const models = new WeakMap<AlexNetWeights, Uint8Array<ArrayBuffer>>();

/** AlexNet with these weights. The 244 MB are made once, and shared by all peers that read ONNX. */
export function alexNetModel(weights: AlexNetWeights): Uint8Array<ArrayBuffer> {
  let model = models.get(weights);
  if (model === undefined) models.set(weights, model = onnxModel(alexNet(weights)));
  return model;
}

/** A convolution without bias. */
export function convModel({ layer, xShape, weightShape, yShape, weight }: ConvProblem) {
  return onnxModel({
    name: "convolution",
    nodes: [{ op: "Conv", weights: ["weight"], attributes: window(layer) }],
    weights: [{ name: "weight", shape: weightShape, values: weight }],
    input: xShape.slice(1),
    output: yShape.slice(1),
  });
}

function alexNet(weights: AlexNetWeights): Network {
  const named = (name: string) => [`${name}.weight`, `${name}.bias`];
  const nodes = ALEXNET.flatMap((layer, i): Node[] => {
    if (layer.op === "pool") {
      const attributes = [...integers("kernel_shape", [3, 3]), ...integers("strides", [2, 2])];
      return [{ op: "MaxPool", attributes }];
    }
    if (layer.op === "conv") {
      return [
        { op: "Conv", weights: named(layer.name), attributes: window(layer) },
        { op: "Relu" },
      ];
    }
    return [
      ...(ALEXNET[i - 1].op === "linear" ? [] : [{ op: "Flatten" }]),
      { op: "Gemm", weights: named(layer.name), attributes: flag("transB", 1) },
      ...(layer.relu ? [{ op: "Relu" }] : []),
    ];
  });
  return {
    name: "alexnet",
    nodes,
    weights: PARAMETERS.map(({ name, shape }) => ({ name, shape, values: weights.get(name) })),
    input: IMAGE,
    output: [CLASSES],
  };
}

/** ModelProto. */
function onnxModel(network: Network): Uint8Array<ArrayBuffer> {
  return join([
    ...integer(1, 8), // ir_version
    ...text(2, "bench"), // producer_name
    ...message(7, graph(network)),
    ...message(8, integer(2, 17)), // opset_import: the default domain, version 17
  ]);
}

/** GraphProto. */
function graph({ name, nodes, weights, input, output }: Network): Pieces {
  const last = nodes.length - 1;
  const value = (i: number) => i < 0 ? INPUT : i === last ? OUTPUT : `value ${i}`;
  return [
    ...nodes.flatMap(({ op, weights = [], attributes = [] }, i) =>
      message(1, [
        ...[value(i - 1), ...weights].flatMap((name) => text(1, name)),
        ...text(2, value(i)),
        ...text(3, `${op} ${i}`),
        ...text(4, op),
        ...attributes,
      ])
    ),
    ...text(2, name),
    ...weights.flatMap((weight) => message(5, tensor(weight))),
    ...message(11, valueInfo(INPUT, input)),
    ...message(12, valueInfo(OUTPUT, output)),
  ];
}

/** onnx.proto's TensorProto.DataType.FLOAT */
const FLOAT = 1;

/** TensorProto. Its raw_data is little-endian, like every machine that Deno runs on. */
function tensor({ name, shape, values }: Weight): Pieces {
  return [
    ...shape.flatMap((size) => integer(1, size)), // dims
    ...integer(2, FLOAT),
    ...text(8, name),
    ...bytes(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)), // raw_data
  ];
}

/** ValueInfoProto of a float tensor of any batch: name, type.tensor_type { FLOAT, shape }. */
function valueInfo(name: string, shape: readonly number[]): Pieces {
  const dimensions = [
    ...message(1, text(2, "batch")), // dim_param: any size
    ...shape.flatMap((size) => message(1, integer(1, size))),
  ];
  const tensor = [...integer(1, FLOAT), ...message(2, dimensions)];
  return [...text(1, name), ...message(2, message(1, tensor))];
}

/** A convolution's attributes. */
function window({ kernel, stride, padding }: Convolution): Pieces {
  return [
    ...integers("kernel_shape", [kernel, kernel]),
    ...integers("strides", [stride, stride]),
    ...integers("pads", Array(4).fill(padding)),
  ];
}

/** AttributeProto of type INTS. */
function integers(name: string, values: number[]): Pieces {
  const list = values.flatMap((value) => integer(8, value));
  return message(5, [...text(1, name), ...list, ...integer(20, 7)]);
}

/** AttributeProto of type INT. */
function flag(name: string, value: number): Pieces {
  return message(5, [...text(1, name), ...integer(3, value), ...integer(20, 2)]);
}
