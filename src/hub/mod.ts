/**
 * Weights that others have published: downloading them, once, into a cache. For Deno.
 *
 * @example Torchvision's AlexNet
 * ```ts ignore
 * import { loadModel } from "../models/mod.ts";
 * import { cacheFolder, catalogued, pull } from "./mod.ts";
 *
 * const { path } = await pull(catalogued("alexnet")!, cacheFolder()!, { precision: "int8" });
 * using model = await loadModel({ weights: path });
 * ```
 *
 * @module
 */

export { catalogue, catalogued, type CatalogueEntry } from "./catalogue.ts";
export { type CachedModel, cachedModels, cacheFolder, modelPath, removeCached } from "./cache.ts";
export type { FetchFileOptions } from "./fetch_file.ts";
export type { StoredPrecision } from "../weights/convert.ts";
export type { Architecture } from "../models/description.ts";
export type { ClassName } from "../models/imagenet_classes.ts";
export type { Preprocessing } from "../image/preprocess.ts";
export { pull, type Pulled, type PullOptions } from "./pull.ts";
