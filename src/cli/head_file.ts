/** Joins a file of `learn --head-only` with the network that it was learned from. */

import { createBackend } from "../backend/mod.ts";
import { FileError } from "../errors.ts";
import { findCatalogueEntry } from "../hub/catalogue.ts";
import type { Description } from "../models/description.ts";
import { openInput } from "../models/load.ts";
import { loadModel } from "../models/load_model.ts";
import { bundledWeights, isShipped } from "../models/bundled.ts";
import { saveModel } from "../models/save_model.ts";
import { bytesSource, type WeightsFile } from "../weights/mod.ts";
import type { Options } from "./args.ts";
import { searchCache } from "./cache.ts";
import { asFileError, isSystemError } from "./errors.ts";
import { pathOf } from "./inputs.ts";

/**
 * The whole network of a last layer. Its other layers come from `--base`, or else from those that were
 * pulled, or are bundled.
 *
 * @param place The path or URL of the file with the last layer.
 * @throws {FileError} If none of these is the network that the layer was learned from.
 */
export async function joinHead(
  { base }: Options,
  place: string | URL,
  { architecture }: Description,
): Promise<WeightsFile> {
  using backend = await createBackend({ device: "wasm" });
  const candidates = base !== undefined
    ? [pathOf(base)]
    : isShipped(architecture)
    ? [bundledWeights(architecture)]
    : await cachedNetworks(architecture);
  for (const candidate of candidates) {
    try {
      using model = await loadModel({ backend, weights: place, base: candidate, precision: "f32" });
      return await openInput(bytesSource(await saveModel(model), String(place)));
    } catch (error) {
      if (base !== undefined) throw isSystemError(error) ? asFileError(base, error) : error;
      if (!(error instanceof FileError)) throw error; // another one may fit
    }
  }
  const reason = `holds only the last layer of ${architecture}; pass the file that it was ` +
    "learned from with --base";
  throw new FileError(String(place), reason);
}

/** The files in the cache with a network. */
async function cachedNetworks(architecture: string): Promise<string[]> {
  const { models } = await searchCache();
  return models.filter(({ name }) => findCatalogueEntry(name)?.architecture === architecture)
    .map(({ path }) => path);
}
