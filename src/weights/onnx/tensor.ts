/**
 * Reads the description of a tensor in an ONNX file, the TensorProto of onnx.proto. Elements stay
 * in the file if they are stored as in memory; varints, which are few, are decoded.
 *
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (field and type numbers)
 *
 * @module
 */

import { type DType, isFloat, itemSize, toFloat32 } from "../dtype.ts";
import { FileError } from "../../errors.ts";
import { elementCount, maxDimensions, type StoredTensor } from "../layout.ts";
import { readPair } from "./pair.ts";
import { type Field, IntegerList, type ProtoReader } from "./protobuf.ts";
import { type ByteRange, type ByteSource, bytesSource, readBytes } from "../io/source.ts";
import { escapeText } from "../io/quote.ts";

/** How integers stand for floats: value = (integer − zero) · scale. */
export interface Quantization {
  /** The type of the integers. */
  readonly dtype: DType;
  /** One scale for all integers, or one for each index of the axis. */
  readonly scales: Float32Array;
  /** The zero points, one for each scale. */
  readonly zeros: readonly number[];
  /** The axis that the scales belong to, if there are several. */
  readonly axis: number;
}

/** A tensor with its place in the file, and its elements if they are few. */
export interface OnnxTensor extends StoredTensor {
  /** The elements, if they are a few integers (a shape) or floats (the scales of a resize). */
  readonly numbers?: readonly number[];
  /** How the integers in the file stand for its elements, if the file is quantised. */
  readonly quantization?: Quantization;
  /** Whether the import of the graph computed it: the file has no tensor of its name. */
  readonly isComputed?: true;
  /** The name of the tensor in the file that it quantises or dequantises. */
  readonly computedFrom?: string;
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

/** The most integers and floats that are read as {@linkcode OnnxTensor.numbers}. */
const maxIntegers = 512, maxFloats = 64;

/** The memory of a tensor's description, in bytes. */
export const tensorBytes = 500;

/** The memory of an entry of external_data, in bytes. */
const externalBytes = 200;

/** The fields of a TensorProto. */
interface TensorFields {
  name: string;
  type: number;
  shape: number[];
  /** raw_data, or float_data or double_data, which have the same encoding. */
  data?: ByteRange;
  /** int32_data, int64_data or uint64_data. */
  varints: IntegerList;
  /** external_data: location, offset and length. */
  readonly external: Map<string, string>;
  isExternal: boolean;
}

/**
 * Reads a TensorProto.
 *
 * @throws {FileError} When it is damaged, of an unsupported kind, or in a file that cannot be
 * opened.
 */
export async function readTensor(
  reader: ProtoReader,
  range: ByteRange,
): Promise<OnnxTensor> {
  reader.budget.spend(tensorBytes);
  const fields: TensorFields = {
    name: "",
    type: 0,
    shape: [],
    varints: new IntegerList(),
    external: new Map(),
    isExternal: false,
  };
  for await (const field of reader.fields(range)) await readField(reader, field, fields);
  const tensor = await toStoredTensor(reader, fields);
  return { ...tensor, numbers: await readNumbers(reader, tensor) };
}

/** Reads a field of a TensorProto. Those without a use here are skipped. */
async function readField(reader: ProtoReader, field: Field, fields: TensorFields): Promise<void> {
  const { number } = field;
  if (number === 1) {
    await reader.integers(field, fields.shape);
    if (fields.shape.length > maxDimensions) throw reader.bad("has an impossible shape: damaged");
  } else if (number === 2) fields.type = reader.integer(field);
  else if (number === 3) throw reader.bad("has a segmented tensor, which is not supported");
  else if (number === 4 || number === 9 || number === 10) fields.data = reader.range(field);
  else if (number === 5 || number === 7 || number === 11) {
    await reader.longs(field, fields.varints);
  } else if (number === 8) fields.name = await reader.text(field);
  else if (number === 13) {
    reader.budget.spend(externalBytes);
    fields.external.set(...await readPair(reader, reader.range(field)));
  } else if (number === 14) fields.isExternal = reader.integer(field) === 1;
}

/** Locates the elements of a tensor in another file, which it opens. */
async function locateExternal(
  reader: ProtoReader,
  { name, external }: TensorFields,
  span: number,
): Promise<{ source: ByteSource; start: number }> {
  const location = external.get("location");
  if (location === undefined) throw reader.bad(`${escapeText(name)} has no location: damaged`);
  const source = await reader.files.open(location);
  const start = parseInteger(external.get("offset"), 0);
  checkLength(reader, name, parseInteger(external.get("length"), span), span);
  if (!(start + span <= source.size)) {
    throw new FileError(
      source.name,
      `ends after ${source.size} bytes, before ${escapeText(name)}: truncated or damaged`,
    );
  }
  return { source, start };
}

/** Parses an integer of external_data, which may be missing. Returns NaN for other text. */
function parseInteger(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  return /^\d{1,15}$/.test(text) ? Number(text) : NaN;
}

/** Checks the number of bytes that a tensor has in its file. */
function checkLength(reader: ProtoReader, name: string, length: number, span: number): void {
  if (length === span) return;
  throw reader.bad(
    `${escapeText(name)} has ${length} bytes, but its shape and dtype need ${span}: damaged`,
  );
}

/** Locates the elements of a tensor, and checks their number. */
async function toStoredTensor(reader: ProtoReader, fields: TensorFields): Promise<StoredTensor> {
  const { name, type, shape, data, varints } = fields, dtype = dtypes[type];
  if (!dtype) throw reader.bad(`${escapeText(name)} has data type ${type}, which is not supported`);
  const count = elementCount(shape, name, reader.source.name), span = count * itemSize(dtype);
  if (fields.isExternal || fields.external.size > 0) {
    const external = await locateExternal(reader, fields, span);
    return { name, dtype, shape, count, span, ...external };
  }
  const source = varints.length > 0 ? bytesSource(varints.bytes(itemSize(dtype))) : undefined;
  checkLength(reader, name, source?.size ?? data?.length ?? 0, span);
  const start = source ? 0 : data?.start ?? 0;
  return { name, dtype, shape, count, start, span, source };
}

/** Creates a tensor that is not in the file, from its elements. */
export function tensorFromNumbers(
  name: string,
  dtype: "F32" | "I64",
  shape: readonly number[],
  numbers: readonly number[],
): OnnxTensor {
  const bytes = dtype === "F32"
    ? new Uint8Array(Float32Array.from(numbers).buffer)
    : new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
  const count = numbers.length, span = bytes.length, source = bytesSource(bytes);
  return { name, dtype, shape, count, start: 0, span, source, numbers };
}

/** Reads all elements of a short tensor. */
export async function readElements(
  reader: ProtoReader,
  { source, start, span }: StoredTensor,
): Promise<Uint8Array<ArrayBuffer>> {
  if (source) return await readBytes(source, start, span);
  return await reader.bytes({ start, length: span });
}

/** The elements of a tensor as numbers; undefined if there are many. */
export async function readNumbers(
  reader: ProtoReader,
  tensor: StoredTensor,
): Promise<readonly number[] | undefined> {
  const { dtype, count } = tensor;
  if (count > (isFloat(dtype) ? maxFloats : maxIntegers)) return undefined;
  reader.budget.spend(8 * count);
  const { buffer } = await readElements(reader, tensor);
  if (isFloat(dtype)) return [...toFloat32(dtype, buffer, count, new Float32Array(count))];
  return integersOf(dtype, buffer);
}

/** The elements of a tensor of integers; undefined for types that nothing reads as numbers. */
export function integersOf(dtype: DType, buffer: ArrayBuffer): readonly number[] | undefined {
  switch (dtype) {
    case "I64":
      return Array.from(new BigInt64Array(buffer), Number);
    case "BOOL":
      return [...new Uint8Array(buffer)];
    case "I32":
    case "I16":
    case "U16":
    case "I8":
    case "U8":
      return [...smallIntegersOf(dtype, buffer)];
    default:
      return undefined;
  }
}

/** The elements of a tensor of integers with up to 32 bits. */
export function smallIntegersOf(dtype: DType, buffer: ArrayBuffer) {
  switch (dtype) {
    case "I32":
      return new Int32Array(buffer);
    case "I16":
      return new Int16Array(buffer);
    case "U16":
      return new Uint16Array(buffer);
    case "I8":
      return new Int8Array(buffer);
    default:
      return new Uint8Array(buffer);
  }
}

/** A source that repeats one element. Each read must start at the beginning of an element. */
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

/** A source of the reciprocals of a contiguous float tensor, as float32. */
export function reciprocalSource(tensor: StoredTensor, source: ByteSource): ByteSource {
  const { dtype, count, start } = tensor, bytes = itemSize(dtype);
  return {
    name: source.name,
    size: 4 * count,
    async read(offset, into) {
      if (!isFloat(dtype)) return;
      const length = into.length / 4;
      const raw = await readBytes(source, start + offset / 4 * bytes, length * bytes);
      const values = toFloat32(dtype, raw.buffer, length, new Float32Array(length));
      into.set(new Uint8Array(values.map((value) => 1 / value).buffer));
    },
    close() {},
  };
}
