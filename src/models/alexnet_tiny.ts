/**
 * A small AlexNet for 64×64 images.
 *
 * @module
 */

import { tinyImagenetPreprocessing } from "../image/preprocess.ts";
import type { AlgorithmOptions } from "../ops/prepared_conv.ts";
// not layers/mod.ts: the command's default need not load all layers
import { ReLU } from "../layers/activation.ts";
import { Conv2d } from "../layers/conv.ts";
import type { Layer } from "../layers/layer.ts";
import { Linear } from "../layers/linear.ts";
import { BatchNorm2d } from "../layers/norm.ts";
import { MaxPool2d } from "../layers/pool.ts";
import type { PackingOptions, PrecisionOptions } from "../layers/precision.ts";
import { Sequential } from "../layers/sequential.ts";
import { Dropout } from "../layers/dropout.ts";
import { Flatten } from "../layers/view.ts";
import { checkBoolean, checkOptions } from "../ops/checks.ts";
import { elements } from "../tensor.ts";
import { classesOf, networkOptionNames } from "./network_classes.ts";
import { Classifier } from "./classifier.ts";
import type { NetworkOptions } from "./network_options.ts";

/** A convolution, a ReLU, and optionally a max pooling. */
interface Stage {
  readonly channels: number;
  readonly kernelSize: number;
  readonly stride?: number;
  /** Adds a max pooling that halves height and width. */
  readonly pool?: boolean;
}

/** The five convolutions. The comments give the output sizes. */
const stages: readonly Stage[] = [
  { channels: 48, kernelSize: 5, stride: 2 }, // → 32×32
  { channels: 96, kernelSize: 3, pool: true }, // → 16×16
  { channels: 160, kernelSize: 3, pool: true }, // → 8×8
  { channels: 256, kernelSize: 3 },
  { channels: 256, kernelSize: 3, pool: true }, // → 4×4
];
/** The features of the hidden fully connected layers. */
const hiddenFeatures: readonly number[] = [512];

/** Height and width of the input images. */
const side = 64;

/**
 * Options of {@linkcode AlexNetTiny}.
 */
export interface AlexNetTinyOptions extends NetworkOptions {
  /**
   * Adds a batch normalisation after each convolution, which then has no bias. It speeds up
   * training. {@linkcode foldBatchNorm} removes it afterwards. Default: false.
   */
  readonly batchNorm?: boolean;
}

/**
 * A small AlexNet for 64×64 images: five convolutions, three max poolings and two fully connected
 * layers, [N, 3, 64, 64] → [N, numClasses] logits. The bundled alexnet-tiny has 200 classes.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { AlexNetTiny } from "./alexnet_tiny.ts";
 *
 * using backend = await createBackend();
 * using model = new AlexNetTiny().init(backend, { seed: 1 });
 * using x = backend.upload(new Float32Array(3 * 64 * 64), model.inputShape());
 * using logits = model.forward(x);
 * console.log(logits.shape); // [1, 200]
 * ```
 */
export class AlexNetTiny extends Classifier {
  /** The name of the network. */
  override readonly type = "alexnet-tiny";
  /** See {@linkcode Classifier.network}. */
  override readonly network = "alexnet-tiny";

  /**
   * Creates the network without weights: call {@linkcode Layer.init} or load weights.
   *
   * @param options `batchNorm` adds a batch normalisation after each convolution (default false).
   * Also the options of {@linkcode createModel}.
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(options: AlexNetTinyOptions = {}) {
    checkOptions("AlexNetTiny", options, [...networkOptionNames, "batchNorm"]);
    const { batchNorm = false, dropout = 0.5, algorithm, keepPacked, precision } = options;
    const { preprocessing = tinyImagenetPreprocessing } = options;
    checkBoolean("AlexNetTiny", "batchNorm", batchNorm);
    const classes = classesOf("AlexNetTiny", options, 200);
    const { numClasses = classes.length } = options;
    const features = new Sequential(
      convolutions(batchNorm, { algorithm, keepPacked, precision }),
    );
    const inFeatures = elements(features.outputShape([1, 3, side, side]));
    const sizes = [inFeatures, ...hiddenFeatures, numClasses];
    super({
      features,
      flatten: new Flatten(),
      classifier: new Sequential(fullyConnected(sizes, dropout, precision)),
    }, { preprocessing, classes });
  }
}

function convolutions(
  batchNorm: boolean,
  options: AlgorithmOptions & PackingOptions & PrecisionOptions,
): Layer[] {
  let inChannels = 3;
  return stages.flatMap(({ channels, kernelSize, stride = 1, pool }) => {
    const padding = (kernelSize - 1) / 2;
    const conv = new Conv2d(inChannels, channels, kernelSize, {
      stride,
      padding,
      bias: !batchNorm,
      ...options,
    });
    inChannels = channels;
    const norm = batchNorm ? [new BatchNorm2d(channels)] : [];
    return [conv, ...norm, new ReLU(), ...(pool ? [new MaxPool2d(2)] : [])];
  });
}

function fullyConnected(
  sizes: readonly number[],
  dropout: number,
  precision: PrecisionOptions["precision"],
): Layer[] {
  return sizes.slice(1).flatMap((outFeatures, i) => {
    const last = i === sizes.length - 2;
    const linear = new Linear(sizes[i], outFeatures, { precision });
    return [new Dropout(dropout), linear, ...(last ? [] : [new ReLU()])];
  });
}
