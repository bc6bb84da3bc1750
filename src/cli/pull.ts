/** `cli.ts pull`: published weights, downloaded into the cache. */

import { catalogue, findCatalogueEntry } from "../hub/catalogue.ts";
import { pull } from "../hub/pull.ts";
import type { PullArgs } from "./args_weights.ts";
import { cacheOf } from "./cache.ts";
import { UsageError } from "./errors.ts";
import { megabytes } from "./output.ts";
import { Progress } from "./progress.ts";
import { note, print, warn } from "./terminal.ts";

export async function pullModel(args: PullArgs): Promise<number> {
  const { name, quiet, url, precision } = args;
  const entry = findCatalogueEntry(name);
  if (!entry) {
    const names = catalogue.map(({ name }) => name).join(", ");
    throw new UsageError(`nothing is known of ${JSON.stringify(name)}; pull takes ${names}`);
  }
  const folder = cacheOf();
  if (!quiet) [entry.title, url ?? entry.url, entry.terms].forEach(note);
  const downloading = new Progress("downloading", !quiet);
  const converting = new Progress("converting", !quiet);
  const clear = () => [downloading, converting].forEach((progress) => progress.clear());
  const say = (line: string) => {
    clear();
    if (!quiet) warn(line);
  };
  try {
    const { path, cached } = await pull(entry, folder, {
      ...args,
      onProgress: (done, total) => downloading.update(done, total, "MB"),
      onConvert: (done, total) => {
        downloading.clear();
        converting.update(done, total);
      },
      onRetry: (reason) => say(`${reason}; trying again`),
      onWait: () => say(`${name} is being pulled already; waiting for that`),
    });
    clear();
    const { size } = await Deno.stat(path);
    const there = cached ? ", which was there already" : "";
    if (!quiet) print(`${name} ${precision}, ${megabytes(size)}: ${path}${there}`);
    return 0;
  } finally {
    clear();
  }
}
