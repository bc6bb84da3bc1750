/**
 * Loading a network and its weights from a file.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { checkOptions } from "../options.ts";
import { escapeText } from "../weights/io/quote.ts";
import type { WeightsFile } from "../weights/mod.ts";
import { bundledInput, bundledNetwork } from "./bundled.ts";
import type { Classifier } from "./classifier.ts";
import { readDescription } from "./description.ts";
import {
  checkInputSize,
  checkLoadOptions,
  isOnnx,
  loadInto,
  loadNames,
  type LoadOptions,
  matchedNetwork,
  openInput,
  storedPrecision,
  type WeightsInput,
} from "./load.ts";
import { networkOptionNames } from "./network_classes.ts";
import type { NetworkOptions } from "./network_options.ts";
import type { NetworkName } from "./registry.ts";

/** Options of {@linkcode loadModel}. */
export interface LoadModelOptions extends NetworkOptions, LoadOptions {
  /**
   * A PyTorch `.pth` file, a safetensors file, an ONNX model, or compressed weights (`.net`).
   * Default: the bundled weights of resnet-tiny.
   */
  readonly weights?: WeightsInput;
  /**
   * The network, as in {@linkcode createModel}. Default: the one that a safetensors file describes
   * or an ONNX model contains. Other files are recognised by the names and shapes of their tensors.
   */
  readonly model?: NetworkName;
  /**
   * The weights of the other layers, if `weights` has only the last one. They must be those that
   * the last layer was trained with, in a file of any format; `files` belong to it. Not read if
   * `weights` has all layers. See the option `headOnly` of {@linkcode saveModel}.
   */
  readonly base?: WeightsInput;
}

/**
 * Loads a classifier. The file decides which network it is, and which classes and preprocessing it
 * has. torchvision's files load unchanged for all networks of {@linkcode createModel}, with any
 * number of classes.
 *
 * Without `weights`, it loads the bundled resnet-tiny with 200 classes (3.7 MB), from
 * disk (`--allow-read`) or from the server that the library was imported from (`--allow-net`). In
 * the npm package, the weights are a module.
 *
 * Weights are copied to the backend in chunks, from a file or a download, so there is never a
 * second copy.
 *
 * An ONNX model can be any graph of supported operations with one input; see
 * {@linkcode OnnxNetwork}. If it has local response normalisation, it is assumed to come from Caffe
 * and uses {@linkcode caffePreprocessing}. A network whose output is not one value for each class
 * loads, but cannot classify: use `forward()` or `outputsOf()`. A single value decides between two
 * classes, whose names are needed if it is no probability, but a logit.
 *
 * @param options The `weights`, and how to load them. The options of {@linkcode createModel}, such as
 * `classes`, override what the file says. `files`, `signal` and `onProgress` are those of
 * {@linkcode loadWeights}.
 * @throws {FileError} When the file cannot be read, or its network is not known or not supported.
 * @throws {ArgumentError} When `weights` is not a source of weights or is missing for `model`, there is
 * no such `model`, or an option contradicts the file.
 *
 * @example
 * ```ts
 * import { decodeImage } from "../image/mod.ts";
 * import { loadModel } from "./load_model.ts";
 *
 * using model = await loadModel(); // or loadModel({ weights: "alexnet.pth" })
 * const photo = await Deno.readFile("tests/photos/coffee.jpg");
 * for (const { label, probability } of await model.classify(await decodeImage(photo))) {
 *   console.log(label, probability); // espresso first
 * }
 * ```
 */
export async function loadModel(options: LoadModelOptions = {}): Promise<Classifier> {
  const names = [...networkOptionNames, ...loadNames, "weights", "model", "base"] as const;
  checkOptions("loadModel", options, [...names, "backend"]);
  checkLoadOptions("loadModel", options);
  const { signal, model, base, files } = options;
  if (model !== undefined) {
    const { networkInfo } = await import("./registry.ts");
    networkInfo("loadModel", "model", model);
    if (model !== bundledNetwork && options.weights === undefined) {
      const expected = `a file for ${model}: without it, loadModel() loads ${bundledNetwork}`;
      throw new ArgumentError("loadModel", "weights", undefined, expected);
    }
  }
  const { weights = await bundledInput() } = options;
  // openInput() closes files that the weights do not need, but the base may need them
  const others = base === undefined ? files : {};
  using file = await openInput(weights, signal, "loadModel", others);
  const description = readDescription(file);
  if (description?.base !== undefined) {
    const { loadHead } = await import("./load_head.ts");
    return await loadHead(file, description, options, modelFor);
  }
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
  if (isOnnx(file) && file.graph.nodes.length > 0 && name === undefined) {
    const { onnxNetwork } = await import("./onnx/convert.ts");
    return await onnxNetwork(file, options); // only some of its layers may be in 8 bits
  }
  const { precision = storedPrecision(file) } = options, description = readDescription(file);
  if (!description || description.architecture !== (name ?? description.architecture)) {
    const { classCount, preprocessingOf, recognize } = await import("./recognize.ts");
    const network = name ?? recognize(file);
    const { classes, numClasses = classes ? undefined : classCount(file, network) } = options;
    const { preprocessing = preprocessingOf(file) } = options;
    const all = { ...options, numClasses, preprocessing, precision };
    return await matchedNetwork(file, (single) => createNetwork(network, { ...all, ...single }));
  }
  const { architecture, base } = description;
  if (base !== undefined) {
    const reason = `holds only the last layer of ${escapeText(architecture)}, not a network`;
    throw new FileError(file.name, reason);
  }
  if (!await isNetwork(architecture)) {
    const unknown = escapeText(architecture);
    throw new FileError(file.name, `holds ${unknown}, a network that this version does not know`);
  }
  const { classes = description.classes, preprocessing = description.preprocessing } = options;
  const all = { ...options, classes, preprocessing, precision };
  const model = await matchedNetwork(
    file,
    (single) => createNetwork(architecture as NetworkName, { ...all, ...single }),
  );
  checkInputSize(model, file);
  model.temperature = description.temperature ?? 1;
  return model;
}

/** Networks that the library may ship with. Creating one loads the code of no other network. */
const smallNetworks = /* @__PURE__ */ new Map<
  string,
  (options: NetworkOptions) => Promise<Classifier>
>([
  ["alexnet-tiny", async (options) => {
    const { AlexNetTiny } = await import("./alexnet_tiny.ts");
    return new AlexNetTiny(options);
  }],
  ["resnet-tiny", async (options) => {
    const { ResNetTiny } = await import("./resnet_tiny.ts");
    return new ResNetTiny(options);
  }],
]);

/** Creates a network by name. Options that are not those of networks are left out. */
async function createNetwork(name: NetworkName, options: NetworkOptions): Promise<Classifier> {
  const names: readonly string[] = networkOptionNames;
  const entries = Object.entries(options).filter(([key]) => names.includes(key));
  const own: NetworkOptions = Object.fromEntries(entries);
  const createSmall = smallNetworks.get(name);
  if (createSmall) return await createSmall(own);
  const { createModel } = await import("./registry.ts");
  return createModel(name, own);
}

async function isNetwork(name: string): Promise<boolean> {
  if (smallNetworks.has(name)) return true;
  const { isNetworkName } = await import("./registry.ts");
  return isNetworkName(name);
}
