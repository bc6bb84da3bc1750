/**
 * Writes ONNX models. Field numbers are those of onnx.proto (ONNX 1.x).
 *
 * @module
 */

import type { ConvProblem } from "./peer.ts";
import { inputName } from "./operations.ts";
import { bytes, float, integer, join, message, type Pieces, text } from "./protobuf.ts";

/** The name of the output of {@linkcode convModel}. */
export const outputName = "output";

/** A graph of operations on tensors of any batch size. */
export interface OnnxGraph {
  readonly name: string;
  /** In order: each takes outputs of earlier ones. */
  readonly nodes: readonly Node[];
  readonly constants: readonly Constant[];
  /** The input and the output. Shapes are without the batch dimension. */
  readonly input: Value;
  readonly output: Value;
}

/** A named value. */
interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

/** An operation. */
export interface Node {
  readonly op: string;
  /** Names of values and constants. */
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Pieces;
}

/** A constant tensor. */
export interface Constant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array | BigInt64Array;
}

/** The window of a convolution or pooling. */
export interface Window {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
  /** Default 1. Average pooling has none. */
  readonly dilations?: readonly [number, number];
}

/** A convolution without bias. */
export function convModel({ layer, xShape, weightShape, yShape, weight }: ConvProblem) {
  const { kernel, stride, padding } = layer;
  const attributes = windowAttributes({
    kernel: [kernel, kernel],
    strides: [stride, stride],
    pads: [padding, padding, padding, padding],
  });
  return onnxModel({
    name: "convolution",
    nodes: [{ op: "Conv", inputs: [inputName, "weight"], output: outputName, attributes }],
    constants: [{ name: "weight", shape: weightShape, values: weight }],
    input: { name: inputName, shape: xShape.slice(1) },
    output: { name: outputName, shape: yShape.slice(1) },
  });
}

/** A ModelProto. */
export function onnxModel(content: OnnxGraph): Uint8Array<ArrayBuffer> {
  return join([
    ...integer(1, 8), // ir_version
    ...text(2, "bench"), // producer_name
    ...message(7, graph(content)),
    ...message(8, integer(2, 17)), // opset_import: the default domain, version 17
  ]);
}

/** GraphProto. */
function graph({ name, nodes, constants, input, output }: OnnxGraph): Pieces {
  return [
    ...nodes.flatMap(({ op, inputs, output, attributes = [] }) =>
      message(1, [
        ...inputs.flatMap((name) => text(1, name)),
        ...text(2, output),
        ...text(3, output), // the name of the node
        ...text(4, op),
        ...attributes,
      ])
    ),
    ...text(2, name),
    ...constants.flatMap((constant) => message(5, tensor(constant))),
    ...message(11, valueInfo(input)),
    ...message(12, valueInfo(output)),
  ];
}

/** onnx.proto's TensorProto.DataType */
const floatType = 1, int64Type = 7;

/** TensorProto. Its raw_data is little-endian, like every machine that Deno runs on. */
function tensor({ name, shape, values }: Constant): Pieces {
  return [
    ...shape.flatMap((size) => integer(1, size)), // dims
    ...integer(2, values instanceof Float32Array ? floatType : int64Type),
    ...text(8, name),
    ...bytes(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)), // raw_data
  ];
}

/** ValueInfoProto of a float tensor of any batch: name, type.tensor_type { float, shape }. */
function valueInfo({ name, shape }: Value): Pieces {
  const dimensions = [
    ...message(1, text(2, "batch")), // dim_param: any size
    ...shape.flatMap((size) => message(1, integer(1, size))),
  ];
  const tensor = [...integer(1, floatType), ...message(2, dimensions)];
  return [...text(1, name), ...message(2, message(1, tensor))];
}

/** The attributes of a convolution or pooling. */
export function windowAttributes({ kernel, strides, pads, dilations }: Window): Pieces {
  return [
    ...integers("kernel_shape", kernel),
    ...integers("strides", strides),
    ...integers("pads", pads),
    ...(dilations ? integers("dilations", dilations) : []),
  ];
}

/** AttributeProto of type INTS. */
export function integers(name: string, values: readonly number[]): Pieces {
  const list = values.flatMap((value) => integer(8, value));
  return message(5, [...text(1, name), ...list, ...integer(20, 7)]);
}

/** AttributeProto of type INT. */
export function attribute(name: string, value: number): Pieces {
  return message(5, [...text(1, name), ...integer(3, value), ...integer(20, 2)]);
}

/** AttributeProto of type float. */
export function floatAttribute(name: string, value: number): Pieces {
  return message(5, [...text(1, name), ...float(2, value), ...integer(20, 1)]);
}
