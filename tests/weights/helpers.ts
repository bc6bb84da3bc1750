/** Fixtures, and small writers for zip archives and pickles, valid or not. */

import {
  type ByteSource,
  bytesSource,
  openWeights,
  streamSource,
  type WeightsFile,
} from "../../src/weights/mod.ts";
import { FileError } from "../../src/errors.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { joinBytes } from "../bytes.ts";

const folder = new URL("../fixtures/weights/", import.meta.url);

/** Reads a fixture. */
export function fixture(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return Deno.readFile(new URL(name, folder));
}

/** Opens a fixture. */
export async function openFixture(name: string): Promise<WeightsFile> {
  return await openWeights(bytesSource(await fixture(name), name));
}

/** Opens bytes under the name `x`. */
export function open(bytes: Uint8Array): Promise<WeightsFile> {
  return openWeights(bytesSource(bytes, "x"));
}

/** A stream source named `x` that delivers bytes in chunks. */
export function chunkedSource(
  bytes: Uint8Array,
  { chunk = 1000, size }: { chunk?: number; size?: number } = {},
): Promise<ByteSource> {
  let at = 0;
  return streamSource(
    {
      next: () => Promise.resolve(at < bytes.length ? bytes.slice(at, at += chunk) : undefined),
      cancel: () => Promise.resolve(),
    },
    "x",
    size,
  );
}

/** A source named `x` that counts reads, and the bytes that are read in total. */
export function countedSource(bytes: Uint8Array): ByteSource & { reads: number; total: number } {
  const inner = bytesSource(bytes, "x");
  const counted = {
    ...inner,
    reads: 0,
    total: 0,
    read(offset: number, into: Uint8Array<ArrayBuffer>) {
      counted.reads++;
      counted.total += into.length;
      return inner.read(offset, into);
    },
  };
  return counted;
}

/** Reads all elements of a tensor. */
export async function readAll(file: WeightsFile, name: string): Promise<Float32Array> {
  const { shape } = file.entries.get(name)!;
  const all = new Float32Array(shape.reduce((count, size) => count * size, 1)).fill(NaN);
  await file.read(name, (values, offset) => all.set(values, offset));
  return all;
}

/** Asserts that an attempt rejects with a {@linkcode FileError} of exactly this message. */
export async function assertFileError(
  attempt: () => Promise<unknown>,
  message: string,
): Promise<void> {
  assertEquals((await assertRejects(attempt, FileError)).message, message);
}

/** Asserts that bytes cannot be opened, and why. */
export async function assertCannotOpen(bytes: Uint8Array, reason: string): Promise<void> {
  await assertFileError(() => open(bytes), `x: ${reason}`);
}

/** Concatenates bytes and text. */
export function bytes(...parts: (ArrayLike<number> | string)[]): Uint8Array<ArrayBuffer> {
  return joinBytes(parts);
}

/** An integer of `width` bytes, little-endian. */
export function le(value: number | bigint, width: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value), true);
  return new Uint8Array(view.buffer, 0, width);
}

/** float32 values as bytes. */
export function floats(...values: number[]): Uint8Array {
  return new Uint8Array(new Float32Array(values).buffer);
}

/** A safetensors file with any header and data. */
export function safetensors(
  header: unknown,
  data: ArrayLike<number> = [],
): Uint8Array<ArrayBuffer> {
  const json = bytes(typeof header === "string" ? header : JSON.stringify(header));
  return bytes(le(json.length, 8), json, data);
}

export interface ZipItem {
  name: string;
  data: ArrayLike<number> | string;
  /** Wrong values to write. */
  overrides?: {
    method?: number;
    flags?: number;
    header?: number;
    localName?: string;
    size?: number;
  };
}

/** A zip archive. With `zip64`, all sizes and offsets are in the zip64 fields. */
export function zip(items: ZipItem[], { zip64 = false, comment = "" } = {}) {
  const inZip64 = 0xffffffff;
  let body = bytes(), directory = bytes();
  for (const { name, data, overrides = {} } of items) {
    const content = bytes(data), header = overrides.header ?? body.length;
    const size = overrides.size ?? content.length;
    const flags = overrides.flags ?? 0, method = overrides.method ?? 0;
    const localName = bytes(overrides.localName ?? name), directoryName = bytes(name);
    const padding = [...bytes("FB"), 3, 0, 0x5a, 0x5a, 0x5a]; // as PyTorch aligns its entries
    const common = bytes(le(20, 2), le(flags, 2), le(method, 2), le(0, 8));
    const extra = zip64 ? bytes(le(1, 2), le(24, 2), le(size, 8), le(size, 8), le(header, 8)) : [];
    const [size32, header32] = zip64 ? [inZip64, inZip64] : [size, header];
    body = bytes(
      body,
      ...["PK\x03\x04", common, le(size, 4), le(size, 4)],
      ...[le(localName.length, 2), le(padding.length, 2), localName, padding, content],
    );
    directory = bytes(
      directory,
      ...["PK\x01\x02", le(20, 2), common, le(size32, 4), le(size32, 4)],
      ...[
        le(directoryName.length, 2),
        le(extra.length, 2),
        new Uint8Array(10),
        le(header32, 4),
        directoryName,
        extra,
      ],
    );
  }
  const start = body.length, length = directory.length, count = items.length;
  const end = bytes(
    ...["PK\x05\x06", le(0, 4), le(count, 2), le(count, 2)],
    ...[
      le(zip64 ? inZip64 : length, 4),
      le(zip64 ? inZip64 : start, 4),
      le(comment.length, 2),
      comment,
    ],
  );
  if (!zip64) return bytes(body, directory, end);
  const record = bytes(
    ...["PK\x06\x06", le(44, 8), le(45, 4), le(0, 8), le(count, 8), le(count, 8)],
    ...[le(length, 8), le(start, 8)],
  );
  const locator = bytes("PK\x06\x07", le(0, 4), le(start + length, 8), le(1, 4));
  return bytes(body, directory, record, locator, end);
}

type Code = Uint8Array;

/** Python values as pickle instructions. */
export const py = {
  none: bytes("N"),
  false: bytes([0x89]),
  text: (value: string): Code => bytes("X", le(bytes(value).length, 4), value),
  /** A Python 2 str. */
  oldText: (value: string): Code => bytes("U", [value.length], value),
  int: (value: number | bigint): Code =>
    value >= 0 && value < 2 ** 31
      ? bytes("J", le(value, 4))
      : bytes([0x8a, 8], le(BigInt.asUintN(64, BigInt(value)), 8)),
  tuple: (...items: Code[]): Code => bytes("(", ...items, "t"),
  list: (...items: Code[]): Code => bytes("](", ...items, "e"),
  dict: (...items: [Code, Code][]): Code => bytes("}(", ...items.flat(), "u"),
  global: (module: string, name: string): Code => bytes("c", module, "\n", name, "\n"),
  call: (callee: Code, ...args: Code[]): Code => bytes(callee, py.tuple(...args), "R"),
  pickle: (value: Code): Code => bytes([0x80, 2], value, "."),
};

const orderedDict = py.global("collections", "OrderedDict");

/** The pickle of a tensor; every part can be replaced. */
export function tensor(
  {
    type = py.global("torch", "FloatStorage"),
    key = "0",
    count = 4 as number | bigint,
    offset = 0 as number | bigint,
    shape = [2, 2] as (number | bigint)[],
    stride = [2, 1] as (number | bigint)[],
    rebuild = "_rebuild_tensor_v2",
    extra = [] as Code[],
    view = [] as Code[],
  } = {},
): Code {
  const { text, int, tuple } = py;
  const storage = bytes(
    tuple(text("storage"), type, text(key), text("cpu"), int(count), ...view),
    "Q",
  );
  const hooks = rebuild === "_rebuild_tensor" ? [] : [py.false, py.call(orderedDict)];
  return py.call(
    py.global("torch._utils", rebuild),
    ...[storage, int(offset), tuple(...shape.map(int)), tuple(...stride.map(int))],
    ...[...hooks, ...extra],
  );
}

/** A `.pth` file in the zip format. */
export function pth(
  value: Code,
  data: ArrayLike<number> = floats(1, 2, 3, 4),
  more: ZipItem[] = [],
): Uint8Array<ArrayBuffer> {
  return zip([
    { name: "x/data.pkl", data: py.pickle(value) },
    { name: "x/data/0", data },
    ...more,
    { name: "x/version", data: "3\n" },
  ]);
}

/** A `.pth` file in the legacy format. */
export function legacy(
  value: Code,
  data: ArrayLike<number> = floats(1, 2, 3, 4),
  { count = 4 as number | bigint, keys = ["0"], little = bytes([0x88]) } = {},
): Uint8Array<ArrayBuffer> {
  const magic = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
  return bytes(
    ...[[0x80, 2, 0x8a, 10], magic, ".", py.pickle(py.int(1001))],
    ...[py.pickle(py.dict([py.text("little_endian"), little])), py.pickle(value)],
    ...[py.pickle(py.list(...keys.map(py.text))), le(BigInt.asUintN(64, BigInt(count)), 8), data],
  );
}

/** A state dict with one tensor, `a`. */
export function stateOf(code: Code): Code {
  return py.dict([py.text("a"), code]);
}
