/**
 * AlexNet.
 *
 * @module
 */

import { ArgumentError, FileError } from "../errors.ts";
import { checkInteger, checkOptions } from "../ops/checks.ts";
import { imagenetPreprocessing } from "../image/preprocess.ts";
import {
  AdaptiveAvgPool2d,
  Conv2d,
  Dropout,
  Flatten,
  Linear,
  MaxPool2d,
  ReLU,
  Sequential,
} from "../layers/mod.ts";
import { classNames } from "./class_names.ts";
import { classesOf, networkOptionNames } from "./network_classes.ts";
import { Classifier } from "./classifier.ts";
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
import type { NetworkOptions } from "./network_options.ts";

/** Options of {@linkcode AlexNet}. The defaults are those of torchvision. */
export interface AlexNetOptions extends NetworkOptions {
  /** Output channels of the five convolutions. Default: 64, 192, 384, 256, 256. */
  readonly channels?: readonly [number, number, number, number, number];
  /** Features of the two hidden fully connected layers. Default: 4096. */
  readonly hiddenFeatures?: number;
}

const optionNames = [...networkOptionNames, "channels", "hiddenFeatures"] as const;

/**
 * The single-tower AlexNet ("One weird trick for parallelizing convolutional neural networks",
 * Krizhevsky 2014), `torchvision.models.alexnet`: [N, 3, 224, 224] → [N, numClasses] logits. Any
 * height and width of at least 63 works.
 *
 * @example Random weights, like `torch.manual_seed(0); torchvision.models.alexnet()`
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { AlexNet } from "./alexnet.ts";
 *
 * using backend = await createBackend();
 * using model = new AlexNet().init(backend, { seed: 0 });
 * const gray = { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3).fill(128) };
 * const [best] = await model.classify(gray);
 * console.log(best.probability); // about 0.001, like all 1000 classes
 * ```
 *
 * @example Weights in 8 bits: 61 MB instead of 244 MB
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { AlexNet } from "./alexnet.ts";
 *
 * using backend = await createBackend();
 * using model = new AlexNet({ precision: "int8" }).init(backend);
 * console.log(backend.bytesInUse); // 61 million
 * ```
 */
export class AlexNet extends Classifier {
  /** The name in `torchvision.models`. */
  override readonly type = "alexnet";
  /** See {@linkcode Classifier.network}. */
  override readonly network = "alexnet";

  /**
   * Creates the network without weights: call {@linkcode Layer.init} or load weights.
   *
   * @param options `channels` and `hiddenFeatures`, and the options of {@linkcode createModel}.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(options: AlexNetOptions = {}) {
    checkOptions("AlexNet", options, optionNames);
    const { dropout = 0.5, hiddenFeatures = 4096, algorithm, keepPacked, precision } = options;
    const stored = { algorithm, keepPacked, precision };
    const { preprocessing = imagenetPreprocessing } = options;
    const { channels = [64, 192, 384, 256, 256] } = options;
    if (!Array.isArray(channels) || channels.length !== 5) {
      throw new ArgumentError("AlexNet", "channels", channels, "five positive integers");
    }
    const [c1, c2, c3, c4, c5] = channels;
    const classes = classesOf("AlexNet", options, 1000, classNames);
    const { numClasses = classes.length } = options;
    checkInteger("AlexNet", "hiddenFeatures", hiddenFeatures, 1);
    super({
      features: new Sequential([
        new Conv2d(3, c1, 11, { stride: 4, padding: 2, ...stored }),
        new ReLU(),
        new MaxPool2d(3, { stride: 2 }),
        new Conv2d(c1, c2, 5, { padding: 2, ...stored }),
        new ReLU(),
        new MaxPool2d(3, { stride: 2 }),
        new Conv2d(c2, c3, 3, { padding: 1, ...stored }),
        new ReLU(),
        new Conv2d(c3, c4, 3, { padding: 1, ...stored }),
        new ReLU(),
        new Conv2d(c4, c5, 3, { padding: 1, ...stored }),
        new ReLU(),
        new MaxPool2d(3, { stride: 2 }),
      ]),
      avgpool: new AdaptiveAvgPool2d(6),
      flatten: new Flatten(),
      classifier: new Sequential([
        new Dropout(dropout),
        new Linear(c5 * 6 * 6, hiddenFeatures, { precision }),
        new ReLU(),
        new Dropout(dropout),
        new Linear(hiddenFeatures, hiddenFeatures, { precision }),
        new ReLU(),
        new Linear(hiddenFeatures, numClasses, { precision }),
      ]),
    }, { preprocessing, classes });
  }

  /**
   * Creates an AlexNet and loads its weights from a file. Use {@linkcode loadModel} for other
   * networks.
   *
   * @param options `weights`, and options of {@linkcode loadModel} and of the constructor.
   * @throws {FileError} When the file cannot be read, or holds the weights of another network.
   * @throws {ArgumentError} When an option is invalid.
   *
   * @example
   * ```ts ignore
   * using model = await AlexNet.load({ weights: "alexnet.pth" });
   * ```
   */
  static async load(options: AlexNetLoadOptions): Promise<AlexNet> {
    checkOptions("AlexNet.load", options, [...optionNames, ...loadNames, "weights", "backend"]);
    checkLoadOptions("AlexNet.load", options);
    const { weights, backend, files, onProgress, signal, ...own } = options;
    using file = await openInput(weights, signal, "AlexNet.load", files);
    const description = readDescription(file);
    if (description && description.architecture !== "alexnet") {
      const reason = `holds ${description.architecture}, not alexnet; load it with loadModel()`;
      throw new FileError(file.name, reason);
    }
    if (isOnnx(file) && file.graph.nodes.length > 0) {
      throw new FileError(file.name, "is an ONNX model with layers; load it with loadModel()");
    }
    const { classes = description?.classes, preprocessing = description?.preprocessing } = own;
    const { precision = storedPrecision(file) } = own;
    const all = { ...own, classes, preprocessing, precision };
    const model = await matchedNetwork(file, (single) => new AlexNet({ ...all, ...single }));
    checkInputSize(model, file);
    model.temperature = description?.temperature ?? 1;
    return await loadInto(model, file, { backend, onProgress, signal });
  }
}

/**
 * Options of {@linkcode AlexNet.load}.
 */
export interface AlexNetLoadOptions extends AlexNetOptions, LoadOptions {
  /**
   * The tensors of torchvision's AlexNet, as a PyTorch `.pth` file, a safetensors file, or an ONNX
   * file without layers.
   */
  readonly weights: WeightsInput;
}
