/** Joins a file of `learn --head-only` with the network that it was learned from. */

import { createBackend } from "../backend/mod.ts";
import { FileError } from "../errors.ts";
import { findCatalogueEntry } from "../hub/catalogue.ts";
import { type Description, onnxArchitecture } from "../models/description.ts";
import { openInput } from "../models/load.ts";
import { loadModel, modelFor } from "../models/load_model.ts";
import { bundledWeights, isShipped } from "../models/bundled.ts";
import { saveModel, saveWeights } from "../models/save_model.ts";
import type { Classifier } from "../models/mod.ts";
import { toClassNames } from "../models/network_classes.ts";
import { bytesSource, type WeightsFile } from "../weights/mod.ts";
import type { ModelOptions } from "./args.ts";
import { searchCache } from "./cache.ts";
import { asFileError } from "./errors.ts";
import { pathOf } from "./inputs.ts";

/** The weights of a whole network, and how it is created from them. */
export interface JoinedHead {
  readonly file: WeightsFile;
  readonly modelFor: typeof modelFor;
}

/**
 * The whole network of a last layer. Its other layers come from `--base`, or else from those that were
 * pulled, or are bundled.
 *
 * @param place The path or URL of the file with the last layer.
 * @throws {FileError} When none of these is the network that the layer was learned from.
 */
export async function joinHead(
  { base }: ModelOptions,
  place: string | URL,
  { architecture }: Description,
): Promise<JoinedHead> {
  using backend = await createBackend({ device: "wasm" });
  const candidates = base !== undefined
    ? [pathOf(base)]
    : isShipped(architecture)
    ? [bundledWeights(architecture)]
    : await cachedNetworks(architecture);
  for (const candidate of candidates) {
    try {
      using model = await loadModel({ backend, weights: place, base: candidate, precision: "f32" });
      const isOnnx = model.network === undefined;
      const bytes = await (isOnnx ? saveWeights(model) : saveModel(model)); // graphs cannot be saved
      const file = await openInput(bytesSource(bytes, String(place)));
      return { file, modelFor: isOnnx ? graphOf(candidate, model) : modelFor };
    } catch (error) {
      if (base !== undefined) throw asFileError(base, error);
      if (!(error instanceof FileError)) throw error; // another one may fit
    }
  }
  const network = architecture === onnxArchitecture ? "an ONNX network" : architecture;
  const reason = `holds only the last layer of ${network}; pass the file that it was ` +
    "learned from with --base";
  throw new FileError(String(place), reason);
}

/** Creates networks with the graph of an ONNX file, and the last layer of another network. */
function graphOf(
  onnx: string | URL,
  { classes, preprocessing, temperature }: Classifier,
): typeof modelFor {
  return async (_, options = {}, name) => {
    using file = await openInput(onnx);
    const { precision = "f32" } = options;
    const own = { preprocessing, ...options, precision, classes: undefined };
    const model = await modelFor(file, own, name);
    model.useLinearHead(toClassNames("loadModel", options.classes ?? classes));
    model.temperature = temperature;
    return model;
  };
}

/** The files in the cache with a network. */
async function cachedNetworks(architecture: string): Promise<string[]> {
  const { models } = await searchCache();
  return models.filter(({ name }) => findCatalogueEntry(name)?.architecture === architecture)
    .map(({ path }) => path);
}
