/**
 * Writing PyTorch's `.pth`: the zip archive that `torch.save()` writes of a state dict.
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
  elementsOf,
  type FloatOutline,
  floatsOnly,
  inMemory,
  lengthOf,
  type Part,
  type TensorToWrite,
} from "../io/file_writer.ts";
import {
  call,
  filled,
  global,
  integer,
  no,
  persistent,
  pickle,
  type Pickled,
  text,
  tuple,
} from "./pickle_writer.ts";
import { layOutZip, type RecordToWrite } from "../io/zip_writer.ts";

/** Where the contents of records begin, so that they can be mapped into memory. */
const alignment = 64;

/** A zip archive's fields for sizes and for counts hold less; the three other records count, too. */
const tooManyBytes = 2 ** 32 - 1, tooManyTensors = 2 ** 16 - 1 - 3;

const storageNames = { F32: "FloatStorage", F16: "HalfStorage", BF16: "BFloat16Storage" } as const;

/**
 * The bytes of a `.pth` file that holds tensors as a state dict: what `torch.load()` reads, with
 * `weights_only=True` too, for `load_state_dict()`. F16 and BF16 are rounded to nearest even.
 *
 * @param tensors What to write.
 * @throws {ArgumentError} When a name comes twice, data does not fill its shape, or is to be I8, which
 * has no scale there.
 * @throws {PembrokeError} When it would have 4 GiB or more, or 65532 tensors.
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
  const all = floatsOnly("writePth", [...tensors]);
  checkData("writePth", all);
  return inMemory(layOutPth(all), (writer) => {
    for (const { name, dtype, data } of all) writer.appendFloats(name, dtype, data);
  });
}

/** Lays out a file. */
export function layOutPth(tensors: readonly FloatOutline[]): Part[] {
  checkNames("writePth", tensors);
  if (tensors.length >= tooManyTensors) {
    throw new PembrokeError(
      `writePth: a .pth is written with less than ${tooManyTensors} tensors; safetensors holds more`,
    );
  }
  const record = (name: string, content: string | RecordToWrite["content"]): RecordToWrite => ({
    name: `archive/${name}`,
    content: typeof content === "string" ? new TextEncoder().encode(content) : content,
  });
  const storages = tensors.map((tensor, key) => record(`data/${key}`, elementsOf(tensor)));
  const archive = layOutZip([
    record("data.pkl", pickle(stateDict(tensors))),
    record("byteorder", "little"),
    ...storages.sort((a, b) => a.name < b.name ? -1 : 1), // as texts: 10 before 2
    record("version", "3\n"),
  ], alignment);
  if (lengthOf(archive) >= tooManyBytes) {
    throw new PembrokeError("writePth: a .pth is written below 4 GiB; safetensors holds more");
  }
  return archive;
}

/** OrderedDict of the tensors, the storage of each by its index. */
function stateDict(tensors: readonly FloatOutline[]): Pickled {
  return filled(
    orderedDict,
    tensors.map((tensor, key) => [text(tensor.name), rebuilt(tensor, String(key))]),
  );
}

const orderedDict = call(global("collections", "OrderedDict"));

/** _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks) */
function rebuilt({ dtype, shape }: FloatOutline, key: string): Pickled {
  const storage = persistent(
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
    tuple(...rowMajor(shape).map(integer)),
    no,
    orderedDict,
  );
}

/** Strides of elements that follow each other; an axis without any counts as one of one. */
function rowMajor(shape: readonly number[]): number[] {
  return shape.map((_, axis) => elements(shape.slice(axis + 1).map((size) => size || 1)));
}
