/**
 * Writing safetensors.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { fromFloat32, itemSize } from "./dtype.ts";
import { quantize, scaleName } from "./quantized.ts";

/** A tensor to write. */
export interface TensorToWrite {
  /** Its name, as `features.0.weight`; no two may share one. */
  readonly name: string;
  /** What to store it as; I8 takes one more tensor, `name_scale`, and at least one axis. */
  readonly dtype: "F32" | "F16" | "BF16" | "I8";
  /** Its sizes, outermost first. */
  readonly shape: readonly number[];
  /** Its elements in row-major order. */
  readonly data: Float32Array;
}

/**
 * The bytes of a safetensors file. F16 and BF16 are rounded to nearest even. I8 is quantised: each
 * outermost row is stored as whole numbers from −127 to 127, which its own float32 in `name_scale`
 * multiplies. Wider kinds come first, so that every tensor is aligned to its element.
 *
 * @param tensors What to write.
 * @param metadata What else to say about them.
 * @throws {ArgumentError} When a name comes twice, data does not fill its shape, or what is to be
 * quantised is not finite.
 *
 * @example
 * ```ts
 * import { bytesSource, openWeights, writeSafetensors } from "./mod.ts";
 *
 * const data = new Float32Array([1, 2]);
 * const bytes = writeSafetensors([{ name: "bias", dtype: "F16", shape: [2], data }]);
 * using file = await openWeights(bytesSource(bytes));
 * await file.read("bias", (values) => console.log(values)); // Float32Array [ 1, 2 ]
 * ```
 */
export function writeSafetensors(
  tensors: Iterable<TensorToWrite>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const parts = [...tensors].flatMap(stored);
  const { header, places, size } = layOut(parts, metadata);
  const bytes = new Uint8Array(size);
  bytes.set(header);
  for (const { name, dtype, data } of parts) {
    const at = places.get(name)!, length = data.length * itemSize(dtype);
    if (data instanceof Int8Array) new Int8Array(bytes.buffer, at, length).set(data);
    else if (dtype !== "I8") fromFloat32(dtype, data, new DataView(bytes.buffer, at, length));
  }
  return bytes;
}

/** What a file looks like before its tensors have values. */
export interface SafetensorsLayout {
  /** Its beginning. */
  readonly header: Uint8Array<ArrayBuffer>;
  /** Where each tensor begins, in bytes. */
  readonly places: ReadonlyMap<string, number>;
  /** Bytes of the whole file. */
  readonly size: number;
}

/** Lays out a file; wider kinds come first. */
export function layOut(
  tensors: readonly Omit<TensorToWrite, "data">[],
  metadata?: Readonly<Record<string, string>>,
): SafetensorsLayout {
  const entries = new Map<string, unknown>(), begins = new Map<string, number>();
  if (metadata) entries.set("__metadata__", metadata);
  let end = 0;
  for (const { name, dtype, shape } of tensors.toSorted(byWidth)) {
    if (entries.has(name) || name === "__metadata__") {
      throw new ArgumentError("writeSafetensors", "name", name, "a name no other tensor has");
    }
    const begin = end;
    end += shape.reduce((count, size) => count * size, itemSize(dtype));
    entries.set(name, { dtype, shape, data_offsets: [begin, end] });
    begins.set(name, begin);
  }

  // fromEntries() makes own properties of all names, `__proto__` too.
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20); // padded with spaces
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(json, 8);
  const places = new Map([...begins].map(([name, begin]) => [name, header.length + begin]));
  return { header, places, size: header.length + end };
}

/** The wider kind first, so that every tensor is aligned to its element. */
function byWidth(a: Pick<TensorToWrite, "dtype">, b: Pick<TensorToWrite, "dtype">): number {
  return itemSize(b.dtype) - itemSize(a.dtype);
}

/** A tensor of the file; whole numbers are as they will lie there. */
interface Part extends Omit<TensorToWrite, "data"> {
  readonly data: Float32Array | Int8Array;
}

/** What a tensor becomes in the file: itself, or whole numbers and their scale. */
function stored(tensor: TensorToWrite): Part[] {
  const { name, dtype, shape, data } = tensor;
  const takes = (what: string) =>
    new ArgumentError("writeSafetensors", `shape of ${name}`, shape, what);
  if (shape.reduce((count, size) => count * size, 1) !== data.length) {
    throw takes(`that of ${data.length} elements`);
  }
  if (dtype !== "I8") return [tensor];
  if (shape.length === 0) throw takes("one with rows, to be quantised");
  const { stored, scale } = quantize(name, data, shape[0]);
  return [
    { name, dtype, shape, data: stored },
    { name: scaleName(name), dtype: "F32", shape: [shape[0]], data: scale },
  ];
}
