/**
 * Downloads weights without being asked to. It asks for no permissions, does not let the user wait
 * for a server that does not answer, and remembers for a day that it failed.
 */

import { FileError } from "../errors.ts";
import { type CatalogueEntry, urlOf } from "../hub/catalogue.ts";
import { mirrorFromEnv } from "./cache.ts";
import type { Cache } from "./cache.ts";
import { isPermissionError, missingFlags, needs } from "./errors.ts";
import { withSignalCleanup } from "./interrupts.ts";
import { Progress } from "./progress.ts";
import { note } from "./terminal.ts";

/** Milliseconds between two bytes. */
const stallMs = 5000;

/** Milliseconds from a failed download to the next attempt: a day. */
const retryMs = 24 * 60 * 60 * 1000;

/** Options of {@linkcode downloadOnce}. */
export interface DownloadOptions {
  readonly quiet: boolean;
  /** Milliseconds until the first byte. Default: 2000. */
  readonly firstByteMs?: number;
}

/**
 * Downloads weights into the cache.
 *
 * @returns The path of the file, or why there is none.
 * @throws {UsageError} When the address of the mirror is invalid.
 */
export async function downloadOnce(
  entry: CatalogueEntry,
  { folder }: Pick<Cache, "folder">,
  { quiet, firstByteMs = 2000 }: DownloadOptions,
): Promise<{ readonly path: string } | { readonly reason: string }> {
  if (folder === undefined) return { reason: "no cache folder: set PEMBROKE_CACHE" };
  const url = urlOf(entry, mirrorFromEnv()), { host } = new URL(url);
  const missing = missingFlags([{ name: "write", path: folder }, { name: "net", host }]);
  if (missing.length > 0) return { reason: `not downloaded: ${needs(missing)}` };
  const failed = `${folder}/.${entry.name}.pembroke-failed`;
  if (await isRecent(failed)) {
    return { reason: "not downloaded: the last attempt failed less than a day ago" };
  }
  // not earlier: it loads the readers and networks of all formats
  const { pull } = await import("../hub/pull.ts");
  const abort = new AbortController();
  const timer = setTimeout(() => {
    abort.abort(new FileError(url, `no data received for ${firstByteMs / 1000} s`));
  }, firstByteMs);
  const progress = new Progress(`downloading ${entry.name}`, !quiet);
  let waited = false;
  try {
    const { path } = await withSignalCleanup(() =>
      pull(entry, folder, {
        url,
        signal: abort.signal,
        stallMs,
        retries: 0,
        onProgress(done, total) {
          clearTimeout(timer);
          progress.update(done, total, "MB");
        },
        onWait: () => waited = true,
      })
    );
    progress.clear();
    if (!quiet) note(`downloaded ${entry.name} from ${url}`);
    return { path };
  } catch (error) {
    if (!(error instanceof FileError || isPermissionError(error))) throw error;
    if (!waited) await remember(failed); // another process may still succeed
    const message = error instanceof FileError ? error.reason : error.message;
    return { reason: `download failed: ${message.split(";")[0]}` };
  } finally {
    clearTimeout(timer);
    progress.clear();
  }
}

/** Whether a file was written less than a day ago. */
async function isRecent(path: string): Promise<boolean> {
  const { mtime } = await Deno.stat(path).catch(() => undefined) ?? {};
  return mtime != null && Math.abs(Date.now() - Number(mtime)) < retryMs;
}

/** Writes a file that stands for a failed download, unless the folder cannot be written to. */
async function remember(path: string): Promise<void> {
  try {
    await Deno.remove(path).catch(() => {}); // it may be a link
    const text = "# pembroke could not download a model, and tries again after a day\n";
    await Deno.writeTextFile(path, text, { createNew: true });
  } catch {
    // the next run tries again
  }
}
