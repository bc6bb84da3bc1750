/**
 * From photos to a model that recognises them, with the library alone: the same code in Deno, in
 * Node and in a page.
 */

import type * as Library from "../../mod.ts";

/** What came out of it. */
export interface Learned {
  /** The build of the kernels. Different ones round differently. */
  readonly backend: string;
  /** The share of held-out photos that were recognised. */
  readonly accuracy: number;
  /** The share of all photos that the saved model recognises. */
  readonly recognized: number;
  /** The SHA-256 of the saved model. */
  readonly sha256: string;
  /** How often other code ran during the training. */
  readonly turns: number;
}

/**
 * Learns the classes of photos, fine-tunes the last block, saves the model, and loads it again.
 *
 * @param library The library, as a runtime imports it.
 * @param files The photos.
 * @param weights The file of alexnet-tiny.
 * @param module The kernels. Default: the build for the machine.
 */
export async function learnPhotos(
  library: typeof Library,
  files: readonly Library.ImageFile[],
  weights: Uint8Array,
  module?: WebAssembly.Module,
): Promise<Learned> {
  const { AdamW, createBackend, fit, ImageFolder, loadModel, saveModel, Trainer } = library;
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const backend = await createBackend({ device: "wasm", threads: 1, module });
  const model = await loadModel({ backend, weights, precision: "f32" });
  const { preprocessing } = model;
  const photos = new ImageFolder(files, { preprocessing });
  const { accuracy } = await fit(model, photos);

  model.freeze({ except: ["features.10", "classifier"] });
  const transforms = [library.randomResizedCrop(80), library.randomHorizontalFlip()];
  const trainer = new Trainer(model, new ImageFolder(files, { preprocessing, transforms }), {
    optimizer: new AdamW(model, { lr: 1e-4 }),
    batchSize: 10,
    epochs: 1,
  });
  await trainer.trainEpoch();
  clearInterval(timer);

  const bytes = await saveModel(model.eval(), { dtype: "F16" });
  const learned = await loadModel({ backend, weights: bytes });
  let recognized = 0;
  for (const [i, { label }] of photos.samples.entries()) {
    const [best] = await learned.classify(await photos.image(i), { topK: 1 });
    if (best.label === photos.classes[label]) recognized++;
  }
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource));
  const sha256 = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const { name } = backend;
  backend.dispose();
  return { backend: name, accuracy, recognized: recognized / photos.length, sha256, turns };
}
