/** The features of labelled photos, from the cache or computed. */

import { PembrokeError } from "../errors.ts";
import type { Classifier } from "../models/mod.ts";
import type { FeatureRows } from "../train/feature_rows.ts";
import { mirrored } from "../train/features.ts";
import { each, mapConcurrently } from "./async_iterators.ts";
import { bulkStages } from "./bulk.ts";
import type { LabelledPhoto } from "./class_folders.ts";
import type { Device } from "./device.ts";
import { errorLine, isPermissionError } from "./errors.ts";
import { type Digest, FeatureCache, featureFolder } from "./feature_cache.ts";
import { runFeatures } from "./features.ts";
import { outcomes } from "./pipeline.ts";
import { Progress } from "./progress.ts";
import { warn } from "./terminal.ts";

/** A photo, identified by its content. */
export interface HashedPhoto extends LabelledPhoto {
  readonly digest: Digest;
}

/** A photo with its features, and those of its mirror image after them. */
export interface LearnedPhoto extends HashedPhoto {
  readonly features: Float32Array;
}

/** Photos that are read at the same time to compute their hashes. */
const readAhead = 8;
/** A batch has the mirror images, too. Larger ones are no faster, and need more memory. */
const batchSize = 4;

/**
 * Reads photos and computes their SHA-256. One that is there several times counts once. One that is in
 * two classes is left out.
 */
export async function hashPhotos(
  photos: readonly LabelledPhoto[],
  classes: readonly string[],
  quiet: boolean,
): Promise<HashedPhoto[]> {
  const first = new Map<Digest, HashedPhoto>(), contradictory = new Set<Digest>();
  const progress = new Progress("reading", !quiet);
  const say = (line: string) => {
    progress.clear();
    if (!quiet) warn(line);
  };
  let done = 0, twice = 0;
  const hash = async (photo: LabelledPhoto): Promise<HashedPhoto | { error: string }> => {
    try {
      const bytes = await crypto.subtle.digest("SHA-256", await photo.read());
      return { ...photo, digest: new Uint8Array(bytes).toHex() };
    } catch (error) {
      if (isPermissionError(error)) throw error;
      return { error: errorLine(error) };
    }
  };
  for await (const photo of mapConcurrently(each(photos), readAhead, hash)) {
    progress.update(++done, photos.length, "photos");
    if ("error" in photo) {
      say(`${photo.error}; skipped`);
      continue;
    }
    const { digest, name, label } = photo, same = first.get(digest);
    if (!same) first.set(digest, photo);
    else if (same.label === label) twice++;
    else {
      contradictory.add(digest);
      const both = `${classes[same.label]} and ${classes[label]}`;
      say(`${name} is the same photo as ${same.name}, in ${both}; skipped both`);
    }
  }
  progress.clear();
  const copies = twice === 1 ? "1 photo is a copy" : `${twice} photos are copies`;
  if (twice > 0) say(`${copies} of others of the class; skipped`);
  return first.values().filter(({ digest }) => !contradictory.has(digest)).toArray();
}

/**
 * The features of photos in their order, without those that cannot be decoded. Computed ones are kept
 * at once, so that an interruption loses none.
 *
 * @param weights Identifies the weights.
 * @throws {PembrokeError} When a feature is not finite.
 */
export async function photoFeatures(
  photos: readonly HashedPhoto[],
  model: Classifier,
  device: Device,
  { weights, quiet }: { readonly weights: string; readonly quiet: boolean },
): Promise<LearnedPhoto[]> {
  const network = [weights, JSON.stringify(model.preprocessing), device.backend.name];
  const wanted = new Set(photos.map(({ digest }) => digest)), count = 2 * model.featureCount;
  using cache = await FeatureCache.open(featureFolder(), network, count, wanted);
  const missing = photos.filter(({ digest }) => !cache.get(digest));
  if (missing.length > 0) {
    await computeFeatures(missing, photos.length, model, device, cache, quiet);
  }
  return photos.flatMap((photo) => {
    const features = cache.get(photo.digest);
    return features ? [{ ...photo, features }] : [];
  });
}

/**
 * Computes the features of photos that the cache lacks, and adds them to it.
 *
 * @param total The number of all photos, for the progress bar.
 */
async function computeFeatures(
  missing: readonly HashedPhoto[],
  total: number,
  model: Classifier,
  device: Device,
  cache: FeatureCache,
  quiet: boolean,
): Promise<void> {
  using stages = bulkStages(
    model.preprocessing,
    device,
    (images) => mirroredFeatures(model, images),
    batchSize,
  );
  using progress = new Progress("computing features", !quiet);
  let done = total - missing.length;
  for await (const outcome of outcomes(each(missing), stages)) {
    progress.update(++done, total, "photos");
    const lines = "error" in outcome ? [`${outcome.error}; skipped`] : outcome.warnings;
    if (lines.length > 0) progress.clear();
    if (!quiet) lines.forEach(warn);
    if ("error" in outcome) continue;
    const { input: { name, digest }, output } = outcome;
    if (!output.every(Number.isFinite)) {
      throw new PembrokeError(
        `${name}: ${model.type} computes features that are not finite; ` +
          "start from other weights with --from",
      );
    }
    cache.set(digest, output);
  }
}

/**
 * The features of each of a batch of preprocessed images, and of its mirror image after them. All
 * batches have the same size: the last bits of a matrix product can depend on its rows, and a file
 * must not depend on which photos were in the cache.
 */
async function mirroredFeatures(
  model: Classifier,
  images: readonly Float32Array[],
): Promise<Float32Array[]> {
  const shape = model.inputShape(), isLast = model.preprocessing.layout !== "nhwc";
  const width = shape[isLast ? 3 : 2], pixel = isLast ? 1 : shape[3];
  const pairs = images.flatMap((image) => [image, mirrored(image, width, pixel)]);
  const padding = new Array<Float32Array>(batchSize - images.length).fill(images[0]);
  const rows = await runFeatures(model, [...pairs, ...padding, ...padding]);
  return images.map((_, i) => {
    const both = new Float32Array(2 * rows[i].length);
    both.set(rows[2 * i]);
    both.set(rows[2 * i + 1], rows[i].length);
    return both;
  });
}

/** The features as rows: those of all photos, then those of their mirror images. */
export function rowsOf(photos: readonly LearnedPhoto[], count: number): FeatureRows {
  const samples = photos.length, values = new Float32Array(2 * samples * count);
  const labels = new Int32Array(2 * samples);
  for (const [i, { features, label }] of photos.entries()) {
    values.set(features.subarray(0, count), i * count);
    values.set(features.subarray(count), (samples + i) * count);
    labels[i] = labels[samples + i] = label;
  }
  return { values, count, labels };
}
