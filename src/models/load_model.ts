/**
 * Loading a network and its weights from a file.
 *
 * @module
 */

import type { WeightsFile } from "../weights/mod.ts";
import { OnnxFile } from "../weights/onnx/reader.ts";
import { AlexNet, type AlexNetOptions } from "./alexnet.ts";
import { AlexNetTiny } from "./alexnet_tiny.ts";
import { bundledInput } from "./bundled.ts";
import type { Classifier } from "./classifier.ts";
import { type Architecture, readDescription } from "./description.ts";
import {
  checkInputSize,
  loadInto,
  type LoadOptions,
  openInput,
  storedPrecision,
  type WeightsInput,
} from "./load.ts";
import { onnxNetwork } from "./onnx/network.ts";

/**
 * Options of every network.
 *
 * @internal
 */
export type ModelOptions = Omit<AlexNetOptions, "channels" | "hiddenFeatures">;

/** Options of {@linkcode loadModel}. */
export interface LoadModelOptions extends ModelOptions, LoadOptions {
  /**
   * A PyTorch `.pth` file, a safetensors file or an ONNX model. A safetensors file may describe its
   * network, and an ONNX model contains it. Other files must hold the tensors of torchvision's
   * AlexNet. Default: the bundled weights.
   */
  readonly weights?: WeightsInput;
}

/**
 * Loads a classifier. The file decides on the network, its classes and its preprocessing.
 *
 * Without `weights`, it loads the bundled {@linkcode AlexNetTiny} with 200 classes (3.4 MB), from
 * disk (`--allow-read`) or from the server that the library was imported from (`--allow-net`). In
 * the npm package, the weights are a module.
 *
 * Weights are copied to the backend in chunks, from a file or a download, so there is never a
 * second copy.
 *
 * An ONNX model can be any sequential graph of supported layers. If it has local response
 * normalisation or grouped convolutions, it is assumed to come from Caffe and uses
 * {@linkcode caffePreprocessing}.
 *
 * @param options `classes`, `preprocessing` and `precision` override those of the file.
 * @throws {FileError} When the file cannot be read, or its network is not supported.
 * @throws {ArgumentError} When `weights` is not a source of weights, or an option contradicts the
 * file.
 *
 * @example
 * ```ts
 * import { decodeImage } from "../image/mod.ts";
 * import { loadModel } from "./load_model.ts";
 *
 * using model = await loadModel(); // or loadModel({ weights: "alexnet.pth" })
 * const photo = await Deno.readFile("tests/photos/chelsea.png");
 * for (const { label, probability } of await model.classify(await decodeImage(photo))) {
 *   console.log(label, probability); // cats
 * }
 * ```
 */
export async function loadModel(options: LoadModelOptions = {}): Promise<Classifier> {
  const { weights = await bundledInput(), signal } = options;
  using file = await openInput(weights, signal, "loadModel", options.files);
  return await loadInto(modelFor(file, options), file, options);
}

/** Creates a network by name, without weights. */
export function createModel(
  architecture: Architecture,
  options: ModelOptions = {},
): AlexNet | AlexNetTiny {
  return architecture === "alexnet" ? new AlexNet(options) : new AlexNetTiny(options);
}

/**
 * Creates the network for a file, without weights: the one that the file describes, the graph of an
 * ONNX file, or else AlexNet.
 *
 * @param architecture The network to create, instead of the one in the file.
 * @throws {FileError} When the network in the file is invalid or not supported.
 */
export function modelFor(
  file: WeightsFile,
  options: ModelOptions = {},
  architecture?: Architecture,
): Classifier {
  const { precision = storedPrecision(file) } = options;
  if (file instanceof OnnxFile && file.graph.nodes.length > 0 && architecture === undefined) {
    return onnxNetwork(file, { ...options, precision });
  }
  const description = readDescription(file);
  if (!description || description.architecture !== (architecture ?? description.architecture)) {
    return createModel(architecture ?? "alexnet", { ...options, precision });
  }
  const { classes = description.classes, preprocessing = description.preprocessing } = options;
  const all = { ...options, classes, preprocessing, precision };
  const model = createModel(description.architecture, all);
  checkInputSize(model, file);
  return model;
}
