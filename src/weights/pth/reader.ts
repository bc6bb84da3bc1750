/**
 * Opens the `.pth` formats of PyTorch. Both can be read from a stream: in the zip archives of
 * PyTorch 1.6 and later, the first entry is the pickle, which states the sizes of the storages.
 * These follow, sorted by key.
 *
 * Source: PyTorch, `torch/serialization.py` (`_save`).
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { unpickle } from "./pickle.ts";
import { TruncatedPickle } from "./pickle_bytes.ts";
import type { Value } from "./pickle_values.ts";
import { openLegacyPth } from "./legacy_format.ts";
import { folderOf, openPthArchive, readByteOrder } from "./zip_format.ts";
import { type ByteSource, readBytes } from "../io/source.ts";
import { locateStateDict } from "./state_dict.ts";
import { TensorFile } from "../tensor_file.ts";
import { escapeText } from "../io/quote.ts";
import { type StorageView, TorchHost } from "./torch_objects.ts";
import { ZipStream } from "../io/zip_stream.ts";

export { withComputedWeights } from "./parametrizations.ts";

/** The most entries besides storages. `torch.save()` writes about five. */
const maxOtherEntries = 100;

/** The pickle must be within the first MiB, which a stream keeps in memory. */
const maxStreamedPickleBytes = 1 << 19;

/**
 * Opens a file that `torch.save()` wrote.
 *
 * @param isArchive Whether the file is a zip archive, as since PyTorch 1.6.
 * @throws {FileError} When it is another file, is damaged, contains more than weights, or is a
 * stream whose entries are not in the order of `torch.save()`.
 */
export async function openPth(source: ByteSource, isArchive: boolean): Promise<TensorFile> {
  if (!isArchive) return await openLegacyPth(source);
  return await (source.forward ? openPthStream : openPthArchive)(source);
}

/** Opens a zip archive from a stream. Storages are located while they are read. */
async function openPthStream(source: ByteSource): Promise<TensorFile> {
  const host = new TorchHost(source.name);
  let folder: string | undefined, pickle: { value: Value; end: number } | undefined;
  const zip = new ZipStream(source, async (name, start) => {
    if (pickle) return host.storages.get(name.slice(`${folder}data/`.length))?.byteLength;
    folder = folderOf(name);
    if (folder === undefined) return undefined;
    pickle = await readPickle(source, start, host);
    return pickle.end;
  });
  if (!await zip.next() || folder === undefined || !pickle) {
    throw new FileError(
      source.name,
      "does not start with a pickle, as torch.save() writes it: " +
        "if PyTorch can load the file, download it first",
    );
  }
  const findStorage = storageFinder(zip, folder, host);
  const ranks = new Map([...host.storages.keys()].sort().map((key, rank) => [key, rank]));
  const defer = ({ storage: { key, byteLength } }: StorageView) => ({
    start: 0,
    length: byteLength,
    deferred: { rank: ranks.get(key)!, start: () => findStorage(key) },
  });
  return new TensorFile(source, "pth", await locateStateDict(pickle.value, defer, source));
}

/** Returns a function that reads entries until it finds a storage, and returns its offset. */
function storageFinder(
  zip: ZipStream,
  folder: string,
  { storages, file }: TorchHost,
): (key: string) => Promise<number> {
  const starts = new Map<string, number>(), prefix = `${folder}data/`;
  let others = 0;
  return async (key) => {
    for (;;) {
      const start = starts.get(key);
      if (start !== undefined) return start;
      const entry = await zip.next();
      if (!entry) throw new FileError(file, `needs storage ${escapeText(key)}, which is missing`);
      const isByteOrder = entry.name === `${folder}byteorder`;
      if (isByteOrder && await readByteOrder(zip.source, entry) === "big") {
        const reason = "is big-endian, which cannot be read from a stream: download it first";
        throw new FileError(file, reason);
      }
      const found = entry.name.slice(prefix.length);
      if (entry.name.startsWith(prefix) && storages.has(found)) starts.set(found, entry.start);
      else if (++others > maxOtherEntries) {
        throw new FileError(file, `has more than ${maxOtherEntries} entries that are not tensors`);
      }
    }
  };
}

/** Reads more and more bytes until the pickle ends, because its length is not stored. */
async function readPickle(source: ByteSource, start: number, host: TorchHost) {
  for (let maxBytes = 1 << 13;; maxBytes *= 4) {
    const length = Math.min(maxBytes, source.size - start);
    try {
      return unpickle(await readBytes(source, start, length), 0, host, source.name);
    } catch (error) {
      if (!(error instanceof TruncatedPickle)) throw error;
      if (length === maxBytes && 4 * maxBytes <= maxStreamedPickleBytes) continue;
      const message = "its pickle is truncated, or too long for a stream: download it first";
      throw new FileError(source.name, message);
    }
  }
}
