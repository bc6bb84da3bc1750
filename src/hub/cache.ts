/**
 * Where pulled weights are kept.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import { withLock } from "../io/lock.ts";
import { type StoredPrecision, storedPrecisions } from "../weights/convert.ts";

/** A model in the cache. */
export interface CachedModel {
  /** What the catalogue calls it. */
  readonly name: string;
  /** How its weights are stored. */
  readonly precision: StoredPrecision;
  /** The file. */
  readonly path: string;
  /** Its size. */
  readonly bytes: number;
  /** When it was pulled. */
  readonly time: Date;
}

/** The variables that say where the cache is, on any system. */
export const cacheVariables = [
  "PEMBROKE_CACHE",
  "XDG_CACHE_HOME",
  "LOCALAPPDATA",
  "HOME",
] as const;

/**
 * The folder of the cache: PEMBROKE_CACHE, or where the system keeps such things. It need not exist.
 * Undefined where the environment says nothing of either.
 *
 * @param env Reads a variable of the environment.
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
    : env("XDG_CACHE_HOME")?.startsWith("/") // a relative one is to be ignored, its standard says
    ? [env("XDG_CACHE_HOME"), "pembroke"]
    : [env("HOME"), ".cache", "pembroke"];
  return base ? [base, ...below].join(os === "windows" ? "\\" : "/") : undefined;
}

/** Where a model is, or would be. */
export function modelPath(folder: string, name: string, precision: StoredPrecision): string {
  return `${folder}/${name}-${precision}.safetensors`;
}

/** The models in a cache, the last one pulled first; those of one name only, if it is given. */
export async function cachedModels(folder: string, name?: string): Promise<CachedModel[]> {
  const models: CachedModel[] = [];
  for (const entry of await names(folder)) {
    const [, found, said] = /^(.+)-(\w+)\.safetensors$/.exec(entry) ?? [];
    const precision = storedPrecisions.find((precision) => precision === said);
    if (!precision || found !== (name ?? found)) continue;
    const path = modelPath(folder, found, precision);
    const info = await Deno.stat(path).catch(() => undefined); // gone by now, or a link to nothing
    if (!info?.isFile) continue;
    const { size, mtime } = info;
    models.push({ name: found, precision, path, bytes: size, time: mtime ?? new Date(0) });
  }
  return models.sort((a, b) => Number(b.time) - Number(a.time) || (a.path < b.path ? -1 : 1));
}

/**
 * Deletes all that is kept of a model, downloads that broke off too; returns the paths.
 *
 * @throws {PembrokeError} While it is being pulled.
 */
export async function removeCached(folder: string, name: string): Promise<string[]> {
  const kept = (await names(folder)).filter((entry) => belongs(entry, name));
  if (kept.length === 0) return [];
  return await withLock(lockPath(folder, name), async () => {
    const paths = kept.map((entry) => `${folder}/${entry}`);
    for (const path of paths) await Deno.remove(path);
    return paths;
  }, {
    onWait: () => {
      throw new PembrokeError(`${name} is being pulled; end that first`);
    },
  });
}

/** Deletes what pulls that were killed left unfinished; for whoever has the lock. */
export async function removeUnfinished(folder: string, name: string): Promise<void> {
  for (const entry of await names(folder)) {
    if (belongs(entry, name) && entry.endsWith(".tmp")) await Deno.remove(`${folder}/${entry}`);
  }
}

/** The file that two pulls of a model compete for. */
export function lockPath(folder: string, name: string): string {
  return `${folder}/${name}.lock`;
}

/** Whether a file in the cache is a model's: stored, half stored, or half downloaded. */
function belongs(entry: string, name: string): boolean {
  if (!entry.startsWith(`${name}-`)) return false;
  const stored = `(${storedPrecisions.join("|")})\\.safetensors(\\.[\\da-f]{8}\\.tmp)?`;
  return new RegExp(`^(${stored}|[\\da-f]{1,64}\\.part)$`).test(entry.slice(name.length + 1));
}

async function names(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return [];
    }
    throw error;
  }
}
