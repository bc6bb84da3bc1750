/**
 * From published weights to a file in the cache.
 *
 * @module
 */

import type { CatalogueEntry } from "./catalogue.ts";
import { FileError } from "../errors.ts";
import { parameterShapes } from "../layers/layer.ts";
import { createModel } from "../models/load_model.ts";
import { describe } from "../models/description.ts";
import { checkWeights } from "../weights/check.ts";
import { convertWeights, type StoredPrecision } from "../weights/convert.ts";
import { openWeights } from "../weights/open.ts";
import { fileSource } from "../weights/io/file_source.ts";
import { lockPath, modelPath, removeUnfinished } from "./cache.ts";
import { fetchFile, type FetchFileOptions } from "./fetch_file.ts";
import { Lock, withLock } from "../io/lock.ts";
import { writeFile } from "../io/write_file.ts";

/** What pulling takes besides the entry and the cache. */
export interface PullOptions extends
  Pick<
    FetchFileOptions,
    "signal" | "stallMs" | "retries" | "backoffMs" | "onProgress" | "onRetry"
  > {
  /** How the weights are stored. Default "f16". */
  readonly precision?: StoredPrecision;
  /** Another place of the same file. */
  readonly url?: string;
  /** SHA-256 of another file, which goes by the entry's name then. */
  readonly sha256?: string;
  /** Called while the weights are stored anew, with the floats done so far and in all. */
  readonly onConvert?: (done: number, total: number) => void;
  /** Called if another process pulls the same. */
  readonly onWait?: () => void;
}

/** What pulling came to. */
export interface Pulled {
  /** The file. */
  readonly path: string;
  /** Whether it was there before. */
  readonly cached: boolean;
}

/**
 * Downloads published weights, verifies them and stores them as safetensors in a cache, all of it or
 * nothing: a file under the final name is whole. A download that broke off goes on where it ended. Runs
 * in Deno, with permission to read and write the folder and to reach the server.
 *
 * @param entry What to pull.
 * @param folder The cache; made if need be.
 * @throws {FileError} When it cannot be fetched, verified or written.
 */
export async function pull(
  entry: CatalogueEntry,
  folder: string,
  options: PullOptions = {},
): Promise<Pulled> {
  const { precision = "f16", url = entry.url, signal, onWait } = options;
  const sha256 = (options.sha256 ?? entry.sha256).toLowerCase();
  const bytes = sha256 === entry.sha256.toLowerCase() ? entry.bytes : undefined;
  const path = modelPath(folder, entry.name, precision);
  const download = `${folder}/${entry.name}-${sha256.slice(0, 16)}.part`;
  if (await isFrom(path, sha256)) {
    // a cache may be for reading only
    await removeLeftover(path, download, lockPath(folder, entry.name)).catch(() => {});
    return { path, cached: true };
  }
  return await writing(folder, async () => {
    await Deno.mkdir(folder, { recursive: true });
    return await withLock(lockPath(folder, entry.name), async () => {
      await removeUnfinished(folder, entry.name);
      if (await isFrom(path, sha256)) return { path, cached: true };
      await fetchFile(url, download, { ...options, sha256, bytes });
      try {
        await convert(entry, url, sha256, download, path, precision, options);
      } catch (error) {
        // verified, and yet of no use: it would not be another the next time
        if (error instanceof FileError) await Deno.remove(download);
        throw error;
      }
      await Deno.remove(download);
      return { path, cached: false };
    }, { onWait, signal });
  });
}

/**
 * Deletes the download of which a cached file was made, and the lock's file: a pull that was killed at
 * its very end has left them. A younger download belongs to a pull in another precision, which will resume it.
 */
async function removeLeftover(path: string, download: string, lock: string): Promise<void> {
  const time = async (file: string) => (await Deno.stat(file).catch(() => undefined))?.mtime;
  const [stored, arrived, locked] = await Promise.all([path, download, lock].map(time));
  const isOld = stored && arrived && arrived <= stored;
  if (!isOld && !locked) return;
  using taken = await Lock.tryAcquire(lock); // giving it back deletes its file
  if (taken && isOld) await Deno.remove(download);
}

async function convert(
  entry: CatalogueEntry,
  url: string,
  sha256: string,
  from: string,
  to: string,
  precision: StoredPrecision,
  { signal, onConvert }: PullOptions,
): Promise<void> {
  using file = await openWeights(await fileSource(from));
  const { architecture, classes, preprocessing, terms } = entry;
  using model = createModel(architecture, { classes, preprocessing });
  checkWeights(file, parameterShapes(model), model.type);
  const metadata = {
    ...describe({ architecture, classes, preprocessing }),
    source: url,
    source_sha256: sha256,
    terms,
  };
  await writeFile(to, async (sink) => {
    await convertWeights(file, sink, { precision, metadata, signal, onProgress: onConvert });
  });
}

/** Whether a file is there, whole, and was made from the one with this hash. */
async function isFrom(path: string, sha256: string): Promise<boolean> {
  try {
    using file = await openWeights(await fileSource(path));
    return file.metadata.get("source_sha256") === sha256;
  } catch (error) {
    if (error instanceof FileError) return false;
    throw error;
  }
}

/** Says of an error of the system that it is the cache's. */
async function writing<T>(folder: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const ended = error instanceof DOMException; // has a code, too
    const denied = error instanceof Deno.errors.NotCapable;
    if (ended || denied || !(error instanceof Error && "code" in error)) throw error;
    const reason = error.message.replace(/ \(os error \d+\).*/s, "").toLowerCase();
    const way = "PEMBROKE_CACHE names another folder";
    throw new FileError(folder, `the cache cannot be written: ${reason}; ${way}`, { cause: error });
  }
}
