/** `cli.ts models` and `cli.ts rm`: lists models, and deletes cached ones. */

import { fileURLToPath } from "node:url";
import { catalogue, findCatalogueEntry, urlOf } from "../hub/catalogue.ts";
import { contentLength, request } from "../io/download.ts";
import { FileError, PembrokeError } from "../errors.ts";
import { type CachedModel, cachedModels, cacheFolder, removeCached } from "../hub/cache.ts";
import {
  bundledNetwork,
  bundledWeights,
  isShipped,
  type ShippedNetwork,
  shippedNetworks,
} from "../models/bundled.ts";
import { readDescription } from "../models/description.ts";
import { openInput, storedPrecision } from "../models/load.ts";
import { fileSource } from "../weights/io/file_source.ts";
import { verify } from "../hub/checksum.ts";
import type { ModelsArgs, RemoveArgs } from "./args_weights.ts";
import { mirrorFromEnv, requireCacheFolder } from "./cache.ts";
import { bestCached } from "./chosen_weights.ts";
import { asFileError } from "./errors.ts";
import { megabytes } from "./output.ts";
import { tableOf } from "./table.ts";
import { columnsForResults, note, print } from "./terminal.ts";

/** A bundled, cached or downloadable model, as `--json` prints it. */
interface ModelInfo {
  readonly name: string;
  readonly state: "bundled" | "cached" | "available" | "damaged";
  readonly precision: string;
  /** Undefined if unknown. */
  readonly bytes?: number;
  readonly classes: number;
  /** The published top-1 accuracy in percent, if known. */
  readonly accuracy?: number;
  /** Path or URL. */
  readonly place: string;
  /** Whether the command uses it by default. */
  readonly default: boolean;
}

/** Prints the bundled models, the cached models, and those that pull can download. */
export async function listModels({ json }: ModelsArgs): Promise<number> {
  const cached = cacheFolder() === undefined ? [] : await inFolder(cachedModels);
  const best = bestCached(cached), mirror = mirrorFromEnv();
  const models: ModelInfo[] = [
    ...await Promise.all(shippedNetworks.map((name) => shipped(name, !best))),
    ...await Promise.all(cached.map((model) => inCache(model, model.path === best?.path))),
    ...catalogue.map((entry): ModelInfo => ({
      name: entry.name,
      state: "available",
      precision: "f32",
      bytes: entry.bytes,
      classes: entry.classes.length,
      accuracy: entry.accuracy,
      place: urlOf(entry, mirror),
      default: false,
    })),
  ];
  if (json) {
    print(JSON.stringify(models, null, 2));
    return 0;
  }
  printTable(models);
  return 0;
}

/** Prints a table. Leaves out columns that would not fit into the terminal. */
function printTable(models: readonly ModelInfo[]): void {
  const rows = models.map((model) => [
    model.name,
    model.state,
    model.precision,
    model.bytes === undefined ? "" : megabytes(model.bytes),
    String(model.classes),
    model.accuracy === undefined ? "" : `${model.accuracy.toFixed(1)} %`,
    model.default ? "default" : "",
    model.place,
  ]);
  const head = ["model", "", "precision", "size", "classes", "accuracy", "", "where"];
  const { lines, leftOut } = tableOf([head, ...rows], {
    numbers: [3, 4, 5],
    optional: [7, 2, 4, 3, 5], // where, precision, classes, size, accuracy
    columns: columnsForResults(),
  });
  print(lines.join("\n"));
  if (leftOut.length > 0) note(`models --json also prints: ${leftOut.join(", ")}`);
}

async function shipped(network: ShippedNetwork, isUsed: boolean): Promise<ModelInfo> {
  const place = bundledWeights(network);
  using file = await openInput(place);
  const { architecture, classes } = readDescription(file)!;
  return {
    name: architecture,
    state: "bundled",
    precision: storedPrecision(file),
    bytes: place.protocol === "file:" ? (await Deno.stat(place)).size : await sizeOf(place),
    classes: classes.length,
    place: place.protocol === "file:" ? fileURLToPath(place) : String(place),
    default: isUsed && network === bundledNetwork,
  };
}

async function sizeOf(place: URL): Promise<number | undefined> {
  const { response, body } = await request(String(place));
  await body.cancel();
  return contentLength(response);
}

async function inCache(
  { name, precision, bytes, path }: CachedModel,
  isDefault: boolean,
): Promise<ModelInfo> {
  const accuracy = findCatalogueEntry(name)?.accuracy;
  const info = { name, precision, bytes, accuracy, place: path, default: isDefault };
  try {
    const source = await fileSource(path);
    using file = await openInput(source);
    await verify(source);
    return { ...info, state: "cached", classes: readDescription(file)?.classes.length ?? 0 };
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    return { ...info, state: "damaged", classes: 0 };
  }
}

/** Deletes all precisions of a model from the cache. */
export async function removeModel({ name, quiet }: RemoveArgs): Promise<number> {
  const removed = await inFolder((folder) => removeCached(folder, name));
  if (removed.length === 0) {
    throw new PembrokeError(
      isShipped(name)
        ? `${name} is part of the command, and cannot be deleted`
        : `${name} is not in the cache (${requireCacheFolder()}); the models command lists what is`,
    );
  }
  if (!quiet) removed.forEach((path) => print(`deleted ${path}`));
  return 0;
}

/** Does something with the cache, and names it in errors. */
async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = requireCacheFolder();
  return await work(folder).catch((error) => {
    throw asFileError(folder, error);
  });
}
