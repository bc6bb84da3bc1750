/**
 * Writing safetensors.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { fromFloat32, itemSize } from "./dtype.ts";

/** A tensor to write. */
export interface TensorToWrite {
  /** Its name, as `features.0.weight`; no two may share one. */
  readonly name: string;
  /** What to store it as. */
  readonly dtype: "F32" | "F16" | "BF16";
  /** Its sizes, outermost first. */
  readonly shape: readonly number[];
  /** Its elements in row-major order. */
  readonly data: Float32Array;
}

/**
 * The bytes of a safetensors file. F16 and BF16 are rounded to nearest even. Wider kinds come first,
 * so that every tensor is aligned to its element.
 *
 * @param tensors What to write.
 * @param metadata What else to say about them.
 * @throws {ArgumentError} When a name comes twice, or data does not fill its shape.
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
  const sorted = [...tensors].sort((a, b) => itemSize(b.dtype) - itemSize(a.dtype));
  const header = new Map<string, unknown>();
  if (metadata) header.set("__metadata__", metadata);
  let end = 0;
  for (const { name, dtype, shape, data } of sorted) {
    if (header.has(name) || name === "__metadata__") {
      throw new ArgumentError("writeSafetensors", "name", name, "a name no other tensor has");
    }
    if (shape.reduce((count, size) => count * size, 1) !== data.length) {
      throw new ArgumentError(
        "writeSafetensors",
        `shape of ${name}`,
        shape,
        `that of ${data.length} elements`,
      );
    }
    const begin = end;
    end += data.length * itemSize(dtype);
    header.set(name, { dtype, shape, data_offsets: [begin, end] });
  }

  // fromEntries() makes own properties of all names, `__proto__` too.
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const dataStart = 8 + Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(dataStart + end).fill(0x20, 0, dataStart); // padded with spaces
  new DataView(bytes.buffer).setBigUint64(0, BigInt(dataStart - 8), true);
  bytes.set(json, 8);
  let at = dataStart;
  for (const { dtype, data } of sorted) {
    const length = data.length * itemSize(dtype);
    fromFloat32(dtype, data, new DataView(bytes.buffer, at, length));
    at += length;
  }
  return bytes;
}
