/** What the command finds in the cache. */

import { type CachedModel, cachedModels, cacheFolder, cacheVariables } from "../hub/cache.ts";
import { PembrokeError } from "../errors.ts";

/** The folder of the cache; throws if the environment names none. */
export function cacheOf(): string {
  const folder = cacheFolder();
  if (folder !== undefined) return folder;
  throw new PembrokeError("no folder for the cache: set PEMBROKE_CACHE to one");
}

/**
 * The models of a name in the cache, the last one pulled first. Looks only where it may: nobody who
 * wants the bundled model has to grant a permission for this.
 */
export async function findCached(name: string): Promise<CachedModel[]> {
  const readable = cacheVariables.filter((variable) => granted({ name: "env", variable }));
  const folder = cacheFolder((variable) =>
    readable.some((name) => name === variable) ? Deno.env.get(variable) : undefined
  );
  if (folder === undefined || !granted({ name: "read", path: folder })) return [];
  return await cachedModels(folder, name);
}

function granted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}
