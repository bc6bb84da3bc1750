/**
 * Downloads published weights, and converts them to a file in the cache.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { Lock, withLock } from "../io/lock.ts";
import { writeFile } from "../io/write_file.ts";
import { parameterShapes } from "../layers/layer.ts";
import { createModel } from "../models/registry.ts";
import { describe } from "../models/description.ts";
import { checkWeights } from "../weights/check.ts";
import { convertWeights, type StoredPrecision } from "../weights/convert.ts";
import { openWeights } from "../weights/open.ts";
import { fileSource } from "../weights/io/file_source.ts";
import { redactUrl } from "../io/redact.ts";
import { lockPath, modelPath, removeTemporary } from "./cache.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import { checksumKey, emptyChecksum, verify, writeChecksum } from "./checksum.ts";
import { fetchFile, type FetchFileOptions } from "./fetch_file.ts";

/** Options of {@linkcode pull}. */
export interface PullOptions extends
  Pick<
    FetchFileOptions,
    "signal" | "stallMs" | "retries" | "backoffMs" | "onProgress" | "onRetry"
  > {
  /** The precision of the stored weights. Default "f16". */
  readonly precision?: StoredPrecision;
  /** Another address of the same file. */
  readonly url?: string;
  /** The SHA-256 of another file, to store under the entry's name. */
  readonly sha256?: string;
  /** Called while the weights are converted, with the number of elements so far and in total. */
  readonly onConvert?: (done: number, total: number) => void;
  /** Called before waiting for another process that downloads the same model. */
  readonly onWait?: () => void;
}

/** The result of {@linkcode pull}. */
export interface PullResult {
  /** The path of the file. */
  readonly path: string;
  /** Whether the file was already in the cache. */
  readonly cached: boolean;
}

/**
 * Downloads published weights, verifies them, and stores them in the cache as a safetensors file,
 * which is written atomically. Interrupted downloads resume. Needs Deno, with permission to read
 * and write the folder and to connect to the server.
 *
 * @param entry The weights to download.
 * @param folder The cache, created if necessary.
 * @param options The precision, another address, and callbacks.
 * @throws {FileError} When the weights cannot be downloaded, verified or written.
 */
export async function pull(
  entry: CatalogueEntry,
  folder: string,
  options: PullOptions = {},
): Promise<PullResult> {
  const { precision = "f16", url = entry.url, signal, onWait } = options;
  const sha256 = (options.sha256 ?? entry.sha256).toLowerCase();
  const bytes = sha256 === entry.sha256.toLowerCase() ? entry.bytes : undefined;
  const path = modelPath(folder, entry.name, precision);
  const download = `${folder}/${entry.name}-${sha256.slice(0, 16)}.part`;
  const onDamage = () => options.onRetry?.("the cached file is damaged");
  if (await wasMadeFrom(sha256, path, onDamage)) {
    // The cache may be read-only.
    await removeLeftovers(path, download, lockPath(folder, entry.name)).catch(() => {});
    return { path, cached: true };
  }
  return await withCacheErrors(folder, async () => {
    await Deno.mkdir(folder, { recursive: true });
    return await withLock(lockPath(folder, entry.name), async () => {
      await removeTemporary(folder, entry.name);
      if (await wasMadeFrom(sha256, path)) return { path, cached: true };
      await fetchFile(url, download, { ...options, sha256, bytes });
      try {
        await convert(entry, url, sha256, download, path, precision, options);
      } catch (error) {
        // It would fail the same way the next time, or the disk is full.
        if (!signal?.aborted) await Deno.remove(download).catch(() => {});
        throw error;
      }
      await Deno.remove(download).catch(ignoreMissing);
      return { path, cached: false };
    }, { onWait, signal });
  });
}

/**
 * Deletes the lock file and the download of a cached file, which remain if the process was killed
 * at the very end. A newer download belongs to a pull in another precision, which will resume it.
 */
async function removeLeftovers(path: string, download: string, lockFile: string): Promise<void> {
  const time = async (file: string) => (await Deno.stat(file).catch(() => undefined))?.mtime;
  const [modelTime, downloadTime, lockTime] = await Promise.all(
    [path, download, lockFile].map(time),
  );
  const isOld = modelTime && downloadTime && downloadTime <= modelTime;
  if (!isOld && !lockTime) return;
  using lock = await Lock.tryAcquire(lockFile); // releasing the lock deletes its file
  if (lock && isOld) await Deno.remove(download);
}

/** Converts a downloaded file to safetensors with a description of the model. */
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
    source: redactUrl(url),
    source_sha256: sha256,
    terms,
    [checksumKey]: emptyChecksum,
  };
  await writeFile(to, async (sink) => {
    await convertWeights(file, sink, { precision, metadata, signal, onProgress: onConvert });
  }, writeChecksum);
}

/** Whether a file exists, is undamaged, and was converted from the download with this hash. */
async function wasMadeFrom(
  sha256: string,
  path: string,
  onDamage: () => void = () => {},
): Promise<boolean> {
  let exists = false;
  try {
    const source = await fileSource(path);
    exists = true;
    using file = await openWeights(source);
    if (file.metadata.get("source_sha256") !== sha256) return false;
    await verify(source);
    return true;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    if (exists) onDamage();
    return false;
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** Turns errors of the operating system into errors that name the cache. */
async function withCacheErrors<T>(folder: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const aborted = error instanceof DOMException; // has a code, too
    const denied = error instanceof Deno.errors.NotCapable;
    if (aborted || denied || !(error instanceof Error && "code" in error)) throw error;
    const reason = error.message.replace(/ \(os error \d+\).*/s, "").toLowerCase();
    const hint = "set PEMBROKE_CACHE to use another folder";
    throw new FileError(folder, `cannot write to the cache: ${reason}; ${hint}`, { cause: error });
  }
}
