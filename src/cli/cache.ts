/** Where models come from: the user's cache, and a mirror. */

import { type CachedModel, cachedModels, cacheFolder, cacheVariables } from "../hub/cache.ts";
import { PembrokeError } from "../errors.ts";
import { isSystemError } from "../io/system_error.ts";
import { invalidValue } from "./choices.ts";
import { envIfGranted, isGranted, missingFlags } from "./errors.ts";
import { isWebUrl } from "./inputs.ts";

/** The cache folder; throws if the environment does not define one. */
export function requireCacheFolder(): string {
  const folder = cacheFolder();
  if (folder !== undefined) return folder;
  throw new PembrokeError("no cache folder: set PEMBROKE_CACHE");
}

/** What could be found out about the cache without asking for permissions. */
export interface Cache {
  /** The folder; undefined if the environment does not define one, or may not be read. */
  readonly folder: string | undefined;
  /** Its models, the last one pulled first. */
  readonly models: readonly CachedModel[];
  /** The flags that grant what is missing to find more. */
  readonly missing: readonly string[];
}

/**
 * Searches the cache. It asks for no permissions, and ignores a broken cache: the bundled model
 * works without.
 */
export async function searchCache(): Promise<Cache> {
  const folder = cacheFolder(envIfGranted);
  const env = cacheVariables.map((variable) => ({ name: "env", variable }) as const);
  const missing = missingFlags(env);
  // without the folder's name, the permission to read it may be missing, too
  if (folder !== undefined || missing.length > 0) {
    missing.push(...missingFlags([{ name: "read", path: folder }]));
  }
  const isReadable = folder !== undefined && isGranted({ name: "read", path: folder });
  return { folder, models: isReadable ? await cachedOrNone(folder) : [], missing };
}

async function cachedOrNone(folder: string): Promise<CachedModel[]> {
  try {
    return await cachedModels(folder);
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}

/** The environment variable with the address of a mirror. */
export const mirrorVariable = "PEMBROKE_MIRROR";

/**
 * The address in PEMBROKE_MIRROR; undefined if there is none, or the permission to read it is
 * missing.
 *
 * @throws {UsageError} When it is no URL.
 */
export function mirrorFromEnv(): string | undefined {
  const url = envIfGranted(mirrorVariable);
  if (!url) return undefined;
  if (isWebUrl(url)) return url;
  throw invalidValue(mirrorVariable, url, "be an http or https URL");
}
