/**
 * Loading a network and its weights from a file.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { escapeText } from "../weights/io/quote.ts";
import type { WeightsFile } from "../weights/mod.ts";
import { OnnxFile } from "../weights/onnx/reader.ts";
import { bundledInput } from "./bundled.ts";
import type { Classifier } from "./classifier.ts";
import { readDescription } from "./description.ts";
import {
  checkInputSize,
  loadInto,
  type LoadOptions,
  openInput,
  storedPrecision,
  type WeightsInput,
} from "./load.ts";
import type { NetworkOptions } from "./network_options.ts";
import { classCount, preprocessingOf, recognize } from "./recognize.ts";
import { createModel, isNetworkName, networkInfo, type NetworkName } from "./registry.ts";

/** Options of {@linkcode loadModel}. */
export interface LoadModelOptions extends NetworkOptions, LoadOptions {
  /**
   * A PyTorch `.pth` file, a safetensors file, an ONNX model, or compressed weights (`.net`).
   * Default: the bundled weights.
   */
  readonly weights?: WeightsInput;
  /**
   * The network, as in {@linkcode createModel}. Default: the one that a safetensors file describes
   * or an ONNX model contains. Other files are recognised by the names and shapes of their tensors.
   */
  readonly model?: NetworkName;
}

/**
 * Loads a classifier. The file decides on the network, its classes and its preprocessing.
 * torchvision's files of all networks of {@linkcode createModel} load unchanged, with any number of
 * classes.
 *
 * Without `weights`, it loads the bundled {@linkcode AlexNetTiny} with 200 classes (3.4 MB), from
 * disk (`--allow-read`) or from the server that the library was imported from (`--allow-net`). In
 * the npm package, the weights are a module.
 *
 * Weights are copied to the backend in chunks, from a file or a download, so there is never a
 * second copy.
 *
 * An ONNX model can be any graph of supported operations with one input; see
 * {@linkcode OnnxNetwork}. If it has local response normalisation, it is assumed to come from Caffe
 * and uses {@linkcode caffePreprocessing}. Networks with other outputs than one value for each class
 * load, too, but do not classify: use `forward()` or `outputsOf()`.
 *
 * @param options `classes`, `preprocessing` and `precision` override those of the file.
 * @throws {FileError} When the file cannot be read, or its network is not known or not supported.
 * @throws {ArgumentError} When `weights` is not a source of weights, there is no such `model`, or an
 * option contradicts the file.
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
  const { weights = await bundledInput(), signal, model } = options;
  if (model !== undefined) networkInfo("loadModel", "model", model);
  using file = await openInput(weights, signal, "loadModel", options.files);
  return await loadInto(await modelFor(file, options, model), file, options);
}

/**
 * Creates the network for a file, without weights: the one that the file describes, the graph of an
 * ONNX file, or else the one whose parameters it holds.
 *
 * @param name The network to create, instead of the one in the file.
 * @throws {FileError} When the network in the file is invalid, not known or not supported.
 */
export async function modelFor(
  file: WeightsFile,
  options: NetworkOptions = {},
  name?: NetworkName,
): Promise<Classifier> {
  const { precision = storedPrecision(file) } = options;
  if (file instanceof OnnxFile && file.graph.nodes.length > 0 && name === undefined) {
    const { onnxNetwork } = await import("./onnx/convert.ts");
    return onnxNetwork(file, { ...options, precision });
  }
  const description = readDescription(file);
  if (!description || description.architecture !== (name ?? description.architecture)) {
    const network = name ?? recognize(file);
    const { classes, numClasses = classes ? undefined : classCount(file, network) } = options;
    const { preprocessing = preprocessingOf(file) } = options;
    return createModel(network, { ...options, numClasses, preprocessing, precision });
  }
  const { architecture } = description;
  if (!isNetworkName(architecture)) {
    const unknown = escapeText(architecture);
    throw new FileError(file.name, `holds ${unknown}, a network that this version does not know`);
  }
  const { classes = description.classes, preprocessing = description.preprocessing } = options;
  const model = createModel(architecture, { ...options, classes, preprocessing, precision });
  checkInputSize(model, file);
  return model;
}
