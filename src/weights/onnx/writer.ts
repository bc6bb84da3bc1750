/**
 * Writes tensors as ONNX files.
 *
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (field and type numbers)
 *
 * @module
 */

import { PembrokeError } from "../../errors.ts";
import {
  checkData,
  checkNames,
  elementsPart,
  type FloatOutline,
  type Part,
  requireFloats,
  type TensorToWrite,
  totalLength,
  writeToMemory,
} from "../io/file_writer.ts";

/** TensorProto.DataType */
const types = { F32: 1, F16: 10, BF16: 16 } as const;

/** IR version 7 belongs to opset 13, the first in which all operations support bfloat16. */
const irVersion = 7, opset = 13;

/** The limit of protocol buffers. */
const maxBytes = 2 ** 31;

/**
 * Writes tensors as an ONNX file in memory. Its graph has no operations, and the tensors are its
 * outputs. F16 and BF16 are rounded to nearest even.
 *
 * @param tensors The tensors to write.
 * @throws {ArgumentError} When a name is empty or not unique, the data does not fill the shape, or
 * the type is I8, which ONNX cannot store with a scale.
 * @throws {PembrokeError} When the file would have 2 GiB or more, or a finite value is too large
 * for F16 or BF16.
 *
 * @example
 * ```ts
 * import { bytesSource, openWeights, writeOnnx } from "../mod.ts";
 *
 * const data = new Float32Array([1, 2]);
 * const bytes = writeOnnx([{ name: "bias", dtype: "F32", shape: [2], data }]);
 * using file = await openWeights(bytesSource(bytes));
 * console.log(file.format, file.entries.get("bias")?.shape); // onnx [ 2 ]
 * ```
 */
export function writeOnnx(tensors: Iterable<TensorToWrite>): Uint8Array<ArrayBuffer> {
  const all = requireFloats("writeOnnx", [...tensors]);
  checkData("writeOnnx", all);
  return writeToMemory(layOutOnnx(all), (writer) => {
    for (const { name, dtype, data } of all) writer.appendFloats(name, dtype, data);
  });
}

/** Lays out an ONNX file. */
export function layOutOnnx(tensors: readonly FloatOutline[]): Part[] {
  checkNames("writeOnnx", tensors, "");
  const graph = [
    ...message(2, text("weights")),
    ...tensors.flatMap((tensor) => message(5, tensorProto(tensor))),
    ...tensors.flatMap((tensor) => message(12, valueInfo(tensor))),
  ];
  const model = [
    ...integer(1, irVersion),
    ...message(2, text("pembroke")),
    ...message(7, graph),
    ...message(8, integer(2, opset)),
  ];
  if (totalLength(model) < maxBytes) return model;
  throw new PembrokeError("writeOnnx: an ONNX file must be below 2 GiB; use safetensors instead");
}

/** TensorProto: dims, data_type, name, raw_data. */
function tensorProto(tensor: FloatOutline): Part[] {
  const { name, dtype, shape } = tensor;
  return [
    ...shape.flatMap((size) => integer(1, size)),
    ...integer(2, types[dtype]),
    ...message(8, text(name)),
    ...message(9, [elementsPart(tensor)]),
  ];
}

/** ValueInfoProto: name, and type.tensor_type { elem_type, shape { dim { dim_value } … } }. */
function valueInfo({ name, dtype, shape }: FloatOutline): Part[] {
  const dimensions = shape.flatMap((size) => message(1, integer(1, size)));
  const tensor = [...integer(1, types[dtype]), ...message(2, dimensions)];
  return [...message(1, text(name)), ...message(2, message(1, tensor))];
}

/** A field with a varint. */
function integer(field: number, value: number): Part[] {
  return [varint(field * 8), varint(value)];
}

/** A field with a message, bytes or text: its length and its content. */
function message(field: number, content: readonly Part[]): Part[] {
  return [varint(field * 8 + 2), varint(totalLength(content)), ...content];
}

function text(value: string): Part[] {
  return [new TextEncoder().encode(value)];
}

/** Encodes a varint: seven bits per byte, lowest first; the top bit says that more follow. */
function varint(value: number): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return Uint8Array.of(...bytes, value);
}
