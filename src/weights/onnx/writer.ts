/**
 * Writing tensors as ONNX.
 *
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (numbers of fields and of types)
 *
 * @module
 */

import { PembrokeError } from "../../errors.ts";
import {
  checkData,
  checkNames,
  elementsOf,
  type FloatOutline,
  floatsOnly,
  inMemory,
  lengthOf,
  type Part,
  type TensorToWrite,
} from "../io/file_writer.ts";

/** TensorProto.DataType */
const types = { F32: 1, F16: 10, BF16: 16 } as const;

/** The format's version that came with opset 13, the first in which everything may be bfloat16. */
const irVersion = 7, opset = 13;

/** Protocol buffers hold less. */
const mostBytes = 2 ** 31;

/**
 * The bytes of an ONNX file that holds tensors and no operation: a graph whose outputs they are. F16
 * and BF16 are rounded to nearest even.
 *
 * @param tensors What to write.
 * @throws {ArgumentError} When a name comes twice or is empty, data does not fill its shape, or is to
 * be I8, which has no scale there.
 * @throws {PembrokeError} When it would have 2 GiB or more.
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
  const all = floatsOnly("writeOnnx", [...tensors]);
  checkData("writeOnnx", all);
  return inMemory(layOutOnnx(all), (writer) => {
    for (const { name, dtype, data } of all) writer.appendFloats(name, dtype, data);
  });
}

/** Lays out a file. */
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
  if (lengthOf(model) < mostBytes) return model;
  throw new PembrokeError("writeOnnx: ONNX holds less than 2 GiB, safetensors more");
}

/** dims, data_type, name, raw_data */
function tensorProto(tensor: FloatOutline): Part[] {
  const { name, dtype, shape } = tensor;
  return [
    ...shape.flatMap((size) => integer(1, size)),
    ...integer(2, types[dtype]),
    ...message(8, text(name)),
    ...message(9, [elementsOf(tensor)]),
  ];
}

/** name, and type.tensor_type { elem_type, shape { dim { dim_value } … } } */
function valueInfo({ name, dtype, shape }: FloatOutline): Part[] {
  const dimensions = shape.flatMap((size) => message(1, integer(1, size)));
  const tensor = [...integer(1, types[dtype]), ...message(2, dimensions)];
  return [...message(1, text(name)), ...message(2, message(1, tensor))];
}

function integer(field: number, value: number): Part[] {
  return [varint(field * 8), varint(value)];
}

function message(field: number, content: readonly Part[]): Part[] {
  return [varint(field * 8 + 2), varint(lengthOf(content)), ...content];
}

function text(value: string): Part[] {
  return [new TextEncoder().encode(value)];
}

/** Seven bits to a byte, lowest first, the top bit saying that more follow. */
function varint(value: number): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return Uint8Array.of(...bytes, value);
}
