/**
 * Loading a network from whatever file it is in.
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
 * What every network takes; each part has a default.
 *
 * @internal
 */
export type ModelOptions = Omit<AlexNetOptions, "channels" | "hiddenFeatures">;

/** What {@linkcode loadModel} takes; each part has a default. */
export interface LoadModelOptions extends ModelOptions, LoadOptions {
  /**
   * A PyTorch `.pth`, a safetensors file or an ONNX model. A safetensors file may name its network;
   * an ONNX model is one. Other files must hold the tensors of torchvision's AlexNet. Default: the
   * bundled weights.
   */
  readonly weights?: WeightsInput;
}

/**
 * Loads a classifier. The file decides which network it is, its classes and its preprocessing.
 *
 * Without `weights`, it is the bundled {@linkcode AlexNetTiny}, which knows 200 classes in 3.4 MB. It
 * is read from disk (`--allow-read`), or fetched from where the library was imported
 * (`--allow-net`). The npm package imports it from a module.
 *
 * Weights go piece by piece from the file, or from the server's response, to the backend's memory.
 * There is never a second copy.
 *
 * ONNX: any sequential graph of supported layers. One with local response normalisation or grouped
 * convolutions is taken for Caffe's, whose images are prepared as {@linkcode caffePreprocessing}
 * says.
 *
 * @param options `classes` and `preprocessing` replace what the file says; `precision` replaces how
 * it stores the fully connected weights.
 * @throws {FileError} When the file cannot be read or holds no network that is supported.
 * @throws {ArgumentError} When `weights` is not a source of weights.
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
  using file = await openInput(weights, signal, "loadModel");
  return await loadInto(modelFor(file, options), file, options);
}

/** Makes the network of this name, without weights. */
export function createModel(
  architecture: Architecture,
  options: ModelOptions = {},
): AlexNet | AlexNetTiny {
  return architecture === "alexnet" ? new AlexNet(options) : new AlexNetTiny(options);
}

/**
 * Makes the network that a file is for, without weights: the one it describes, the graph of an ONNX
 * file, or AlexNet.
 *
 * @param wanted The network to make, whatever the file describes.
 * @throws {FileError} When the file describes a network that cannot exist.
 */
export function modelFor(
  file: WeightsFile,
  options: ModelOptions = {},
  wanted?: Architecture,
): Classifier {
  const { precision = storedPrecision(file) } = options;
  if (file instanceof OnnxFile && file.graph.nodes.length > 0 && wanted === undefined) {
    return onnxNetwork(file, { ...options, precision });
  }
  const description = readDescription(file);
  if (!description || description.architecture !== (wanted ?? description.architecture)) {
    return createModel(wanted ?? "alexnet", { ...options, precision });
  }
  const { classes = description.classes, preprocessing = description.preprocessing } = options;
  const all = { ...options, classes, preprocessing, precision };
  const model = createModel(description.architecture, all);
  checkInputSize(model, file);
  return model;
}
