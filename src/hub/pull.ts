/**
 * Downloads published weights, and converts them to a file in the cache.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { Lock, withLock } from "../io/lock.ts";
import { isSystemError, systemReason } from "../io/system_error.ts";
import { replaceFile } from "../io/write_file.ts";
import { checkOptions, checkSignal } from "../options.ts";
import { parameterShapes } from "../layers/parameter.ts";
import { createModel } from "../models/registry.ts";
import { describe } from "../models/description.ts";
import { preprocessingOf } from "../models/recognize.ts";
import { checkWeights } from "../weights/check.ts";
import { convertWeights } from "../weights/convert.ts";
import { checksumKey, type StoredPrecision, storedPrecisions } from "../weights/stored.ts";
import { openWeights } from "../weights/open.ts";
import { fileSource } from "../weights/io/file_source.ts";
import { redactUrl } from "../io/redact.ts";
import { lockPath, modelPath, removeTemporary } from "./cache.ts";
import { type CatalogueEntry, urlOf } from "./catalogue.ts";
import { emptyChecksum, verify, writeChecksum } from "./checksum.ts";
import type { FileDigest } from "./digest.ts";
import { fetchFile, type FetchFileOptions } from "./fetch_file.ts";

/** Options of {@linkcode pull}. */
export interface PullOptions extends
  Pick<
    FetchFileOptions,
    "signal" | "stallMs" | "retries" | "backoffMs" | "onProgress" | "onRetry"
  > {
  /** The precision of the stored weights. Default: "f16". */
  readonly precision?: StoredPrecision;
  /** Another address of the same file. */
  readonly url?: string;
  /** The address of a folder that has the same file, instead of `url`. */
  readonly mirror?: string;
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

/** The names of {@linkcode PullOptions}. */
const optionNames = [
  "precision",
  "url",
  "mirror",
  "sha256",
  "onConvert",
  "onWait",
  "signal",
  "stallMs",
  "retries",
  "backoffMs",
  "onProgress",
  "onRetry",
] as const;

/** The most bytes of an entry whose size is unknown: 1 GiB. The largest file has 575 MB. */
const maxEntryBytes = 2 ** 30;

/**
 * Downloads published weights, verifies them, and stores them in the cache. Interrupted downloads
 * resume. Needs Deno, with permission to read and write the folder and to connect to the server.
 *
 * The cached file is safetensors, whatever the format of the download, so that it has a checksum
 * and describes its network. SqueezeNet then takes 2.6 MB instead of 0.7, but loads no slower. The
 * file is written atomically.
 *
 * @param entry The weights to download.
 * @param folder The cache, created if necessary.
 * @param options The precision, another address, and callbacks.
 * @throws {FileError} When the weights cannot be downloaded, verified or written.
 * @throws {ArgumentError} When the precision or an option is unknown, or `sha256` is not a whole
 * hash.
 *
 * @example
 * ```ts ignore
 * import { cacheFolder, findCatalogueEntry, pull } from "./mod.ts";
 *
 * const entry = findCatalogueEntry("squeezenet")!;
 * const { path, cached } = await pull(entry, cacheFolder()!, { precision: "int8" });
 * console.log(cached ? "already in the cache:" : "downloaded:", path);
 * ```
 */
export async function pull(
  entry: CatalogueEntry,
  folder: string,
  options: PullOptions = {},
): Promise<PullResult> {
  checkOptions("pull", options, optionNames);
  const { precision = "f16", url = urlOf(entry, options.mirror), signal, onWait } = options;
  checkSignal("pull", signal);
  if (!storedPrecisions.includes(precision)) {
    throw new ArgumentError("pull", "precision", precision, storedPrecisions.join(" or "));
  }
  const { digest, ...limits } = expectedFile(entry, options);
  const path = modelPath(folder, entry.name, precision);
  const download = `${folder}/${entry.name}-${digest.digits.slice(0, 16)}.part`;
  const onDamage = () => options.onRetry?.("the cached file is damaged");
  if (await wasMadeFrom(digest, path, onDamage)) {
    // In a read-only cache, leftovers stay.
    await removeLeftovers(path, download, lockPath(folder, entry.name)).catch(() => {});
    return { path, cached: true };
  }
  return await withCacheErrors(folder, signal, async () => {
    await Deno.mkdir(folder, { recursive: true });
    return await withLock(lockPath(folder, entry.name), async () => {
      await removeTemporary(folder, entry.name);
      if (await wasMadeFrom(digest, path)) return { path, cached: true };
      const digits = await fetchFile(url, download, { ...options, ...limits, digest });
      const origin = { source: redactUrl(url), [digestKeys[digest.kind]]: digits };
      try {
        await convert(entry, origin, download, path, precision, options);
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

/** The metadata keys that hold the hash of the download. */
const digestKeys = { sha256: "source_sha256", gitBlob: "source_git_blob" } as const;

/** The hash of the file to download, and its size or the most that it may have. */
function expectedFile(
  { sha256 = "", gitBlob, bytes }: CatalogueEntry,
  options: PullOptions,
): Pick<FetchFileOptions, "digest" | "bytes" | "maxBytes"> {
  if (options.sha256 !== undefined && !/^[\da-f]{64}$/i.test(options.sha256)) {
    throw new ArgumentError("pull", "sha256", options.sha256, "64 hexadecimal digits");
  }
  const other = options.sha256?.toLowerCase(), own = sha256.toLowerCase();
  if (other !== undefined && (own === "" || !other.startsWith(own))) {
    return { digest: { kind: "sha256", digits: other } };
  }
  const digest: FileDigest = gitBlob === undefined || other !== undefined
    ? { kind: "sha256", digits: other ?? own }
    : { kind: "gitBlob", digits: gitBlob.toLowerCase() };
  return { digest, bytes, maxBytes: maxEntryBytes };
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

/** Converts a download to safetensors, with a description of the model and of its origin. */
async function convert(
  { architecture, classes, preprocessing, terms }: CatalogueEntry,
  origin: Readonly<Record<string, string>>,
  from: string,
  to: string,
  precision: StoredPrecision,
  { signal, onConvert }: PullOptions,
): Promise<void> {
  using file = await openWeights(await fileSource(from));
  using model = createModel(architecture, {
    classes,
    preprocessing: preprocessing ?? preprocessingOf(file),
  });
  const weights = model.mapWeights(file);
  checkWeights(weights, parameterShapes(model), model.type);
  const metadata = {
    ...describe({ architecture, classes, preprocessing: model.preprocessing }),
    ...origin,
    terms,
    [checksumKey]: emptyChecksum,
  };
  await replaceFile(to, async (sink) => {
    await convertWeights(weights, sink, { precision, metadata, signal, onProgress: onConvert });
  }, writeChecksum);
}

/** Whether a file exists, is undamaged, and was converted from the download with this hash. */
async function wasMadeFrom(
  { kind, digits }: FileDigest,
  path: string,
  onDamage: () => void = () => {},
): Promise<boolean> {
  let exists = false;
  try {
    const source = await fileSource(path);
    exists = true;
    using file = await openWeights(source);
    if (!file.metadata.get(digestKeys[kind])?.startsWith(digits)) return false;
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

/** Replaces errors of the operating system by ones that name the cache. */
async function withCacheErrors<T>(
  folder: string,
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const aborted = signal?.aborted && error === signal.reason; // a reason may have a code, too
    const denied = error instanceof Deno.errors.NotCapable;
    if (aborted || denied || !isSystemError(error)) throw error;
    const reason = systemReason((error as Error).message);
    const hint = "set PEMBROKE_CACHE to use another folder";
    throw new FileError(folder, `cannot write to the cache: ${reason}; ${hint}`, { cause: error });
  }
}
