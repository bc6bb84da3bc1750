/**
 * Chooses the weights of the command, if they are not given: the best ones in the cache, else
 * SqueezeNet, which it downloads once, else the bundled ones.
 */

import { catalogue, type CatalogueEntry, findCatalogueEntry } from "../hub/catalogue.ts";
import type { CachedModel } from "../hub/cache.ts";
import type { ModelOptions } from "./args.ts";
import { type Cache, searchCache } from "./cache.ts";
import { needs, UsageError } from "./errors.ts";
import { defaultName, pullCommand } from "./command_line.ts";

/** The weights of the command. */
export interface ChosenWeights {
  /** The published weights; undefined for the bundled ones. */
  readonly entry?: CatalogueEntry;
  /** The file in the cache; undefined for the bundled weights. */
  readonly path?: string;
  /** Why no better weights than the bundled ones were chosen, in a few words. */
  readonly reason?: string;
}

/**
 * Chooses the weights of the command: those of --model, or the default ones.
 *
 * @throws {UsageError} When the weights of --model are not in the cache.
 */
export async function chooseWeights(options: ModelOptions): Promise<ChosenWeights> {
  const { model: name, precision } = options;
  const cache = await searchCache();
  if (name !== undefined) return requested(name, cache, precision);
  const best = bestCached(cache.models, precision);
  if (best) return best;
  if (cache.missing.length > 0) return { reason: `cache not searched: ${needs(cache.missing)}` };
  if (options.offline) return { reason: "not downloaded: --offline" };
  const defaultEntry = findCatalogueEntry(defaultName)!;
  const { downloadOnce } = await import("./download_once.ts");
  const result = await downloadOnce(defaultEntry, cache, options);
  return "path" in result ? { entry: defaultEntry, ...result } : result;
}

/** The weights of a model that was named. */
function requested(
  name: string,
  { models, missing }: Cache,
  precision: ModelOptions["precision"],
): ChosenWeights {
  const own = findCatalogueEntry(name);
  const entries = own ? [own] : catalogue.filter(({ architecture }) => architecture === name);
  const names = entries.map(({ name }) => name);
  const best = bestCached(models.filter((model) => names.includes(model.name)), precision);
  if (best) return best;
  if (missing.length > 0) {
    throw new UsageError(`cannot search the cache for ${name}: ${needs(missing)}`);
  }
  const [first] = names;
  throw new UsageError(
    first === undefined
      ? `no weights of ${name} are published; use --weights or --random`
      : `${first} is not in the cache; to download it, run: ${pullCommand(first)}`,
  );
}

/**
 * The cached model with the highest published accuracy. Of its files, the one in the requested
 * precision, or the last one pulled.
 *
 * @param models The last one pulled first.
 */
export function bestCached(
  models: readonly CachedModel[],
  precision?: ModelOptions["precision"],
): { readonly entry: CatalogueEntry; readonly path: string } | undefined {
  const entry = catalogue.filter(({ name }) => models.some((model) => model.name === name))
    .reduce<CatalogueEntry | undefined>(
      (best, entry) => best && best.accuracy >= entry.accuracy ? best : entry,
      undefined,
    );
  if (!entry) return undefined;
  const files = models.filter(({ name }) => name === entry.name);
  const match = precision &&
    files.find((file) => (file.precision === "int8") === (precision === "int8"));
  return { entry, path: (match ?? files[0]).path };
}
