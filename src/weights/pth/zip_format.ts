/**
 * Opens the `.pth` format of PyTorch 1.6 and later, if it is not a stream: a zip archive with a
 * pickle and an entry for each storage.
 *
 * Source: PyTorch, `torch/serialization.py` (`_save`, `_load`).
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { maxPickleBytes, unpickle } from "./pickle.ts";
import { TruncatedPickle } from "./pickle_bytes.ts";
import type { Value } from "./pickle_values.ts";
import { type ByteRange, type ByteSource, readBytes } from "../io/source.ts";
import { locateStateDict } from "./state_dict.ts";
import { TensorFile } from "../tensor_file.ts";
import { escapeText } from "../io/quote.ts";
import { type StorageView, TorchHost } from "./torch_objects.ts";
import { readZip, type ZipArchive } from "../io/zip.ts";

/**
 * Opens a zip archive that `torch.save()` wrote.
 *
 * @throws {FileError} When it is another archive, is damaged, or contains more than weights.
 */
export async function openPthArchive(source: ByteSource): Promise<TensorFile> {
  const zip = await readZip(source);
  const folder = findFolder(zip);
  const byteOrder = await zip.find(`${folder}byteorder`);
  const isBigEndian = byteOrder !== undefined && await readByteOrder(source, byteOrder) === "big";
  const host = new TorchHost(source.name);
  const value = await readPickle(zip, folder, host);

  const ranges = new Map<string, ByteRange>();
  const locate = async ({ storage }: StorageView, name: string) => {
    const known = ranges.get(storage.key);
    if (known) return known;
    const range = await zip.find(`${folder}data/${storage.key}`);
    if (!range) {
      const key = escapeText(storage.key);
      throw new FileError(
        source.name,
        `${escapeText(name)} needs storage ${key}, which is missing`,
      );
    }
    if (range.length !== storage.byteLength) {
      throw new FileError(
        source.name,
        `${escapeText(name)} needs a storage of ${storage.byteLength} bytes, ` +
          `but it has ${range.length}: damaged`,
      );
    }
    ranges.set(storage.key, range);
    return range;
  };
  const tensors = await locateStateDict(value, locate, source);
  if (isBigEndian) {
    for (const [name, tensor] of tensors) tensors.set(name, { ...tensor, isBigEndian });
  }
  return new TensorFile(source, "pth", tensors);
}

/** The folder of all entries, with a slash. PyTorch names it after the file. */
function findFolder(zip: ZipArchive): string {
  const file = zip.source.name;
  for (const name of zip.entries.keys()) {
    if (/^([^/]*\/)?(constants\.pkl$|code\/)/.test(name)) {
      throw new FileError(
        file,
        "is a TorchScript archive, a program with its weights: " +
          "save model.state_dict() with torch.save() instead",
      );
    }
  }
  const folders = [...zip.entries.keys()].flatMap((name) => folderOf(name) ?? []);
  if (folders.length === 1) return folders[0];
  throw new FileError(file, "is a zip archive, but torch.save() did not write it");
}

/** The folder of a pickle's entry, with a slash; undefined for other entries. */
export function folderOf(name: string): string | undefined {
  return /^((?:[^/]*\/)?)data\.pkl$/.exec(name)?.[1];
}

/** The order of the bytes in every element, which a file declares since PyTorch 2. */
export async function readByteOrder(
  source: ByteSource,
  { start, length }: ByteRange,
): Promise<"little" | "big"> {
  const bytes = await readBytes(source, start, Math.min(length, 16));
  const order = new TextDecoder().decode(bytes).trim();
  if (order === "little" || order === "big") return order;
  throw new FileError(source.name, `has the unknown byte order "${escapeText(order)}": damaged`);
}

async function readPickle(zip: ZipArchive, folder: string, host: TorchHost): Promise<Value> {
  const file = zip.source.name;
  const { start, length } = (await zip.find(`${folder}data.pkl`))!;
  if (length > maxPickleBytes) throw new FileError(file, "has a pickle of more than 12 MiB");
  try {
    return unpickle(await readBytes(zip.source, start, length), 0, host, file).value;
  } catch (error) {
    if (!(error instanceof TruncatedPickle)) throw error;
    throw new FileError(file, "its pickle is truncated: damaged");
  }
}
