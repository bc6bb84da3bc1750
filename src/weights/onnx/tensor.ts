/**
 * Reads the description of a tensor in an ONNX file, the TensorProto of onnx.proto. Elements stay
 * in the file if they are stored as in memory; varints, which are few, are decoded.
 *
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (field and type numbers)
 *
 * @module
 */

import { type DType, itemSize } from "../dtype.ts";
import { elementCount, type StoredTensor } from "../layout.ts";
import type { Field, ProtoReader } from "./protobuf.ts";
import { type ByteRange, type ByteSource, bytesSource, readBytes } from "../io/source.ts";
import { escapeText } from "../io/quote.ts";

/** A tensor with its position, and its value if that is short. */
export interface OnnxTensor extends StoredTensor {
  /** The elements of a few integers (a shape) or of a single float32 (a dropout rate). */
  readonly numbers?: readonly number[];
}

/** TensorProto.DataType */
const dtypes: Readonly<Record<number, DType>> = {
  1: "F32",
  2: "U8",
  3: "I8",
  4: "U16",
  5: "I16",
  6: "I32",
  7: "I64",
  9: "BOOL",
  10: "F16",
  11: "F64",
  12: "U32",
  13: "U64",
  14: "C64",
  15: "C128",
  16: "BF16",
  17: "F8_E4M3",
  19: "F8_E5M2",
};

/** The most integers that are read as {@linkcode OnnxTensor.numbers}. */
const maxNumbers = 64;

/** The fields of a TensorProto. */
interface TensorFields {
  name: string;
  type: number;
  shape: number[];
  /** raw_data, or float_data or double_data, which have the same encoding. */
  data?: ByteRange;
  /** int32_data, int64_data or uint64_data. */
  varints: number[];
}

/**
 * Reads a TensorProto.
 *
 * @throws {FileError} When elements are missing, or stored in another file.
 */
export async function readTensor(
  reader: ProtoReader,
  range: ByteRange,
): Promise<OnnxTensor> {
  const fields: TensorFields = { name: "", type: 0, shape: [], varints: [] };
  for await (const field of reader.fields(range)) await readField(reader, field, fields);
  const tensor = toStoredTensor(reader, fields);
  return { ...tensor, numbers: await readNumbers(reader, tensor) };
}

async function readField(reader: ProtoReader, field: Field, fields: TensorFields): Promise<void> {
  const { number } = field;
  if (number === 1) fields.shape = fields.shape.concat(await reader.integers(field));
  else if (number === 2) fields.type = reader.integer(field);
  else if (number === 3) throw reader.bad("has a segmented tensor, which is not supported");
  else if (number === 4 || number === 9 || number === 10) fields.data = reader.range(field);
  else if (number === 5 || number === 7 || number === 11) {
    fields.varints = fields.varints.concat(await reader.integers(field));
  } else if (number === 8) fields.name = await reader.text(field);
  else if (number === 13 || number === 14 && reader.integer(field) === 1) {
    throw reader.bad(
      "stores its weights in another file: save it as one file (onnx.save without external data)",
    );
  }
}

function toStoredTensor(reader: ProtoReader, fields: TensorFields): StoredTensor {
  const { name, type, shape, data, varints } = fields, dtype = dtypes[type];
  if (!dtype) throw reader.bad(`${escapeText(name)} has data type ${type}, which is not supported`);
  const count = elementCount(shape, name, reader.source.name), span = count * itemSize(dtype);
  const source = varints.length > 0 ? bytesSource(encodeIntegers(dtype, varints)) : undefined;
  const length = source?.size ?? data?.length ?? 0;
  if (length !== span) {
    throw reader.bad(
      `${escapeText(name)} has ${length} bytes, but its shape and dtype need ${span}: damaged`,
    );
  }
  const start = source ? 0 : data?.start ?? 0;
  return { name, dtype, shape, count, start, span, strides: undefined, source };
}

/** Creates a tensor from numbers, for a node that holds or creates one. */
export function tensorFromNumbers(
  name: string,
  dtype: "F32" | "I64",
  shape: readonly number[],
  numbers: readonly number[],
): OnnxTensor {
  const bytes = dtype === "F32"
    ? new Uint8Array(Float32Array.from(numbers).buffer)
    : encodeIntegers(dtype, numbers);
  const source = bytesSource(bytes), { length } = numbers;
  const position = { count: length, start: 0, span: bytes.length, strides: undefined };
  return { name, dtype, shape, ...position, source, numbers };
}

/** Encodes integers, or the bits of F16 and BF16, as in raw_data. */
function encodeIntegers(dtype: DType, values: readonly number[]): Uint8Array {
  const size = itemSize(dtype);
  if (size === 1) return Uint8Array.from(values);
  if (size === 2) return new Uint8Array(Uint16Array.from(values).buffer);
  if (size === 4) return new Uint8Array(Uint32Array.from(values).buffer);
  return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
}

/** The value of a tensor if it is short. */
async function readNumbers(
  reader: ProtoReader,
  { dtype, count, start, span, source }: StoredTensor,
): Promise<readonly number[] | undefined> {
  const isShort = dtype === "F32" ? count === 1 : /^[IUB]/.test(dtype) && count <= maxNumbers;
  if (!isShort || dtype === "BF16") return undefined;
  const range = { start, length: span };
  const { buffer } = source ? await readBytes(source, start, span) : await reader.bytes(range);
  switch (dtype) {
    case "F32":
      return [...new Float32Array(buffer)];
    case "I64":
      return Array.from(new BigInt64Array(buffer), Number);
    case "I32":
      return [...new Int32Array(buffer)];
    case "BOOL":
      return [...new Uint8Array(buffer)];
    default:
      return undefined;
  }
}

/** A source that repeats one element. Reads must start at an element. */
export function repeatingSource(element: Uint8Array, size: number): ByteSource {
  return {
    name: "a constant",
    size,
    // deno-lint-ignore require-await -- async, so that an error rejects instead of being thrown
    async read(_offset, into) {
      into.set(element.subarray(0, into.length));
      for (let done = element.length; done < into.length; done *= 2) into.copyWithin(done, 0, done);
    },
    close() {},
  };
}
