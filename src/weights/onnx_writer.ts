/**
 * Writing tensors as ONNX.
 *
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (numbers of fields and of types)
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { fromFloat32, itemSize } from "./dtype.ts";
import type { TensorToWrite } from "./safetensors_writer.ts";

/** A message as pieces, so that elements are copied once. */
type Pieces = readonly Uint8Array<ArrayBuffer>[];

/** TensorProto.DataType */
const types = { F32: 1, F16: 10, BF16: 16 } as const;

/** The format's version that came with opset 13, the first in which everything may be bfloat16. */
const irVersion = 7, opset = 13;

/**
 * The bytes of an ONNX file that holds tensors and no operation: a graph whose outputs they are. F16
 * and BF16 are rounded to nearest even.
 *
 * @param tensors What to write.
 * @throws {ArgumentError} When a name comes twice or is empty, data does not fill its shape, or is to
 * be I8, which has no scale there.
 *
 * @example
 * ```ts
 * import { bytesSource, openWeights, writeOnnx } from "./mod.ts";
 *
 * const data = new Float32Array([1, 2]);
 * const bytes = writeOnnx([{ name: "bias", dtype: "F32", shape: [2], data }]);
 * using file = await openWeights(bytesSource(bytes));
 * console.log(file.format, file.entries.get("bias")?.shape); // onnx [ 2 ]
 * ```
 */
export function writeOnnx(tensors: Iterable<TensorToWrite>): Uint8Array<ArrayBuffer> {
  const all = [...tensors], names = new Set<string>();
  for (const { name } of all) {
    if (name === "" || names.has(name)) {
      throw new ArgumentError("writeOnnx", "name", name, "a name no other tensor has");
    }
    names.add(name);
  }
  const graph = [
    ...message(2, text("weights")),
    ...all.flatMap((tensor) => message(5, tensorProto(tensor))),
    ...all.flatMap((tensor) => message(12, valueInfo(tensor))),
  ];
  return join([
    ...integer(1, irVersion),
    ...message(2, text("pembroke")),
    ...message(7, graph),
    ...message(8, integer(2, opset)),
  ]);
}

/** dims, data_type, name, raw_data */
function tensorProto({ name, dtype, shape, data }: TensorToWrite): Pieces {
  const what = `of ${name}`;
  if (shape.reduce((count, size) => count * size, 1) !== data.length) {
    throw new ArgumentError("writeOnnx", `shape ${what}`, shape, `that of ${data.length} elements`);
  }
  if (dtype === "I8") throw new ArgumentError("writeOnnx", `dtype ${what}`, dtype, "a float");
  const raw = new Uint8Array(data.length * itemSize(dtype));
  fromFloat32(dtype, data, new DataView(raw.buffer));
  return [
    ...shape.flatMap((size) => integer(1, size)),
    ...integer(2, types[dtype]),
    ...message(8, text(name)),
    ...message(9, [raw]),
  ];
}

/** name, and type.tensor_type { elem_type, shape { dim { dim_value } … } } */
function valueInfo({ name, dtype, shape }: TensorToWrite): Pieces {
  if (dtype === "I8") return [];
  const dimensions = shape.flatMap((size) => message(1, integer(1, size)));
  const tensor = [...integer(1, types[dtype]), ...message(2, dimensions)];
  return [...message(1, text(name)), ...message(2, message(1, tensor))];
}

function integer(field: number, value: number): Pieces {
  return [varint(field * 8), varint(value)];
}

function message(field: number, content: Pieces): Pieces {
  const length = content.reduce((sum, piece) => sum + piece.length, 0);
  return [varint(field * 8 + 2), varint(length), ...content];
}

function text(value: string): Pieces {
  return [new TextEncoder().encode(value)];
}

/** Seven bits to a byte, lowest first, the top bit saying that more follow. */
function varint(value: number): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return Uint8Array.of(...bytes, value);
}

function join(pieces: Pieces): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
