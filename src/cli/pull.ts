/** `cli.ts pull`: downloads published weights into the cache. */

import { catalogue, findCatalogueEntry, urlOf } from "../hub/catalogue.ts";
import { pull } from "../hub/pull.ts";
import { similarNames } from "../models/registry.ts";
import type { PullArgs } from "./args_weights.ts";
import { mirrorFromEnv, requireCacheFolder } from "./cache.ts";
import { UsageError } from "./errors.ts";
import { withSignalCleanupWhenBusy } from "./interrupts.ts";
import { megabytes } from "./output.ts";
import { Progress } from "./progress.ts";
import { note, print, warn } from "./terminal.ts";

/** Downloads, verifies and converts a model, and returns the exit code. */
export async function pullModel(args: PullArgs): Promise<number> {
  const { command: _, name, quiet, ...options } = args;
  const entry = findCatalogueEntry(name);
  if (!entry) {
    const names = catalogue.map(({ name }) => name), similar = similarNames(name, names);
    const hint = similar.length > 0
      ? `similar: ${similar.join(", ")}`
      : `available: ${names.join(", ")}`;
    throw new UsageError(`unknown model ${JSON.stringify(name)}; ${hint}`);
  }
  const folder = requireCacheFolder(), { url = urlOf(entry, mirrorFromEnv()) } = args;
  if (!quiet) [entry.title, url, entry.terms].forEach(note);
  const downloading = new Progress("downloading", !quiet);
  const converting = new Progress("converting", !quiet);
  const clear = () => [downloading, converting].forEach((progress) => progress.clear());
  const warnAbove = (line: string) => {
    clear();
    if (!quiet) warn(line);
  };
  try {
    const { path, cached } = await withSignalCleanupWhenBusy((onCreated) =>
      pull(entry, folder, {
        ...options,
        url,
        onProgress: (done, total) => downloading.update(done, total, "MB"),
        onConvert: (done, total) => {
          onCreated();
          downloading.clear();
          converting.update(done, total);
        },
        onRetry: (reason) => warnAbove(`${reason}; retrying`),
        onWait: () => warnAbove(`waiting for another pull of ${name}`),
      })
    );
    clear();
    const { size } = await Deno.stat(path);
    const note = cached ? " (already in the cache)" : "";
    if (!quiet) print(`${name} ${options.precision}, ${megabytes(size)}: ${path}${note}`);
    return 0;
  } finally {
    clear();
  }
}
