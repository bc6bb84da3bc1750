/**
 * AlexNet.
 *
 * @module
 */

import { type Backend, createBackend } from "../backend/mod.ts";
import { ArgumentError, FileError } from "../errors.ts";
import { checkInteger } from "../ops/checks.ts";
import type { AlgorithmOptions } from "../ops/prepared_conv.ts";
import { imagenetPreprocessing, type Preprocessing } from "../image/preprocess.ts";
import {
  AdaptiveAvgPool2d,
  Conv2d,
  Dropout,
  Flatten,
  Linear,
  MaxPool2d,
  type PackingOptions,
  type PrecisionOptions,
  ReLU,
  Sequential,
} from "../layers/mod.ts";
import type { WeightsFile } from "../weights/mod.ts";
import { OnnxFile } from "../weights/onnx/reader.ts";
import { AlexNetTiny } from "./alexnet_tiny.ts";
import { bundledInput } from "./bundled.ts";
import { classesOf, Classifier, type ClassOptions } from "./classifier.ts";
import { type Architecture, readDescription } from "./description.ts";
import { fill, type LoadOptions, openInput, storedPrecision, type WeightsInput } from "./load.ts";
import { onnxNetwork } from "./onnx/network.ts";

/** How an AlexNet differs from the original, with 1000 classes of ImageNet. */
export interface AlexNetOptions extends ClassOptions, PrecisionOptions {
  /** What happens to an image before the first layer. Default: as torchvision's. */
  readonly preprocessing?: Preprocessing;
  /** Probability of dropout in training. Default 0.5. */
  readonly dropout?: number;
  /** Output channels of the five convolutions. Default 64, 192, 384, 256, 256. */
  readonly channels?: readonly [number, number, number, number, number];
  /** Features of the two hidden fully connected layers. Default 4096. */
  readonly hiddenFeatures?: number;
  /** How convolutions are computed: see {@linkcode AlgorithmOptions}. */
  readonly algorithm?: AlgorithmOptions["algorithm"];
  /** Whether convolutions keep their weights laid out, too: see {@linkcode PackingOptions}. */
  readonly keepPacked?: PackingOptions["keepPacked"];
}

/**
 * The single-tower AlexNet ("One weird trick for parallelizing convolutional neural networks",
 * Krizhevsky 2014), `torchvision.models.alexnet`: [N, 3, 224, 224] → [N, numClasses] logits. Any
 * height and width from 63 on will do.
 *
 * @example Randomly initialised, as `torch.manual_seed(0); torchvision.models.alexnet()`
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { AlexNet } from "./alexnet.ts";
 *
 * using backend = await createBackend();
 * using model = new AlexNet().init(backend, { seed: 0 });
 * const gray = { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3).fill(128) };
 * const [best] = await model.classify(gray);
 * console.log(best.probability); // about 0.001, as all 1000 of them
 * ```
 *
 * @example Fully connected weights in 8 bits: 59 MB for 234
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { AlexNet } from "./alexnet.ts";
 *
 * using backend = await createBackend();
 * using model = new AlexNet({ precision: "int8" }).init(backend); // or AlexNet.load({ …, precision: "int8" })
 * console.log(backend.bytesInUse); // 68 MB
 * ```
 */
export class AlexNet extends Classifier {
  /** The name in `torchvision.models`. */
  override readonly type = "AlexNet";

  /** Describes the network; it has no weights yet. */
  constructor(options: AlexNetOptions = {}) {
    const { dropout = 0.5, hiddenFeatures = 4096, algorithm, keepPacked, precision } = options;
    const { preprocessing = imagenetPreprocessing } = options;
    const [c1, c2, c3, c4, c5] = options.channels ?? [64, 192, 384, 256, 256];
    const classes = classesOf("AlexNet", options, 1000);
    checkInteger("AlexNet", "hiddenFeatures", hiddenFeatures, 1);
    super({
      features: new Sequential([
        new Conv2d(3, c1, 11, { stride: 4, padding: 2, algorithm, keepPacked }),
        new ReLU(),
        new MaxPool2d(3, { stride: 2 }),
        new Conv2d(c1, c2, 5, { padding: 2, algorithm, keepPacked }),
        new ReLU(),
        new MaxPool2d(3, { stride: 2 }),
        new Conv2d(c2, c3, 3, { padding: 1, algorithm, keepPacked }),
        new ReLU(),
        new Conv2d(c3, c4, 3, { padding: 1, algorithm, keepPacked }),
        new ReLU(),
        new Conv2d(c4, c5, 3, { padding: 1, algorithm, keepPacked }),
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
        new Linear(hiddenFeatures, classes.length, { precision }),
      ]),
    }, { preprocessing, classes });
  }

  /**
   * An AlexNet that knows something. Without weights it is the one that comes with the library:
   * {@linkcode AlexNetTiny}, which tells 200 classes apart and takes 3.4 MB, read from disk
   * (`--allow-read`) or, when the library itself was imported from a URL, fetched from there
   * (`--allow-net`). The npm package imports it from a module of its own.
   *
   * Weights go piece by piece from the file, or from the server's answer, to their place in the
   * backend's memory; no second copy exists at any time.
   *
   * @param options Where the weights come from and what computes; `classes` and `preprocessing` go
   * before what the file says, `precision` before how it holds the fully connected weights.
   * @throws {FileError} When the file cannot be read or is not for this model.
   * @throws {ArgumentError} When `weights` is nothing that weights come from.
   *
   * @example
   * ```ts
   * import { decodeImage } from "../image/mod.ts";
   * import { AlexNet } from "./alexnet.ts";
   *
   * using model = await AlexNet.load(); // AlexNet.load({ weights: "alexnet.pth" }) for 1000 classes
   * const photo = await Deno.readFile("tests/photos/chelsea.png");
   * for (const { label, probability } of await model.classify(await decodeImage(photo))) {
   *   console.log(label, probability); // cats
   * }
   * ```
   */
  static async load(options: AlexNetLoadOptions = {}): Promise<Classifier> {
    const { backend, weights = await bundledInput(), signal } = options;
    using file = await openInput(weights, signal, "AlexNet.load");
    const model = networkFor(file, options);
    if (backend) {
      await fill(model, backend, file, options);
      return model;
    }
    const own = await createBackend();
    try {
      await fill(model, own, file, options);
      return model.own(own);
    } catch (error) {
      own.dispose();
      throw error;
    }
  }
}

/** What {@linkcode AlexNet.load} takes; every part has a default. */
export interface AlexNetLoadOptions extends AlexNetOptions, LoadOptions {
  /** What computes. Default: what `createBackend()` makes, which is given back with the model. */
  readonly backend?: Backend;
  /**
   * A PyTorch `.pth` or a safetensors file: of torchvision's AlexNet, or one that says which network it
   * is for. Or an ONNX model: torchvision's AlexNet as `torch.onnx` exports it, that of ONNX's model zoo
   * (bvlcalexnet), or another whose nodes follow each other and are layers that there are. Of those, one
   * with local response normalisation or grouped convolutions is taken for Caffe's, and images are
   * prepared as {@linkcode caffePreprocessing} says. Default: the bundled weights.
   */
  readonly weights?: WeightsInput;
}

/** The network of this name, without weights. */
export function network(architecture: Architecture, options: AlexNetOptions = {}): Classifier {
  if (architecture === "alexnet") return new AlexNet(options);
  refuseSizes("AlexNetTiny", options);
  return new AlexNetTiny(options);
}

/** Refuses the options that only a network of AlexNet's own layout can follow. */
function refuseSizes(op: string, options: AlexNetOptions): void {
  for (const option of ["channels", "hiddenFeatures"] as const) {
    if (options[option] === undefined) continue;
    throw new ArgumentError(op, option, options[option], "left out");
  }
}

/**
 * The network that a file of weights is for, without them: the one it describes, that of an ONNX file
 * (unless it holds tensors alone) as {@linkcode onnxNetwork} makes it, or AlexNet.
 *
 * @param wanted The network to make, whatever the file describes.
 * @throws {FileError} When it describes what cannot be.
 */
export function networkFor(
  file: WeightsFile,
  options: AlexNetOptions = {},
  wanted?: Architecture,
): Classifier {
  const { precision = storedPrecision(file) } = options;
  if (file instanceof OnnxFile && file.graph.nodes.length > 0 && wanted === undefined) {
    refuseSizes("OnnxNetwork", options);
    return onnxNetwork(file, { ...options, precision });
  }
  const description = readDescription(file);
  if (!description || description.architecture !== (wanted ?? description.architecture)) {
    return network(wanted ?? "alexnet", { ...options, precision });
  }
  const { classes = description.classes, preprocessing = description.preprocessing } = options;
  const made = { ...options, classes, preprocessing, precision };
  const model = network(description.architecture, made);
  try {
    model.outputShape(model.inputShape());
  } catch (cause) {
    const side = preprocessing.crop;
    throw new FileError(
      file.name,
      `is for images of ${side}×${side}, which ${model.type} does not take`,
      { cause },
    );
  }
  return model;
}
