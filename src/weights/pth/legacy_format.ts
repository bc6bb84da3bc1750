/**
 * Opens the `.pth` format of PyTorch before 1.6: five pickles in a row (a magic number, a version,
 * a description of the machine, the object, the order of the storages), then each storage as an
 * int64 count and its elements.
 *
 * Source: PyTorch, `torch/serialization.py` (`_legacy_save`, `_legacy_load`).
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { itemSize } from "../dtype.ts";
import type { StorageRange } from "../layout.ts";
import { maxPickleBytes, unpickle } from "./pickle.ts";
import { TruncatedPickle } from "./pickle_bytes.ts";
import { Dict, List, type Value } from "./pickle_values.ts";
import { type ByteSource, readBytes } from "../io/source.ts";
import { locateStateDict } from "./state_dict.ts";
import { TensorFile } from "../tensor_file.ts";
import { escapeText } from "../io/quote.ts";
import { type StorageView, TorchHost, type TorchStorage } from "./torch_objects.ts";

/** The values of the first two pickles. */
const magic = 0x1950a86a20f9469cfc6cn, version = 1001;

/** Enough for most models. Each further attempt reads 16 times as much. */
const firstReadBytes = 64 << 10;

/** The contents of the five pickles. */
interface Pickles {
  /** The saved object. */
  readonly value: Value;
  readonly host: TorchHost;
  /** The keys of the storages, in file order. */
  readonly storageKeys: readonly Value[];
  /** The offset of the first storage. */
  readonly end: number;
}

/**
 * Opens a file that `torch.save()` wrote before PyTorch 1.6, or with
 * `_use_new_zipfile_serialization=False`.
 *
 * @throws {FileError} When it is another pickle, is damaged, or contains more than weights.
 */
export async function openLegacyPth(source: ByteSource): Promise<TensorFile> {
  const pickles = await readPickles(source);
  const storages = await locateStorages(source, pickles);
  const locate = ({ storage }: StorageView, name: string) => {
    const range = storages.get(storage.key);
    if (range) return range;
    const key = escapeText(storage.key);
    throw new FileError(source.name, `${escapeText(name)} needs storage ${key}, which is missing`);
  };
  return new TensorFile(source, "pth-legacy", await locateStateDict(pickles.value, locate, source));
}

/** Reads more and more bytes until the pickles end, because their length is not stored. */
async function readPickles(source: ByteSource): Promise<Pickles> {
  const limit = Math.min(source.size, maxPickleBytes);
  for (let length = Math.min(firstReadBytes, limit);; length = Math.min(16 * length, limit)) {
    const bytes = await readBytes(source, 0, length);
    try {
      return parsePickles(bytes, source.name);
    } catch (error) {
      if (!(error instanceof TruncatedPickle)) throw error;
      if (length < limit) continue;
      throw new FileError(
        source.name,
        limit < source.size
          ? "has a pickle of more than 12 MiB"
          : "ends inside its pickle: truncated or damaged",
      );
    }
  }
}

/** Parses the five pickles. Throws TruncatedPickle if they do not end within the bytes. */
function parsePickles(bytes: Uint8Array, file: string): Pickles {
  const host = new TorchHost(file);
  let end = 0;
  const next = () => {
    const pickle = unpickle(bytes, end, host, file);
    end = pickle.end;
    return pickle.value;
  };
  if (next() !== magic) {
    throw new FileError(file, "is a pickle, but torch.save() did not write it");
  }
  if (next() !== version) throw new FileError(file, "has an unknown version of PyTorch's format");
  const machine = next();
  if (machine instanceof Dict && machine.map.get("little_endian") === false) {
    throw new FileError(
      file,
      "was saved as big-endian: save it again on a little-endian machine",
    );
  }
  const value = next(), keys = next();
  if (!(keys instanceof List)) throw new FileError(file, "has no list of its storages: damaged");
  return { value, host, storageKeys: keys.items, end };
}

/** Locates the storages, each of which starts with its number of elements. */
async function locateStorages(
  source: ByteSource,
  { host, storageKeys, end }: Pickles,
): Promise<Map<string, StorageRange>> {
  const ranges = new Map<string, StorageRange>();
  let offset = end;
  for (const [rank, key] of storageKeys.entries()) {
    const storage = typeof key === "string" ? host.storages.get(key) : undefined;
    if (!storage || ranges.has(storage.key)) {
      throw new FileError(source.name, "lists a storage twice, or one without a tensor: damaged");
    }
    const length = storage.byteLength, countOffset = offset;
    const start = () => checkCount(source, countOffset, storage);
    if (source.forward) {
      ranges.set(storage.key, { start: 0, length, deferred: { rank, start } });
    } else {
      ranges.set(storage.key, { start: await start(), length });
    }
    offset += 8 + length;
    if (offset > source.size) {
      throw new FileError(source.name, `ends after ${source.size} bytes: truncated or damaged`);
    }
  }
  return ranges;
}

/** Checks the number of elements at `offset`, and returns the offset of the first element. */
async function checkCount(
  source: ByteSource,
  offset: number,
  { key, dtype, byteLength }: TorchStorage,
): Promise<number> {
  const count = await readBytes(source, offset, 8);
  const length = Number(new DataView(count.buffer).getBigInt64(0, true)) * itemSize(dtype);
  if (length === byteLength) return offset + 8;
  throw new FileError(
    source.name,
    `storage ${escapeText(key)} has ${length} bytes, but its tensors need ${byteLength}: damaged`,
  );
}
