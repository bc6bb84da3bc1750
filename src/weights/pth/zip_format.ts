/**
 * PyTorch's `.pth` since version 1.6: a zip archive of a pickle and one record per storage.
 *
 * Source: PyTorch, `torch/serialization.py` (`_save`, `_load`).
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { Extent } from "../layout.ts";
import { PickleEnd, unpickle } from "./pickle.ts";
import type { Value } from "./pickle_values.ts";
import { type ByteSource, readBytes } from "../io/source.ts";
import { placeStateDict } from "./state_dict.ts";
import { TensorFile } from "../tensor_file.ts";
import { shown } from "../io/quote.ts";
import { type StorageView, TorchHost } from "./torch_objects.ts";
import { readZip, type Zip } from "../io/zip.ts";

/** No pickle of names and shapes is longer. */
const maxPickleBytes = 64 << 20;

/**
 * Opens a zip archive that `torch.save()` wrote.
 *
 * @throws {FileError} When it is another archive, is damaged, or holds more than weights.
 */
export async function openPth(source: ByteSource): Promise<TensorFile> {
  const zip = await readZip(source);
  const folder = findFolder(zip);
  const byteOrder = await zip.find(`${folder}byteorder`);
  if (byteOrder) await checkByteOrder(source, byteOrder);
  const host = new TorchHost(source.name);
  const value = await readPickle(zip, folder, host);

  const found = new Map<string, Extent>();
  const locate = async ({ storage }: StorageView, name: string) => {
    const known = found.get(storage.key);
    if (known) return known;
    const extent = await zip.find(`${folder}data/${storage.key}`);
    if (!extent) {
      const key = shown(storage.key);
      throw new FileError(source.name, `${shown(name)} needs storage ${key}, which is missing`);
    }
    if (extent.length !== storage.byteLength) {
      throw new FileError(
        source.name,
        `${shown(name)} needs a storage of ${storage.byteLength} bytes, ` +
          `there are ${extent.length}: damaged`,
      );
    }
    found.set(storage.key, extent);
    return extent;
  };
  return new TensorFile(source, "pth", await placeStateDict(value, locate, source));
}

/** The one folder that everything is in, with its slash; it is called as the file once was. */
function findFolder(zip: Zip): string {
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
  const pickles = [...zip.entries.keys()].filter((name) => /^([^/]*\/)?data\.pkl$/.test(name));
  if (pickles.length === 1) return pickles[0].slice(0, -"data.pkl".length);
  throw new FileError(file, "is a zip archive, but not one that torch.save() wrote");
}

/** Throws unless numbers lie as this machine reads them; PyTorch 2 says so, before they always did. */
export async function checkByteOrder(source: ByteSource, { start, length }: Extent): Promise<void> {
  const bytes = await readBytes(source, start, Math.min(length, 16));
  const order = new TextDecoder().decode(bytes).trim();
  if (order === "little") return;
  throw new FileError(
    source.name,
    `has byte order "${
      shown(order)
    }", only little-endian is read: save it again on another machine`,
  );
}

async function readPickle(zip: Zip, folder: string, host: TorchHost): Promise<Value> {
  const file = zip.source.name;
  const extent = (await zip.find(`${folder}data.pkl`))!;
  if (extent.length > maxPickleBytes) throw new FileError(file, "has a pickle of more than 64 MiB");
  try {
    return unpickle(await readBytes(zip.source, extent.start, extent.length), 0, host, file).value;
  } catch (error) {
    if (!(error instanceof PickleEnd)) throw error;
    throw new FileError(file, "its pickle ends too early: damaged");
  }
}
