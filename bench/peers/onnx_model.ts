/**
 * AlexNet as the bytes of an ONNX model, written by hand: protobuf needs little more than a varint
 * and a length, and so the bench needs neither Python nor a download to ask ONNX Runtime.
 * Field numbers are those of onnx.proto (ONNX 1.x).
 *
 * @module
 */

import { ALEXNET, CLASSES, IMAGE, PARAMETERS } from "./architecture.ts";
import type { AlexNetWeights } from "./peer.ts";

/** Names of the model's one input and one output. */
export const INPUT = "input", OUTPUT = "logits";

const models = new WeakMap<AlexNetWeights, Uint8Array<ArrayBuffer>>();

/** The model with these weights, made once: 244 MB are shared by the peers that read ONNX. */
export function onnxModel(weights: AlexNetWeights): Uint8Array<ArrayBuffer> {
  let bytes = models.get(weights);
  if (bytes === undefined) models.set(weights, bytes = join(modelProto(weights)));
  return bytes;
}

/** A message as pieces, so that raw weights are copied once, into the finished model. */
type Pieces = Uint8Array[];

/** onnx.proto's TensorProto.DataType.FLOAT */
const FLOAT = 1;

function modelProto(weights: AlexNetWeights): Pieces {
  return [
    ...integer(1, 8), // ir_version
    ...text(2, "bench"), // producer_name
    ...message(7, graphProto(weights)),
    ...message(8, integer(2, 17)), // opset_import: the default domain, version 17
  ];
}

function graphProto(weights: AlexNetWeights): Pieces {
  const nodes: Pieces = [];
  let value = INPUT;
  let flat = false;
  const add = (op: string, inputs: string[], attributes: Pieces = [], output?: string) => {
    output ??= `${op}_${nodes.length}`;
    nodes.push(...message(1, [
      ...inputs.flatMap((name) => text(1, name)),
      ...text(2, output),
      ...text(3, `${op} to ${output}`),
      ...text(4, op),
      ...attributes,
    ]));
    value = output;
  };
  const named = (name: string) => [`${name}.weight`, `${name}.bias`];

  for (const layer of ALEXNET) {
    if (layer.op === "conv") {
      add("Conv", [value, ...named(layer.name)], [
        ...integers("kernel_shape", [layer.kernel, layer.kernel]),
        ...integers("strides", [layer.stride, layer.stride]),
        ...integers("pads", Array(4).fill(layer.padding)),
      ]);
      add("Relu", [value]);
    } else if (layer.op === "pool") {
      add("MaxPool", [value], [
        ...integers("kernel_shape", [3, 3]),
        ...integers("strides", [2, 2]),
      ]);
    } else {
      if (!flat) add("Flatten", [value]);
      flat = true;
      const output = layer.relu ? undefined : OUTPUT;
      add("Gemm", [value, ...named(layer.name)], flag("transB", 1), output);
      if (layer.relu) add("Relu", [value]);
    }
  }

  return [
    ...nodes,
    ...text(2, "alexnet"),
    ...PARAMETERS.flatMap(({ name, shape }) =>
      message(5, [
        ...shape.flatMap((size) => integer(1, size)), // dims
        ...integer(2, FLOAT),
        ...text(8, name),
        ...bytes(9, raw(weights.get(name))), // raw_data
      ])
    ),
    ...message(11, valueInfo(INPUT, IMAGE)),
    ...message(12, valueInfo(OUTPUT, [CLASSES])),
  ];
}

/** ValueInfoProto of a float tensor of any batch: name, type.tensor_type { FLOAT, shape }. */
function valueInfo(name: string, shape: readonly number[]): Pieces {
  const dimensions = [
    ...message(1, text(2, "batch")), // dim_param: known only when it runs
    ...shape.flatMap((size) => message(1, integer(1, size))),
  ];
  const tensor = [...integer(1, FLOAT), ...message(2, dimensions)];
  return [...text(1, name), ...message(2, message(1, tensor))];
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

/** raw_data is little-endian, as every machine that Deno runs on. */
function raw(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

// Protobuf: a field is a key (number · 8 + wire type), then a varint (type 0), or a length and
// that many bytes (type 2).

function integer(field: number, value: number): Pieces {
  return [varint(field * 8), varint(value)];
}

function bytes(field: number, value: Uint8Array): Pieces {
  return message(field, [value]);
}

function text(field: number, value: string): Pieces {
  return bytes(field, new TextEncoder().encode(value));
}

function message(field: number, content: Pieces): Pieces {
  return [varint(field * 8 + 2), varint(length(content)), ...content];
}

/** Seven bits to a byte, lowest first, the top bit saying that more follow. */
function varint(value: number): Uint8Array {
  const out: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) out.push(value % 128 + 128);
  return Uint8Array.from([...out, value]);
}

function length(pieces: Pieces): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

function join(pieces: Pieces): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(length(pieces));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
