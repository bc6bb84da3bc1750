/**
 * PyTorch's `.pth` before version 1.6: five pickles one after the other (a magic number, a version,
 * a description of the machine, the object, the order of the storages), then each storage as an
 * int64 count and its elements.
 *
 * Source: PyTorch, `torch/serialization.py` (`_legacy_save`, `_legacy_load`).
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { itemSize } from "../dtype.ts";
import type { Extent } from "../layout.ts";
import { PickleEnd, unpickle } from "./pickle.ts";
import { Dict, List, type Value } from "./pickle_values.ts";
import { type ByteSource, readBytes } from "../io/source.ts";
import { placeStateDict } from "./state_dict.ts";
import { TensorFile } from "../tensor_file.ts";
import { shown } from "../io/quote.ts";
import { type Storage, type StorageView, TorchHost } from "./torch_objects.ts";

const magic = 0x1950a86a20f9469cfc6cn;
const version = 1001;

/** Enough for most models; the next attempt takes four times as much. */
const firstBytes = 64 << 10;
/** No pickles of names and shapes are longer. */
const maxPickleBytes = 64 << 20;

/** What the five pickles say. */
interface Head {
  readonly value: Value;
  readonly host: TorchHost;
  /** The keys of the storages, in the order in which they follow. */
  readonly order: readonly Value[];
  /** Where they begin. */
  readonly end: number;
}

/**
 * Opens a pickle that `torch.save()` wrote before 1.6, or with `_use_new_zipfile_serialization=False`.
 *
 * @throws {FileError} When it is another pickle, is damaged, or holds more than weights.
 */
export async function openLegacyPth(source: ByteSource): Promise<TensorFile> {
  const head = await readHead(source);
  const extents = await findStorages(source, head);
  const locate = ({ storage }: StorageView, name: string) => {
    const extent = extents.get(storage.key);
    if (extent) return extent;
    const key = shown(storage.key);
    throw new FileError(source.name, `${shown(name)} needs storage ${key}, which is missing`);
  };
  return new TensorFile(source, "pth-legacy", await placeStateDict(head.value, locate, source));
}

/** Nothing says how long the pickles are: reads more for as long as they go on. */
async function readHead(source: ByteSource): Promise<Head> {
  const limit = Math.min(source.size, maxPickleBytes);
  for (let length = Math.min(firstBytes, limit);; length = Math.min(4 * length, limit)) {
    const bytes = await readBytes(source, 0, length);
    try {
      return parseHead(bytes, source.name);
    } catch (error) {
      if (!(error instanceof PickleEnd)) throw error;
      if (length < limit) continue;
      throw new FileError(
        source.name,
        limit < source.size
          ? "has a pickle of more than 64 MiB"
          : "ends inside of its pickle: truncated or damaged",
      );
    }
  }
}

function parseHead(bytes: Uint8Array, file: string): Head {
  const host = new TorchHost(file);
  let end = 0;
  const next = () => {
    const pickle = unpickle(bytes, end, host, file);
    end = pickle.end;
    return pickle.value;
  };
  if (next() !== magic) {
    throw new FileError(file, "is a pickle, but not one that torch.save() wrote");
  }
  if (next() !== version) throw new FileError(file, "is of an unknown version of PyTorch's format");
  const machine = next();
  if (machine instanceof Dict && machine.map.get("little_endian") === false) {
    throw new FileError(
      file,
      "was saved big-endian, only little-endian is read: save it again on another machine",
    );
  }
  const value = next(), order = next();
  if (!(order instanceof List)) throw new FileError(file, "has no list of its storages: damaged");
  return { value, host, order: order.items, end };
}

/** Where storages are; before each stands how many elements it has. */
async function findStorages(source: ByteSource, head: Head): Promise<Map<string, Extent>> {
  const extents = new Map<string, Extent>();
  let at = head.end;
  for (const [rank, key] of head.order.entries()) {
    const storage = typeof key === "string" ? head.host.storages.get(key) : undefined;
    if (!storage || extents.has(storage.key)) {
      throw new FileError(source.name, "lists a storage that no tensor uses, or twice: damaged");
    }
    const length = storage.byteLength, countAt = at;
    const start = () => checkCount(source, countAt, storage);
    if (source.forward) {
      extents.set(storage.key, { start: 0, length, later: { rank, start } });
    } else {
      extents.set(storage.key, { start: await start(), length });
    }
    at += 8 + length;
    if (at > source.size) {
      throw new FileError(source.name, `ends after ${source.size} bytes: truncated or damaged`);
    }
  }
  return extents;
}

/** Where a storage's elements begin: behind their number, which must be that of its tensors. */
async function checkCount(
  source: ByteSource,
  at: number,
  { key, dtype, byteLength }: Storage,
): Promise<number> {
  const count = await readBytes(source, at, 8);
  const length = Number(new DataView(count.buffer).getBigInt64(0, true)) * itemSize(dtype);
  if (length === byteLength) return at + 8;
  throw new FileError(
    source.name,
    `storage ${shown(key)} has ${length} bytes, its tensors need ${byteLength}: damaged`,
  );
}
