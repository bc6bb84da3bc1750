/**
 * A tensor in an ONNX file: onnx.proto's TensorProto. Its elements stay where they are when they lie
 * there as they are in memory; what is written as varints is short, and decoded.
 *
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (numbers of fields and of types)
 *
 * @module
 */

import { type DType, itemSize } from "../dtype.ts";
import { elementCount, type Extent, type StoredTensor } from "../layout.ts";
import type { Field, ProtoReader } from "./protobuf.ts";
import { type ByteSource, bytesSource, readBytes } from "../io/source.ts";
import { shown } from "../io/quote.ts";

/** A tensor and its place, and what it says where it describes something. */
export interface OnnxTensor extends StoredTensor {
  /** Its elements, when they are a few integers (a shape) or one float32 (a probability). */
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

/** Integers that may be a shape. */
const fewNumbers = 64;

/** What a TensorProto holds, as it comes. */
interface Message {
  name: string;
  type: number;
  shape: number[];
  /** raw_data, or float_data or double_data, which look the same. */
  place?: Extent;
  /** int32_data, int64_data or uint64_data. */
  varints: number[];
}

/**
 * Reads a TensorProto.
 *
 * @param name What to call it if it has no name of its own.
 * @throws {FileError} When its elements are not all there, or in another file.
 */
export async function readTensor(
  reader: ProtoReader,
  extent: Extent,
  name = "",
): Promise<OnnxTensor> {
  const message: Message = { name: "", type: 0, shape: [], varints: [] };
  for await (const field of reader.fields(extent)) await readField(reader, field, message);
  const tensor = placed(reader, { ...message, name: message.name || name });
  return { ...tensor, numbers: await numbersOf(reader, tensor) };
}

async function readField(reader: ProtoReader, field: Field, message: Message): Promise<void> {
  const { number } = field;
  if (number === 1) message.shape = message.shape.concat(await reader.integers(field));
  else if (number === 2) message.type = reader.integer(field);
  else if (number === 3) throw reader.bad("has a tensor in segments, which are not read");
  else if (number === 4 || number === 9 || number === 10) message.place = reader.extent(field);
  else if (number === 5 || number === 7 || number === 11) {
    message.varints = message.varints.concat(await reader.integers(field));
  } else if (number === 8) message.name = await reader.text(field);
  else if (number === 13 || number === 14 && reader.integer(field) === 1) {
    throw reader.bad(
      "keeps its weights in another file: save it whole (onnx.save without external data)",
    );
  }
}

function placed(reader: ProtoReader, message: Message): StoredTensor {
  const { name, type, shape, place, varints } = message, dtype = dtypes[type];
  if (!dtype) throw reader.bad(`${shown(name)} has data type ${type}, which is not read`);
  const count = elementCount(shape, name, reader.source.name), span = count * itemSize(dtype);
  const source = varints.length > 0 ? bytesSource(encoded(dtype, varints)) : undefined;
  const length = source?.size ?? place?.length ?? 0;
  if (length !== span) {
    throw reader.bad(
      `${shown(name)} has ${length} bytes where its shape and dtype take ${span}: damaged`,
    );
  }
  const start = source ? 0 : place?.start ?? 0;
  return { name, dtype, shape, count, start, span, strides: undefined, source };
}

/** A tensor that a node holds or makes, from its numbers. */
export function tensorOf(
  name: string,
  dtype: "F32" | "I64",
  shape: readonly number[],
  numbers: readonly number[],
): OnnxTensor {
  const bytes = dtype === "F32"
    ? new Uint8Array(Float32Array.from(numbers).buffer)
    : encoded(dtype, numbers);
  const source = bytesSource(bytes), { length } = numbers;
  const place = { count: length, start: 0, span: bytes.length, strides: undefined };
  return { name, dtype, shape, ...place, source, numbers };
}

/** Integers (the bits of F16 and BF16, too) as they would be in raw_data. */
function encoded(dtype: DType, values: readonly number[]): Uint8Array {
  const size = itemSize(dtype);
  if (size === 1) return Uint8Array.from(values);
  if (size === 2) return new Uint8Array(Uint16Array.from(values).buffer);
  if (size === 4) return new Uint8Array(Uint32Array.from(values).buffer);
  return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
}

async function numbersOf(
  reader: ProtoReader,
  { dtype, count, start, span, source }: StoredTensor,
): Promise<readonly number[] | undefined> {
  const wanted = dtype === "F32" ? count === 1 : /^[IUB]/.test(dtype) && count <= fewNumbers;
  if (!wanted || dtype === "BF16") return undefined;
  const extent = { start, length: span };
  const { buffer } = source ? await readBytes(source, start, span) : await reader.bytes(extent);
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

/** One element again and again; it is read from where an element begins. */
export function repeated(element: Uint8Array, size: number): ByteSource {
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
