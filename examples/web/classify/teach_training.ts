/** Learns classes from the photos that were kept. Runs in the worker. */

import {
  arrayDataset,
  type Classifier,
  createBackend,
  type Dataset,
  fit,
  type FitResult,
  loadModel,
  type RgbImage,
  saveModel,
} from "../../../mod.ts";
import type { CallContext, Photo } from "./protocol.ts";
import { forget, keep, keptImage, mirrored } from "./teach_photos.ts";
import type {
  BaseSource,
  ClassToLearn,
  KeptPhoto,
  Learned,
  Step,
  TeachCalls,
} from "./teach_protocol.ts";

/** Photos of each class, at least, to hold some out. */
const fewest = 5;
/** The share of each class that is held out. */
const holdout = 0.2;
/** Photos, at least, to choose the weight decay. With fewer it has the value that is right most often. */
const fewestToChoose = 10, usualDecay = 10;

/** The network that learning starts from, in float32. */
interface Base {
  readonly source: BaseSource;
  readonly model: Classifier;
  /** The SHA-256 of its file, if known. */
  readonly sha256?: string;
  /** The features of photos and of their mirror images, [2, featureCount], by the photo's key. */
  readonly features: Map<string, Float32Array>;
}

/** A photo of a class. */
interface Sample {
  readonly key: string;
  /** The index of its class. */
  readonly label: number;
  /** Whether it is held out to measure the accuracy. */
  readonly isHeld: boolean;
}

type LearnContext = CallContext<TeachCalls["teachLearn"]>;

let base: Promise<Base> | undefined;

/**
 * Loads the network to start from, unless it is loaded: the one in use once more, because one in 8 bits
 * can neither be trained nor saved. Its own backend outlives changes of the device in use.
 */
async function baseOf(network: BaseSource, signal?: AbortSignal): Promise<Base> {
  const known = await base?.catch(() => undefined); // an error may have passed
  if (known?.source.id === network.id) return known;
  known?.model.dispose();
  return await (base = load(network, signal));
}

async function load(source: BaseSource, signal?: AbortSignal): Promise<Base> {
  const { weights, files, base } = source;
  // one thread: the layer is small, and photos arrive one by one
  const backend = await createBackend({ device: "wasm", threads: 1 });
  try {
    const model = await loadModel({ weights, files, base, backend, signal, precision: "f32" });
    const sha256 = await sha256Of(weights).catch(() => undefined); // it is only told
    return { source, model: model.own(backend), sha256, features: new Map() };
  } catch (error) {
    backend.dispose();
    throw error;
  }
}

/** Computes the features of a photo, unless they are known. */
async function compute(
  { model, features }: Base,
  key: string,
  image: () => RgbImage | Promise<RgbImage>,
): Promise<void> {
  if (features.has(key)) return;
  const photo = await image();
  const both = [photo, mirrored(photo)].map((image) => model.preprocess(image));
  const values = new Float32Array(2 * both[0].length);
  for (const [i, half] of both.entries()) values.set(half, i * half.length);
  using x = model.backend.upload(values, model.inputShape(2)), y = model.features(x);
  features.set(key, await y.read());
}

/** Keeps a photo. If there is a network, computes the features at once: learning then takes less time. */
export async function keepPhoto(photo: Photo, network?: BaseSource): Promise<KeptPhoto> {
  const { image, ...known } = await keep(photo);
  try {
    if (network) await compute(await baseOf(network), known.key, () => image);
  } catch {
    // of the network, not of the photo: learning will tell
  }
  return known;
}

/** Forgets photos and their features. */
export async function forgetAll(keys: readonly string[]): Promise<void> {
  const features = (await base?.catch(() => undefined))?.features;
  for (const key of keys) if (forget(key)) features?.delete(key);
}

/** Learns classes, and returns the network as a file. */
export async function learn(
  classes: readonly ClassToLearn[],
  network: BaseSource,
  context: LearnContext,
): Promise<Learned> {
  const start = performance.now(), base = await baseOf(network, context.signal);
  const { model } = base;
  if (model.network === undefined) {
    throw new Error(
      `“${network.name}” is an ONNX network, of which the page cannot save a copy: choose another one.`,
    );
  }
  const samples = classes.flatMap(({ photos }, label) =>
    photos.map((key, i): Sample => ({ key, label, isHeld: isHeldOut(i, photos.length) }))
  );
  await computeAll(base, samples, context);

  const names = classes.map(({ name }) => name), { signal } = context;
  const onStep = (step: Step) => context.report({ phase: "step", step });
  const measured = classes.every(({ photos }) => photos.length >= fewest)
    ? await measure(base, samples, names, { onStep, ...context })
    : undefined;
  // the layer to keep learns from all photos, those that were held out included
  const all = datasetOf(base, samples);
  const { weightDecay } = await fit(model, all, {
    classes: names,
    validation: all,
    weightDecays: [measured?.weightDecay ?? usualDecay],
    folds: 2,
    signal,
    onStep: measured ? undefined : ({ validation: _, ...step }) => onStep(step), // the same photos
  });

  // as `learn` of the command says how it made a file
  const learned = JSON.stringify({
    base: { network: model.network ?? network.name, sha256: base.sha256 },
    photos: Object.fromEntries(classes.map(({ name, photos }) => [name, photos.length])),
    options: { seed: 0, weightDecay },
    ...measured && {
      accuracy: measured.accuracy,
      interval: measured.interval,
      measured: { photos: samples.filter(({ isHeld }) => isHeld).length, on: { holdout } },
    },
  });
  const file = await saveModel(model, { dtype: "F16", metadata: { learned } });
  return {
    file: new Blob([file]),
    milliseconds: performance.now() - start,
    ...measured && { measured: { interval: measured.interval, confusion: measured.confusion } },
  };
}

/** Computes the features that are not known: those of other networks than when photos were added. */
async function computeAll(
  base: Base,
  samples: readonly Sample[],
  { report, pause }: LearnContext,
): Promise<void> {
  for (const [i, { key }] of samples.entries()) {
    if (base.features.has(key)) continue;
    report({ phase: "photos", done: i, total: samples.length });
    await pause();
    await compute(base, key, () => keptImage(key));
  }
}

/** Trains a layer without the photos that are held out, and measures it on these. */
function measure(
  base: Base,
  samples: readonly Sample[],
  classes: readonly string[],
  { report, signal, onStep }: LearnContext & { onStep(step: Step): void },
): Promise<FitResult> {
  const training = samples.filter(({ isHeld }) => !isHeld);
  return fit(base.model, datasetOf(base, training), {
    classes,
    validation: datasetOf(base, samples.filter(({ isHeld }) => isHeld)),
    ...training.length < fewestToChoose && { weightDecays: [usualDecay] },
    signal,
    onStep,
    onProgress: ({ phase, done, total }) => {
      if (phase === "features" || done === total) return;
      report({ phase: "choosing", done, total: total - 1 });
    },
  });
}

/** The features of photos, for `fit()`. */
function datasetOf({ model, features }: Base, samples: readonly Sample[]): Dataset {
  const shape = [2, model.featureCount], size = 2 * model.featureCount;
  const values = new Float32Array(samples.length * size);
  for (const [i, { key }] of samples.entries()) values.set(features.get(key)!, i * size);
  return arrayDataset(values, samples.map(({ label }) => label), shape);
}

/**
 * Whether a photo of a class is held out: the last fifth is. Photos that were taken in one go look
 * alike, and random ones would be too easy.
 */
function isHeldOut(index: number, count: number): boolean {
  return index >= count - Math.max(1, Math.round(holdout * count));
}

/** The SHA-256 of a file. Undefined in pages without HTTPS, which cannot compute one. */
async function sha256Of(place: string | Blob): Promise<string | undefined> {
  if (!globalThis.crypto?.subtle) return undefined;
  const file = typeof place === "string" ? await fetch(place) : place;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
