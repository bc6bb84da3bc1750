/**
 * Writes `.pth` files: a state dict in a zip archive, like `torch.save()` since PyTorch 1.6.
 *
 * Source: PyTorch, `torch/serialization.py` (`_save`), `torch/_utils.py` (`_rebuild_tensor_v2`).
 *
 * @module
 */

import { PembrokeError } from "../../errors.ts";
import { elements } from "../../tensor.ts";
import {
  checkData,
  checkNames,
  elementsPart,
  type FloatOutline,
  type Part,
  requireFloats,
  type TensorToWrite,
  totalLength,
  writeToMemory,
} from "../io/file_writer.ts";
import {
  call,
  global,
  integer,
  newFalse,
  persistentId,
  pickle,
  type PickleCode,
  setItems,
  text,
  tuple,
} from "./pickle_writer.ts";
import { type EntryToWrite, layOutZip } from "../io/zip_writer.ts";

/** The alignment of all entries, so that readers can map them into memory. */
const alignment = 64;

/** The limits of a zip archive without zip64. Three entries are not tensors. */
const byteLimit = 2 ** 32 - 1, tensorLimit = 2 ** 16 - 1 - 3;

/** The storage classes in `torch`, by type. */
const storageNames = { F32: "FloatStorage", F16: "HalfStorage", BF16: "BFloat16Storage" } as const;

/**
 * Writes tensors as a `.pth` file in memory, with a state dict that `torch.load()` reads, also with
 * `weights_only=True`. F16 and BF16 are rounded to nearest even.
 *
 * @param tensors The tensors to write.
 * @throws {ArgumentError} When a name is not unique, the data does not fill the shape, or the type
 * is I8, which `.pth` cannot store with a scale.
 * @throws {PembrokeError} When the file would have 4 GiB or more, or 65532 tensors or more, or a
 * finite value is too large for F16 or BF16.
 *
 * @example
 * ```ts
 * import { bytesSource, openWeights, writePth } from "../mod.ts";
 *
 * const data = new Float32Array([1, 2]);
 * const bytes = writePth([{ name: "bias", dtype: "F32", shape: [2], data }]);
 * using file = await openWeights(bytesSource(bytes));
 * console.log(file.format, file.entries.get("bias")?.shape); // pth [ 2 ]
 * ```
 */
export function writePth(tensors: Iterable<TensorToWrite>): Uint8Array<ArrayBuffer> {
  const all = requireFloats("writePth", [...tensors]);
  checkData("writePth", all);
  return writeToMemory(layOutPth(all), (writer) => {
    for (const { name, dtype, data } of all) writer.appendFloats(name, dtype, data);
  });
}

/** Lays out a `.pth` file. */
export function layOutPth(tensors: readonly FloatOutline[]): Part[] {
  checkNames("writePth", tensors);
  if (tensors.length >= tensorLimit) {
    throw new PembrokeError(
      `writePth: a .pth file must have fewer than ${tensorLimit} tensors; use safetensors instead`,
    );
  }
  const entry = (name: string, content: string | EntryToWrite["content"]): EntryToWrite => ({
    name: `archive/${name}`,
    content: typeof content === "string" ? new TextEncoder().encode(content) : content,
  });
  const storages = tensors.map((tensor, key) => entry(`data/${key}`, elementsPart(tensor)));
  const archive = layOutZip([
    entry("data.pkl", pickle(stateDict(tensors))),
    entry("byteorder", "little"),
    ...storages.sort((a, b) => a.name < b.name ? -1 : 1), // as strings: 10 before 2
    entry("version", "3\n"),
  ], alignment);
  if (totalLength(archive) >= byteLimit) {
    throw new PembrokeError("writePth: a .pth file must be below 4 GiB; use safetensors instead");
  }
  return archive;
}

/** An OrderedDict of the tensors. The key of each storage is the index of its tensor. */
function stateDict(tensors: readonly FloatOutline[]): PickleCode {
  return setItems(
    orderedDict,
    tensors.map((tensor, key) => [text(tensor.name), rebuildTensor(tensor, String(key))]),
  );
}

const orderedDict = call(global("collections", "OrderedDict"));

/** _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks). */
function rebuildTensor({ dtype, shape }: FloatOutline, key: string): PickleCode {
  const storage = persistentId(
    tuple(
      text("storage"),
      global("torch", storageNames[dtype]),
      text(key),
      text("cpu"),
      integer(elements(shape)),
    ),
  );
  return call(
    global("torch._utils", "_rebuild_tensor_v2"),
    storage,
    integer(0),
    tuple(...shape.map(integer)),
    tuple(...rowMajorStrides(shape).map(integer)),
    newFalse,
    orderedDict,
  );
}

/** The strides of contiguous elements. As in PyTorch, a size of 0 counts as 1. */
function rowMajorStrides(shape: readonly number[]): number[] {
  return shape.map((_, axis) => elements(shape.slice(axis + 1).map((size) => size || 1)));
}
