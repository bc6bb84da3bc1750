/** Looks up models in the user's cache. */

import { type CachedModel, cachedModels, cacheFolder, cacheVariables } from "../hub/cache.ts";
import { PembrokeError } from "../errors.ts";
import { isSystemError } from "../io/system_error.ts";
import { envIfGranted, isGranted } from "./errors.ts";

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
  /** Whether no permission was missing to find more. */
  readonly complete: boolean;
}

/**
 * Searches the cache. It asks for no permissions, and ignores a broken cache: the bundled model
 * works without.
 */
export async function searchCache(): Promise<Cache> {
  const folder = cacheFolder(envIfGranted);
  const searched = folder !== undefined && isGranted({ name: "read", path: folder });
  const models = searched ? await cachedOrNone(folder) : [];
  const complete = (searched || folder === undefined) &&
    cacheVariables.every((variable) => isGranted({ name: "env", variable }));
  return { folder, models, complete };
}

async function cachedOrNone(folder: string): Promise<CachedModel[]> {
  try {
    return await cachedModels(folder);
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}
