/**
 * Weights that others have published: downloading them, once, into a cache. For Deno.
 *
 * @example Torchvision's AlexNet
 * ```ts ignore
 * import { AlexNet } from "../models/mod.ts";
 * import { cacheFolder, catalogued, pull } from "./mod.ts";
 *
 * const { path } = await pull(catalogued("alexnet")!, cacheFolder()!, { precision: "int8" });
 * using model = await AlexNet.load({ weights: path });
 * ```
 *
 * @module
 */

export { catalogue, catalogued, type CatalogueEntry } from "../../weights/catalogue.ts";
export { type CachedModel, cachedModels, cacheFolder, modelPath, removeCached } from "./cache.ts";
export { pull, type Pulled, type PullOptions } from "./pull.ts";
