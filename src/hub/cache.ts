/**
 * The cache of downloaded models.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import { lockPathOf, withLock } from "../io/lock.ts";
import { temporarySuffix } from "../io/write_file.ts";
import { type StoredPrecision, storedPrecisions } from "../weights/stored.ts";

/** A model in the cache. */
export interface CachedModel {
  /** Its name in the catalogue. */
  readonly name: string;
  /** The precision of its weights. */
  readonly precision: StoredPrecision;
  /** The path of the file. */
  readonly path: string;
  /** The size of the file in bytes. */
  readonly bytes: number;
  /** When the file was written. */
  readonly time: Date;
}

/** The environment variables that determine the folder of the cache, on all systems. */
export const cacheVariables = [
  "PEMBROKE_CACHE",
  "XDG_CACHE_HOME",
  "LOCALAPPDATA",
  "HOME",
] as const;

/**
 * The folder of the cache: PEMBROKE_CACHE, or the cache folder of the system. It may not exist yet.
 * Undefined if no environment variable determines it.
 *
 * @param env Reads an environment variable.
 * @param os The operating system.
 *
 * @example
 * ```ts
 * import { cacheFolder } from "./mod.ts";
 *
 * const folder = cacheFolder((name) => name === "HOME" ? "/home/ada" : undefined, "linux");
 * console.log(folder); // /home/ada/.cache/pembroke
 * ```
 */
export function cacheFolder(
  env: (name: string) => string | undefined = Deno.env.get,
  os: typeof Deno.build.os = Deno.build.os,
): string | undefined {
  const own = env("PEMBROKE_CACHE");
  if (own) return own;
  const [base, ...below] = os === "windows"
    ? [env("LOCALAPPDATA"), "pembroke"]
    : os === "darwin"
    ? [env("HOME"), "Library", "Caches", "pembroke"]
    : env("XDG_CACHE_HOME")?.startsWith("/") // its specification says to ignore relative paths
    ? [env("XDG_CACHE_HOME"), "pembroke"]
    : [env("HOME"), ".cache", "pembroke"];
  return base ? [base, ...below].join(os === "windows" ? "\\" : "/") : undefined;
}

/**
 * The path of a model in the cache, whether the file exists or not.
 *
 * @param folder The cache.
 * @param name The model's name in the catalogue.
 * @param precision The precision of its weights.
 *
 * @example
 * ```ts
 * import { modelPath } from "./mod.ts";
 *
 * console.log(modelPath("/cache", "alexnet", "int8")); // /cache/alexnet-int8.safetensors
 * ```
 */
export function modelPath(folder: string, name: string, precision: StoredPrecision): string {
  return `${folder}/${name}-${precision}.safetensors`;
}

/**
 * Lists the models in a cache, newest first.
 *
 * @param folder The cache. A folder that does not exist counts as empty.
 * @param name The model to list, in all precisions. Default: all models.
 *
 * @example
 * ```ts
 * import { cachedModels, cacheFolder } from "./mod.ts";
 *
 * const folder = cacheFolder();
 * for (const { name, precision, bytes } of folder ? await cachedModels(folder) : []) {
 *   console.log(name, precision, bytes);
 * }
 * ```
 */
export async function cachedModels(folder: string, name?: string): Promise<CachedModel[]> {
  const models: CachedModel[] = [];
  for (const fileName of await fileNames(folder)) {
    const [, model, suffix] = /^(.+)-(\w+)\.safetensors$/.exec(fileName) ?? [];
    const precision = storedPrecisions.find((precision) => precision === suffix);
    if (!precision || model !== (name ?? model)) continue;
    const path = modelPath(folder, model, precision);
    const info = await Deno.stat(path).catch(() => undefined); // deleted, or a broken link
    if (!info?.isFile) continue;
    const { size, mtime } = info;
    models.push({ name: model, precision, path, bytes: size, time: mtime ?? new Date(0) });
  }
  return models.sort((a, b) => Number(b.time) - Number(a.time) || (a.path < b.path ? -1 : 1));
}

/**
 * Deletes all files of a model, including interrupted downloads.
 *
 * @param folder The cache.
 * @param name The model's name in the catalogue.
 * @returns The paths of the deleted files.
 * @throws {PembrokeError} When the model is being downloaded.
 *
 * @example
 * ```ts
 * import { removeCached } from "./mod.ts";
 *
 * const folder = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${folder}/alexnet-f16.safetensors`, "");
 * console.log(await removeCached(folder, "alexnet")); // [ "…/alexnet-f16.safetensors" ]
 * await Deno.remove(folder);
 * ```
 */
export async function removeCached(folder: string, name: string): Promise<string[]> {
  const files = (await fileNames(folder)).filter((fileName) => belongsTo(name, fileName));
  if (files.length === 0) return [];
  return await withLock(lockPath(folder, name), async () => {
    const paths = files.map((fileName) => `${folder}/${fileName}`);
    for (const path of paths) await Deno.remove(path);
    return paths;
  }, {
    onWait: () => {
      throw new PembrokeError(`${name} is being downloaded: wait for that, or stop it first`);
    },
  });
}

/** Deletes the temporary files of killed processes. The caller must hold the model's lock. */
export async function removeTemporary(folder: string, name: string): Promise<void> {
  for (const fileName of await fileNames(folder)) {
    if (belongsTo(name, fileName) && fileName.endsWith(".tmp")) {
      await Deno.remove(`${folder}/${fileName}`);
    }
  }
}

/** The path of a model's lock file, which a process holds while it downloads the model. */
export function lockPath(folder: string, name: string): string {
  return lockPathOf(`${folder}/${name}`);
}

/** Whether a file belongs to a model: its weights, complete or temporary, or a partial download. */
function belongsTo(name: string, fileName: string): boolean {
  if (!fileName.startsWith(`${name}-`)) return false;
  const weights = `(${storedPrecisions.join("|")})\\.safetensors(${temporarySuffix.source})?`;
  return new RegExp(`^(${weights}|[\\da-f]{1,64}\\.part)$`).test(fileName.slice(name.length + 1));
}

/** The names of the files in a folder, sorted. There are none if the folder does not exist. */
async function fileNames(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return [];
    }
    throw error;
  }
}
