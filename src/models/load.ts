/**
 * Loading weights into a model.
 *
 * @module
 */

import { type Backend, createBackend } from "../backend/mod.ts";
import { redactUrl } from "../io/redact.ts";
import { contentLength, readChunks, request, responseChunks } from "../io/download.ts";
import { ArgumentError, FileError, PembrokeError } from "../errors.ts";
import { asBytes, isBlob, kindOf } from "../kinds.ts";
import { Conv, Conv2d } from "../layers/conv.ts";
import { Layer } from "../layers/layer.ts";
import { type Parameter, parameterShapes } from "../layers/parameter.ts";
import type { Precision } from "../layers/precision.ts";
import { RoundedWeight } from "../layers/rounded_weight.ts";
import { Graph } from "../layers/graph.ts";
import { checkBackend } from "../ops/checks.ts";
import { checkFunction, checkObject, checkOptions, checkSignal } from "../options.ts";
import { elements, type Shape } from "../tensor.ts";
import { checkWeights, parametrization } from "../weights/check.ts";
import { blobSource, type ByteSource, bytesSource, isSource } from "../weights/io/source.ts";
import { streamSource } from "../weights/io/stream_source.ts";
import { matchNames } from "../weights/match_names.ts";
import type { OnnxFile } from "../weights/onnx/reader.ts";
import { openWeights } from "../weights/open.ts";
import type { IntegerSink, WeightsFile, WeightSink } from "../weights/tensor_file.ts";
import { Classifier } from "./classifier.ts";
import { checkLoaded, loading } from "./classify.ts";
import type { ClassOptions } from "./network_classes.ts";

/**
 * A source of weights: a path or file URL (in Deno, Node and Bun), an http, https, blob or data URL, a
 * response of `fetch()`, bytes, a Blob, a stream of bytes, or a {@linkcode ByteSource}. Downloads are
 * streamed to the backend and not cached.
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
 * Options of loading weights.
 */
export interface LoadOptions {
  /** The backend. Default: a new one, which the model disposes of. */
  readonly backend?: Backend;
  /**
   * The other files by name, if the weights are in several: the shards of a safetensors index, or the
   * external data of an ONNX model. Default: those in the folder of the file, if it is on disk.
   */
  readonly files?: Readonly<Record<string, WeightsInput>>;
  /** Called after each chunk with the number of floats read, and the total. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Cancels loading, which then rejects with the reason of the signal. */
  readonly signal?: AbortSignal;
}

/** Options of loading weights for other modules of this library. */
interface ValueOptions {
  /** Called with the name of a parameter and each chunk of its values, in order. */
  readonly onValues?: (name: string, values: Float32Array) => void;
}

/** The names of {@linkcode LoadOptions}, without the backend. */
export const loadNames = ["files", "onProgress", "signal"] as const;

/** Checks the values of {@linkcode LoadOptions}. */
export function checkLoadOptions(op: string, options: LoadOptions): void {
  const { files = {}, onProgress, signal, backend } = options;
  if (backend !== undefined) checkBackend(op, backend);
  checkObject(op, "files", files);
  checkFunction(op, "onProgress", onProgress);
  checkSignal(op, signal);
}

/**
 * Loads weights into a model from a PyTorch `.pth`, safetensors or ONNX file. The file must have
 * exactly the tensors of the model, in the same shapes. They are copied to the backend in chunks.
 * Only tensors in another element order, computed from others or cut from a fused one are read whole.
 *
 * @param model A layer or a network, with or without values.
 * @param backend Where its parameters will be.
 * @param weights The file: a path, a URL, bytes or a stream, such as `"net.safetensors"`.
 * @param options `files`, if the weights are in several; `signal`, which cancels; `onProgress`.
 * @throws {FileError} When the file does not match the model: the model keeps its present weights.
 * Or when reading fails: the model is left without weights.
 * @throws {ArgumentError} When an argument is invalid: the model keeps its present weights.
 * @throws {PembrokeError} When other weights are being loaded into it, or it is disposed of meanwhile.
 */
export async function loadWeights(
  model: Layer,
  backend: Backend,
  weights: WeightsInput,
  options: Omit<LoadOptions, "backend"> = {},
): Promise<void> {
  const op = "loadWeights";
  if (!(model instanceof Layer)) throw new ArgumentError(op, "model", model, "a Layer");
  checkBackend(op, backend);
  checkOptions(op, options, loadNames);
  checkLoadOptions(op, options);
  using file = await openInput(weights, options.signal, op, options.files);
  await loadTensors(model, backend, file, options);
}

/**
 * Opens any source of weights.
 *
 * @param op The name of the function in error messages.
 * @param files The other files of weights that consist of several.
 * @throws {FileError} When the source cannot be read, or is not in a known format.
 * @throws {ArgumentError} When `weights` is not a source of weights.
 */
export async function openInput(
  weights: WeightsInput,
  signal?: AbortSignal,
  op = "openInput",
  files: LoadOptions["files"] = {},
): Promise<WeightsFile> {
  signal?.throwIfAborted();
  const sources: Record<string, ByteSource> = {};
  try {
    for (const [name, input] of Object.entries(files)) {
      sources[name] = await toSource(`${op}: files`, input, signal);
    }
    const file = await openWeights(await toSource(op, weights, signal), { files: sources });
    if (file.format === "onnx" || !parametrization(file)) return file;
    const { withComputedWeights } = await import("../weights/pth/reader.ts");
    return withComputedWeights(file);
  } catch (error) {
    for (const source of Object.values(sources)) source.close();
    throw error;
  }
}

/**
 * Forgets the input ranges that were found with the present weights. A network from an ONNX file has the
 * ranges of the file before it has weights: these stay.
 */
function forgetRanges(model: Layer): void {
  for (const layer of leavesOf(model)) {
    if (layer instanceof Conv && layer.parameters.weight.backend) layer.inputRange = null;
  }
}

function leavesOf(model: Layer): readonly Layer[] {
  return model instanceof Graph ? model.leaves().map(([, layer]) => layer) : [model];
}

/** Returns the default precision for a file: "int8" if its weights are int8, else "f32". */
export function storedPrecision({ entries }: WeightsFile): Precision {
  return [...entries.values()].some(({ quantized }) => quantized) ? "int8" : "f32";
}

/** Whether a file is an ONNX model with its graph. */
export function isOnnx(file: WeightsFile): file is OnnxFile {
  return file.format === "onnx" && "graph" in file;
}

/** Throws a {@linkcode FileError} if a model does not support the image size in its file. */
export function checkInputSize(model: Classifier, file: WeightsFile): void {
  try {
    model.outputShape(model.inputShape());
  } catch (cause) {
    const { crop, channels } = model.preprocessing;
    const kind = channels === "gray" ? "grey images" : "images";
    const reason = `is for ${kind} of ${crop}×${crop}, which ${model.type} does not support`;
    throw new FileError(file.name, reason, { cause });
  }
}

/** Creates a network with a last layer as in a file, and with other options if two classes share a score. */
export async function matchedNetwork<M extends Classifier>(
  file: WeightsFile,
  create: (single?: Required<ClassOptions>) => M | Promise<M>,
): Promise<M> {
  let model = await create();
  const { classes } = model;
  if (classes.length === 2 && headShape(model, file)?.[0] === 1) {
    model = await create({ classes, numClasses: 1 });
  }
  matchHead(model, file);
  return model;
}

/** Replaces the last convolution of a model by a `Linear` if the file has one in its place. */
export function matchHead(model: Classifier, file: WeightsFile): void {
  const layer = lastLayer(model)?.[1];
  if (!(layer instanceof Conv2d) || headShape(model, file)?.length !== 2) return;
  checkInputSize(model, file);
  model.useLinearHead(model.classes, undefined, layer.outChannels);
}

/** The shape of the last layer's weights in a file. */
function headShape(model: Classifier, file: WeightsFile): Shape | undefined {
  const named = matchNames(model.mapWeights(file), model.stateDict().keys());
  return named.entries.get(`${lastLayer(model)?.[0]}.weight`)?.shape;
}

/** The last layer with weights, and its name. */
function lastLayer(model: Classifier): readonly [name: string, layer: Layer] | undefined {
  return model.leaves().findLast(([, { parameters }]) => "weight" in parameters);
}

/** Loads weights into a new model, on the given backend or on a new one that the model owns. */
export async function loadInto<M extends Classifier>(
  model: M,
  file: WeightsFile,
  options: LoadOptions & ValueOptions,
): Promise<M> {
  if (options.backend) {
    await loadTensors(model, options.backend, file, options);
    return model;
  }
  const backend = await createBackend();
  try {
    await loadTensors(model, backend, file, options);
    return model.own(backend);
  } catch (error) {
    backend.dispose();
    throw error;
  }
}

/** Loads weights from an open file; see {@linkcode loadWeights}. */
export async function loadTensors(
  model: Layer,
  backend: Backend,
  file: WeightsFile,
  options: Omit<LoadOptions, "backend"> & ValueOptions = {},
): Promise<void> {
  checkLoaded(model);
  const parameters = model.stateDict();
  for (const parameter of parameters.values()) loading.add(parameter);
  const check = (parameter: Parameter) => {
    if (parameter.backend) return;
    throw new PembrokeError(`${model.type}: was disposed while weights were loaded into it`);
  };
  let isChanged = false;
  try {
    const shapes = parameterShapes(model);
    const named = model instanceof Classifier ? model.mapWeights(file) : file;
    const weights = matchNames(named, shapes.keys());
    const isKnown = model instanceof Classifier && model.network !== undefined;
    checkWeights(weights, shapes, model.type, !isKnown);

    isChanged = true;
    forgetRanges(model);
    const total = [...shapes.values()].reduce((sum, shape) => sum + elements(shape), 0);
    let done = 0;
    for (const name of weights.order) {
      const parameter = parameters.get(name);
      if (!parameter) continue; // an integer such as num_batches_tracked
      parameter.allocate(backend);
      const written = (count: number) => options.onProgress?.(done += count, total);
      const write: WeightSink = (values, offset) => {
        options.signal?.throwIfAborted();
        check(parameter);
        parameter.write(values, offset);
        options.onValues?.(name, values);
        written(values.length);
      };
      const writeIntegers: IntegerSink = (integers, offset, scale) => {
        options.signal?.throwIfAborted();
        check(parameter);
        (parameter as RoundedWeight).writeIntegers(integers, offset, scale);
        written(integers.length);
      };
      const takesIntegers = parameter instanceof RoundedWeight && parameter.takesIntegers;
      await weights.read(
        name,
        write,
        takesIntegers && !options.onValues ? writeIntegers : undefined,
      );
    }
    parameters.forEach(check);
    if (file.metadata.has("input_ranges") && model instanceof Graph) {
      const { readRanges } = await import("./input_ranges.ts");
      readRanges(model, file);
    }
  } catch (error) {
    if (isChanged) leavesOf(model).forEach((layer) => layer.dispose()); // the backend stays
    throw error;
  } finally {
    for (const parameter of parameters.values()) loading.delete(parameter);
  }
}

async function toSource(
  op: string,
  weights: WeightsInput,
  signal?: AbortSignal,
): Promise<ByteSource> {
  const kind = kindOf(weights);
  if (kind === "String" || kind === "URL") return await openPlace(String(weights), signal);
  const bytes = asBytes(weights);
  if (bytes) return bytesSource(bytes);
  if (isBlob(weights)) return blobSource(weights);
  if (kind === "Response") return await responseSource(weights as Response, signal);
  if (kind === "ReadableStream") {
    const stream = weights as ReadableStream<Uint8Array>;
    if (stream.locked) throw new FileError("weights", "the stream is locked by another reader");
    return await streamSource(readChunks(stream, { signal, reuseBuffer: true }));
  }
  if (isSource(weights)) return weights;
  const expected =
    "a path, a URL, a Response, a Uint8Array, an ArrayBuffer, a Blob, a ReadableStream " +
    "or a ByteSource";
  throw new ArgumentError(op, "weights", weights, expected);
}

/** Opens a path, or a URL as a download. */
async function openPlace(place: string, signal?: AbortSignal): Promise<ByteSource> {
  if (!/^(https?|blob|data):/i.test(place)) {
    const { fileSource } = await import("../weights/io/file_source.ts"); // pages have no files
    return await fileSource(/^file:/i.test(place) ? new URL(place) : place);
  }
  const { response, body } = await request(place, { signal });
  return await streamSource(body, redactUrl(place), contentLength(response));
}

async function responseSource(response: Response, signal?: AbortSignal): Promise<ByteSource> {
  const name = redactUrl(response.url) || "weights";
  const body = await responseChunks(name, response, signal);
  return body
    ? await streamSource(body, name, contentLength(response))
    : bytesSource(new Uint8Array(0), name);
}
