/**
 * PyTorch's `.pth` since version 1.6, read from its beginning to its end: the first record is the
 * pickle, which ends by itself and says how long the storages are, and those follow in the order of
 * their keys.
 *
 * Source: PyTorch, `torch/serialization.py` (`_save`).
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { PickleEnd, unpickle } from "./pickle.ts";
import type { Value } from "./pickle_values.ts";
import { checkByteOrder } from "./zip_format.ts";
import { type ByteSource, readBytes } from "../io/source.ts";
import { placeStateDict } from "./state_dict.ts";
import { TensorFile } from "../tensor_file.ts";
import { shown } from "../io/quote.ts";
import { type StorageView, TorchHost } from "./torch_objects.ts";
import { ZipStream } from "../io/zip_stream.ts";

const pickleName = /^([^/]*\/)?data\.pkl$/;

/** The pickle has to lie within what a stream keeps of its beginning. */
const maxPickleBytes = 1 << 19;

/**
 * Opens a zip archive that `torch.save()` wrote, from a source that is read forward.
 *
 * @throws {FileError} When it is another archive, is damaged, holds more than weights, or is in another
 * order than that of `torch.save()`.
 */
export async function openPthStream(source: ByteSource): Promise<TensorFile> {
  const host = new TorchHost(source.name);
  let folder = "", pickle: { value: Value; end: number } | undefined;
  const zip = new ZipStream(source, async (name, start) => {
    if (pickle) return host.storages.get(name.slice(`${folder}data/`.length))?.byteLength;
    if (!pickleName.test(name)) return undefined;
    pickle = await readPickle(source, start, host);
    return pickle.end;
  });

  const first = await zip.next();
  if (!first || !pickle) {
    throw new FileError(
      source.name,
      "does not begin with a pickle as torch.save() writes it: if PyTorch reads it, download it first",
    );
  }
  folder = first.name.slice(0, -"data.pkl".length);

  const found = new Map<string, number>();
  const locate = async (key: string): Promise<number> => {
    for (;;) {
      const start = found.get(key);
      if (start !== undefined) return start;
      const record = await zip.next();
      if (!record) {
        throw new FileError(source.name, `needs storage ${shown(key)}, which is missing`);
      }
      if (record.name === `${folder}byteorder`) await checkByteOrder(source, record);
      if (record.name.startsWith(`${folder}data/`)) {
        found.set(record.name.slice(`${folder}data/`.length), record.start);
      }
    }
  };
  const keys = [...host.storages.keys()].sort();
  const place = ({ storage: { key, byteLength } }: StorageView) => ({
    start: 0,
    length: byteLength,
    later: { rank: keys.indexOf(key), start: () => locate(key) },
  });
  return new TensorFile(source, "pth", await placeStateDict(pickle.value, place, source));
}

/** Nothing says how long it is: reads more for as long as it goes on. */
async function readPickle(source: ByteSource, start: number, host: TorchHost) {
  for (let most = 1 << 13;; most *= 4) {
    const length = Math.min(most, source.size - start);
    try {
      return unpickle(await readBytes(source, start, length), 0, host, source.name);
    } catch (error) {
      if (!(error instanceof PickleEnd)) throw error;
      if (length === most && 4 * most <= maxPickleBytes) continue;
      const message =
        "its pickle ends too early or is too long for a stream: damaged, or download it first";
      throw new FileError(source.name, message);
    }
  }
}
