/**
 * From a file of weights into a model's memory on a backend.
 *
 * @module
 */

import type { Backend } from "../backend.ts";
import { download } from "../download.ts";
import type { Layer } from "../layers/layer.ts";
import { LinearWeight } from "../layers/linear_weight.ts";
import { elements } from "../tensor.ts";
import {
  blobSource,
  type ByteSource,
  bytesSource,
  checkWeights,
  fileSource,
  openWeights,
  type WeightsFile,
} from "../weights/mod.ts";

/**
 * Where weights come from: a path or file URL (in Deno), an http or https URL, bytes, a Blob, or
 * anything that reads. What is behind a URL is fetched whole, every time.
 */
export type WeightsInput = string | URL | Uint8Array | Blob | ByteSource;

/** What loading takes besides. */
export interface LoadOptions {
  /** Called while reading, with the floats read so far and in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Fills a model with weights from a PyTorch `.pth` or a safetensors file. The file must hold
 * exactly the model's tensors, in its shapes; they go piece by piece to the backend, so that no
 * second copy exists.
 *
 * @throws {FileError} When the file is not for this model, which then stays as it was, or breaks
 * off, which leaves the model without weights.
 */
export async function loadWeights(
  model: Layer,
  backend: Backend,
  weights: WeightsInput,
  options: LoadOptions = {},
): Promise<void> {
  using file = await openInput(weights);
  await fill(model, backend, file, options);
}

/** Opens weights, wherever they come from. */
export async function openInput(weights: WeightsInput): Promise<WeightsFile> {
  return await openWeights(await sourceOf(weights));
}

/** As {@linkcode loadWeights}, from an open file. */
export async function fill(
  model: Layer,
  backend: Backend,
  file: WeightsFile,
  options: LoadOptions = {},
): Promise<void> {
  let loading = false;
  try {
    const parameters = model.stateDict();
    const shapes = new Map([...parameters].map(([name, { shape }]) => [name, shape]));
    checkWeights(file, shapes, model.type);

    loading = true;
    const total = [...shapes.values()].reduce((sum, shape) => sum + elements(shape), 0);
    let done = 0;
    for (const [name, parameter] of parameters) {
      parameter.allocate(backend);
      await file.read(name, (values, offset) => {
        parameter.write(values, offset);
        options.onProgress?.(done += values.length, total);
      });
    }
  } catch (error) {
    if (loading) model.dispose();
    throw error;
  }
}

/**
 * The first parameter that holds NaN or infinity, by name: what to blame for an output that is not
 * a number. Undefined if there is none.
 */
export async function findNonFinite(model: Layer): Promise<string | undefined> {
  for (const [name, parameter] of model.stateDict()) {
    const quantized = parameter instanceof LinearWeight ? parameter.quantized : undefined;
    const values = await (parameter.tensor ?? quantized?.scale)?.read();
    if (values?.some((value) => !Number.isFinite(value))) return name;
  }
  return undefined;
}

/** Weights behind a URL are held in memory: 1 GiB of them at most. */
const mostDownloaded = 2 ** 30;

async function sourceOf(weights: WeightsInput): Promise<ByteSource> {
  if (weights instanceof Uint8Array) return bytesSource(weights);
  if (weights instanceof Blob) return blobSource(weights);
  if (typeof weights !== "string" && !(weights instanceof URL)) return weights;
  if (/^file:/.test(String(weights))) return await fileSource(new URL(weights));
  if (/^https?:/.test(String(weights))) {
    return bytesSource(await download(String(weights), mostDownloaded), String(weights));
  }
  return await fileSource(weights);
}
