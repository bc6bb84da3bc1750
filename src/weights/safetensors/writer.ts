/**
 * Writing safetensors.
 *
 * @module
 */

import { ArgumentError } from "../../errors.ts";
import { itemSize } from "../dtype.ts";
import {
  checkData,
  checkNames,
  elementsOf,
  inMemory,
  littleEndian,
  type Part,
  type TensorOutline,
  type TensorToWrite,
} from "../io/file_writer.ts";
import { quantize, scaleName } from "../quantized.ts";

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
 * import { bytesSource, openWeights, writeSafetensors } from "../mod.ts";
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
  const all = [...tensors];
  checkData("writeSafetensors", all);
  return inMemory(layOutSafetensors(all, metadata), (writer) => {
    for (const { name, dtype, shape, data } of all) {
      if (dtype !== "I8") writer.appendFloats(name, dtype, data);
      else {
        const { stored, scale } = quantize(name, data, shape[0]);
        writer.append(name, new Uint8Array(stored.buffer));
        writer.appendFloats(scaleName(name), "F32", scale);
      }
    }
  });
}

/** Lays out a file; wider kinds come first. What is I8 gets its scale. */
export function layOutSafetensors(
  tensors: readonly TensorOutline[],
  metadata?: Readonly<Record<string, string>>,
): Part[] {
  const stored = tensors.flatMap(withScale).sort(byWidth);
  checkNames("writeSafetensors", stored, "__metadata__");
  const entries = new Map<string, unknown>();
  if (metadata) entries.set("__metadata__", metadata);
  const parts = stored.map(elementsOf);
  let end = 0;
  for (const [i, { name, dtype, shape }] of stored.entries()) {
    const begin = end;
    end += parts[i].length;
    entries.set(name, { dtype, shape, data_offsets: [begin, end] });
  }

  // fromEntries() makes own properties of all names, `__proto__` too.
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const header = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20); // padded with spaces
  header.set(json);
  return [littleEndian(header.length, 8), header, ...parts];
}

/** The wider kind first, so that every tensor is aligned to its element. */
function byWidth(a: TensorOutline, b: TensorOutline): number {
  return itemSize(b.dtype) - itemSize(a.dtype);
}

/** What a tensor becomes in the file: itself, or whole numbers and their scale. */
function withScale(tensor: TensorOutline): TensorOutline[] {
  const { name, dtype, shape } = tensor;
  if (dtype !== "I8") return [tensor];
  if (shape.length === 0) {
    const takes = "one with rows, to be quantised";
    throw new ArgumentError("writeSafetensors", `shape of ${name}`, shape, takes);
  }
  return [tensor, { name: scaleName(name), dtype: "F32", shape: [shape[0]] }];
}
