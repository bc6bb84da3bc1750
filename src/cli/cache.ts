/** Looks up models in the user's cache. */

import { type CachedModel, cachedModels, cacheFolder, cacheVariables } from "../hub/cache.ts";
import { PembrokeError } from "../errors.ts";
import { isSystemError } from "./errors.ts";

/** The cache folder; throws if the environment does not define one. */
export function requireCacheFolder(): string {
  const folder = cacheFolder();
  if (folder !== undefined) return folder;
  throw new PembrokeError("no cache folder: set PEMBROKE_CACHE");
}

/**
 * The cached models with a name, the last one pulled first; undefined if permissions are missing. It
 * asks for none, and ignores a broken cache: the bundled model works without.
 */
export async function findCached(name: string): Promise<CachedModel[] | undefined> {
  const readable = cacheVariables.filter((variable) => isGranted({ name: "env", variable }));
  const folder = cacheFolder((variable) =>
    readable.some((name) => name === variable) ? Deno.env.get(variable) : undefined
  );
  const searched = folder !== undefined && isGranted({ name: "read", path: folder });
  const models = searched ? await cachedOrNone(folder, name) : [];
  const complete = readable.length === cacheVariables.length &&
    (searched || folder === undefined);
  return models.length > 0 || complete ? models : undefined;
}

async function cachedOrNone(folder: string, name: string): Promise<CachedModel[]> {
  try {
    return await cachedModels(folder, name);
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}

function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}
