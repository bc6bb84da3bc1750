/**
 * Downloads published weights into a cache. For Deno.
 *
 * @example Torchvision's AlexNet
 * ```ts ignore
 * import { loadModel } from "../models/mod.ts";
 * import { cacheFolder, findCatalogueEntry, pull } from "./mod.ts";
 *
 * const entry = findCatalogueEntry("alexnet")!;
 * const { path } = await pull(entry, cacheFolder()!, { precision: "int8" });
 * using model = await loadModel({ weights: path });
 * ```
 *
 * @module
 */

export { catalogue, type CatalogueEntry, findCatalogueEntry } from "./catalogue.ts";
export { type CachedModel, cachedModels, cacheFolder, modelPath, removeCached } from "./cache.ts";
export type { FileDigest } from "./digest.ts";
export type { FetchFileOptions } from "./fetch_file.ts";
export type { StoredPrecision } from "../weights/stored.ts";
export type { NetworkName } from "../models/registry.ts";
export type { ClassName } from "../models/imagenet_classes.ts";
export type { Preprocessing } from "../image/preprocess.ts";
export { pull, type PullOptions, type PullResult } from "./pull.ts";
