/** A small writer for ONNX files, valid or not. */

import { bytes } from "../helpers.ts";

type Code = Uint8Array<ArrayBuffer>;

/** A varint: seven bits per byte, lowest first; negative numbers take ten bytes. */
export function varint(value: number | bigint): Code {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  return bytes([...out, Number(rest)]);
}

/** An integer field. */
export function int(field: number, value: number | bigint): Code {
  return bytes(varint(field * 8), varint(value));
}

/** A field of bytes, a string or a message. */
export function field(number: number, ...content: (ArrayLike<number> | string)[]): Code {
  const joined = bytes(...content);
  return bytes(varint(number * 8 + 2), varint(joined.length), joined);
}

/** A float32 field. */
export function float(number: number, value: number): Code {
  return bytes(varint(number * 8 + 5), new Uint8Array(new Float32Array([value]).buffer));
}

/** A TensorProto: its shape, its type number and the fields with its elements. */
export function tensor(
  name: string,
  shape: readonly number[],
  type: number,
  ...data: Code[]
): Code {
  return bytes(...shape.map((size) => int(1, size)), int(2, type), field(8, name), ...data);
}

/** raw_data with float32 elements. */
export function raw(...values: number[]): Code {
  return field(9, new Uint8Array(new Float32Array(values).buffer));
}

/** A TensorProto with float32 elements. */
export function floats(name: string, shape: readonly number[], ...values: number[]): Code {
  return tensor(name, shape, 1, raw(...values));
}

/** A TensorProto whose float32 elements are all 0.5. */
export function halves(name: string, ...shape: number[]): Code {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5);
  return tensor(name, shape, 1, field(9, new Uint8Array(values.buffer)));
}

/** A TensorProto with int64 elements. */
export function integers(name: string, ...values: number[]): Code {
  return tensor(name, [values.length], 7, field(7, ...values.map(varint)));
}

/** The value of an attribute: an integer, a list of integers, a float, a string or a tensor. */
export type Attribute = number | readonly number[] | { readonly float: number } | string | Code;

function attribute(name: string, value: Attribute): Code {
  const encode = (type: number, ...content: Code[]) =>
    bytes(field(1, name), ...content, int(20, type));
  if (typeof value === "number") return encode(2, int(3, value));
  if (typeof value === "string") return encode(3, field(4, value));
  if (value instanceof Uint8Array) return encode(4, field(5, value));
  if ("float" in value) return encode(1, float(2, value.float));
  return encode(7, ...value.map((number) => int(8, number)));
}

/** A NodeProto. */
export function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  { name = "", domain = "" } = {},
): Code {
  return bytes(
    ...inputs.map((input) => field(1, input)),
    ...outputs.map((output) => field(2, output)),
    ...[field(3, name), field(4, op), field(7, domain)],
    ...Object.entries(attributes).map(([key, value]) => field(5, attribute(key, value))),
  );
}

/** A ValueInfoProto of a float tensor; a string stands for an axis of any size. */
export function port(name: string, ...shape: (number | string)[]): Code {
  return typedPort(1, name, ...shape);
}

/** An input or output of a type by its number: 2 is uint8. */
export function typedPort(type: number, name: string, ...shape: (number | string)[]): Code {
  const sizes = shape.map((size) =>
    field(1, typeof size === "number" ? int(1, size) : field(2, size))
  );
  return bytes(field(1, name), field(2, field(1, int(1, type), field(2, ...sizes))));
}

/** The parts of a graph. */
export interface Parts {
  readonly nodes?: readonly Code[];
  readonly tensors?: readonly Code[];
  readonly inputs?: readonly Code[];
  readonly outputs?: readonly Code[];
  /** Other fields of the graph. */
  readonly more?: Code;
  /** The version of the operations. Default: 13. */
  readonly opset?: number;
}

/** A ModelProto. */
export function onnx(
  { nodes = [], tensors = [], inputs = [], outputs = [], more = bytes(), opset = 13 }: Parts,
): Code {
  const graph = bytes(
    ...nodes.map((code) => field(1, code)),
    ...tensors.map((code) => field(5, code)),
    ...inputs.map((code) => field(11, code)),
    ...outputs.map((code) => field(12, code)),
    more,
  );
  return bytes(int(1, 8), field(2, "test"), field(7, graph), field(8, int(2, opset)));
}
