/** What the command finds in the cache. */

import { type CachedModel, cachedModels, cacheFolder, cacheVariables } from "../hub/cache.ts";
import { PembrokeError } from "../errors.ts";
import { isSystemError } from "./errors.ts";

/** The folder of the cache; throws if the environment names none. */
export function cacheOf(): string {
  const folder = cacheFolder();
  if (folder !== undefined) return folder;
  throw new PembrokeError("no folder for the cache: set PEMBROKE_CACHE to one");
}

/**
 * The models of a name in the cache, the last one pulled first; undefined where it may not look. Nobody
 * who wants the bundled model has to grant a permission for this, or to mend a cache.
 */
export async function findCached(name: string): Promise<CachedModel[] | undefined> {
  const readable = cacheVariables.filter((variable) => granted({ name: "env", variable }));
  const folder = cacheFolder((variable) =>
    readable.some((name) => name === variable) ? Deno.env.get(variable) : undefined
  );
  const looks = folder !== undefined && granted({ name: "read", path: folder });
  const models = looks ? await listed(folder, name) : [];
  const sawAll = readable.length === cacheVariables.length && (looks || folder === undefined);
  return models.length > 0 || sawAll ? models : undefined;
}

async function listed(folder: string, name: string): Promise<CachedModel[]> {
  try {
    return await cachedModels(folder, name);
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}

function granted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}
