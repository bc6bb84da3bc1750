/**
 * From a file of weights into a model's memory on a backend.
 *
 * @module
 */

import { type Backend, createBackend } from "../backend/mod.ts";
import { contentLength, readChunks, request, responseChunks } from "../io/download.ts";
import { redactUrl } from "../io/redact.ts";
import { ArgumentError, FileError } from "../errors.ts";
import { asBytes, isBlob, kindOf } from "../kinds.ts";
import { type Layer, parameterShapes } from "../layers/layer.ts";
import type { Precision } from "../layers/precision.ts";
import { Sequential } from "../layers/sequential.ts";
import { elements } from "../tensor.ts";
import {
  blobSource,
  type ByteSource,
  bytesSource,
  checkWeights,
  fileSource,
  openWeights,
  streamSource,
  type WeightsFile,
} from "../weights/mod.ts";
import { isSource } from "../weights/io/source.ts";
import type { Classifier } from "./classifier.ts";
import { OnnxNetwork } from "./onnx/network.ts";

/**
 * Where weights come from: a path or file URL (in Deno, Node and Bun), an http or https URL, what
 * `fetch()` gave, bytes, a Blob, a stream of bytes, or anything that reads. What is behind a URL is
 * fetched every time, and goes from the answer straight to its place.
 */
export type WeightsInput =
  | string
  | URL
  | Response
  | Uint8Array
  | ArrayBufferLike
  | Blob
  | ReadableStream<Uint8Array>
  | ByteSource;

/**
 * How weights are loaded.
 *
 * @internal
 */
export interface LoadOptions {
  /** What computes. Default: what `createBackend()` makes, disposed of together with the model. */
  readonly backend?: Backend;
  /** Called while reading, with the floats read so far and in all. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the loading, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Fills a model with weights from a PyTorch `.pth`, a safetensors or an ONNX file. The file must
 * hold exactly the model's tensors, in its shapes; they go piece by piece to the backend, so that no
 * second copy exists.
 *
 * @throws {FileError} When the file is not for this model, which then stays as it was, or breaks
 * off, which leaves the model without weights.
 * @throws {ArgumentError} When `weights` is nothing that weights come from.
 */
export async function loadWeights(
  model: Layer,
  backend: Backend,
  weights: WeightsInput,
  options: Omit<LoadOptions, "backend"> = {},
): Promise<void> {
  using file = await openInput(weights, options.signal, "loadWeights");
  await fill(model, backend, file, options);
}

/**
 * Opens weights, wherever they come from.
 *
 * @param op What errors about the argument name.
 */
export async function openInput(
  weights: WeightsInput,
  signal?: AbortSignal,
  op = "openInput",
): Promise<WeightsFile> {
  signal?.throwIfAborted();
  return await openWeights(await sourceOf(op, weights, signal));
}

/** Gives the memory of weights back, not a backend that may be the model's own. */
function giveBack(model: Layer): void {
  if (!(model instanceof Sequential)) return model.dispose();
  for (const [, layer] of model.leaves()) layer.dispose();
}

/** How a network holds the weights of a file if nobody says: int8 if the file does, else f32. */
export function storedPrecision({ entries }: WeightsFile): Precision {
  const fullyConnected = [...entries.values()].filter(({ shape }) => shape.length === 2);
  return fullyConnected.some(({ quantized }) => quantized) ? "int8" : "f32";
}

/** Throws unless a model takes images of the size that its file asks for. */
export function checkInputSize(model: Classifier, file: WeightsFile): void {
  try {
    model.outputShape(model.inputShape());
  } catch (cause) {
    const side = model.preprocessing.crop;
    const reason = `is for images of ${side}×${side}, which ${model.type} does not take`;
    throw new FileError(file.name, reason, { cause });
  }
}

/** Fills a model that has no memory yet, on the given backend or one of its own. */
export async function loadInto<M extends Classifier>(
  model: M,
  file: WeightsFile,
  options: LoadOptions,
): Promise<M> {
  if (options.backend) {
    await fill(model, options.backend, file, options);
    return model;
  }
  const backend = await createBackend();
  try {
    await fill(model, backend, file, options);
    return model.own(backend);
  } catch (error) {
    backend.dispose();
    throw error;
  }
}

/** As {@linkcode loadWeights}, from an open file. */
export async function fill(
  model: Layer,
  backend: Backend,
  file: WeightsFile,
  options: Omit<LoadOptions, "backend"> = {},
): Promise<void> {
  let loading = false;
  try {
    const parameters = model.stateDict();
    const weights = model instanceof OnnxNetwork ? model.weightsIn(file) : file;
    const shapes = parameterShapes(model);
    checkWeights(weights, shapes, model.type);

    loading = true;
    const total = [...shapes.values()].reduce((sum, shape) => sum + elements(shape), 0);
    let done = 0;
    for (const name of weights.order) {
      const parameter = parameters.get(name);
      if (!parameter) continue; // an integer that the model does without
      parameter.allocate(backend);
      await weights.read(name, (values, offset) => {
        options.signal?.throwIfAborted();
        parameter.write(values, offset);
        options.onProgress?.(done += values.length, total);
      });
    }
  } catch (error) {
    if (loading) giveBack(model);
    throw error;
  }
}

async function sourceOf(
  op: string,
  weights: WeightsInput,
  signal?: AbortSignal,
): Promise<ByteSource> {
  const kind = kindOf(weights);
  if (kind === "String" || kind === "URL") return await sourceAt(String(weights), signal);
  const bytes = asBytes(weights);
  if (bytes) return bytesSource(bytes);
  if (isBlob(weights)) return blobSource(weights);
  if (kind === "Response") return await sourceOfResponse(weights as Response, signal);
  if (kind === "ReadableStream") {
    const stream = weights as ReadableStream<Uint8Array>;
    if (stream.locked) throw new FileError("weights", "the stream is being read by somebody else");
    return await streamSource(readChunks(stream, { signal, reuseBuffer: true }));
  }
  if (isSource(weights)) return weights;
  const takes =
    "a path, a URL, a Response, a Uint8Array, an ArrayBuffer, a Blob, a ReadableStream " +
    "or a ByteSource";
  throw new ArgumentError(op, "weights", weights, takes);
}

async function sourceAt(place: string, signal?: AbortSignal): Promise<ByteSource> {
  if (/^file:/i.test(place)) return await fileSource(new URL(place));
  if (!/^https?:/i.test(place)) return await fileSource(place);
  const { response, body } = await request(place, { signal });
  return await streamSource(body, redactUrl(place), contentLength(response));
}

async function sourceOfResponse(response: Response, signal?: AbortSignal): Promise<ByteSource> {
  const name = redactUrl(response.url) || "weights";
  const body = await responseChunks(name, response, signal);
  return body ? await streamSource(body, name, contentLength(response)) : bytesSource(none, name);
}

/** The body of an answer that has none. */
const none = new Uint8Array(0);
