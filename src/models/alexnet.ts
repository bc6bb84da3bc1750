/**
 * AlexNet.
 *
 * @module
 */

import type { Backend } from "../backend.ts";
import { checkInteger } from "../ops/checks.ts";
import type { AlgorithmOptions } from "../ops/prepared_conv.ts";
import { imagenetPreprocessing, preprocess, type Preprocessing } from "../image/preprocess.ts";
import type { RgbImage } from "../image/pixels.ts";
import {
  AdaptiveAvgPool2d,
  Conv2d,
  Dropout,
  Flatten,
  Linear,
  MaxPool2d,
  type PrecisionOptions,
  ReLU,
  Sequential,
} from "../layers/mod.ts";
import { classNames, type Prediction, topClasses } from "./classify.ts";
import { type LoadOptions, loadWeights, type WeightsInput } from "./load.ts";

/** How an AlexNet differs from the original. */
export interface AlexNetOptions extends PrecisionOptions {
  /** Number of classes. Default 1000. */
  readonly numClasses?: number;
  /** Probability of dropout in training. Default 0.5. */
  readonly dropout?: number;
  /** Output channels of the five convolutions. Default 64, 192, 384, 256, 256. */
  readonly channels?: readonly [number, number, number, number, number];
  /** Features of the two hidden fully connected layers. Default 4096. */
  readonly hiddenFeatures?: number;
  /** How evaluation computes convolutions: see {@linkcode AlgorithmOptions}. */
  readonly algorithm?: AlgorithmOptions["algorithm"];
}

/**
 * The single-tower AlexNet ("One weird trick for parallelizing convolutional neural networks",
 * Krizhevsky 2014), `torchvision.models.alexnet`: [N, 3, 224, 224] → [N, numClasses] logits. Any
 * height and width from 63 on will do.
 *
 * @example Randomly initialised, as `torch.manual_seed(0); torchvision.models.alexnet()`
 * ```ts
 * import { createBackend } from "../backend.ts";
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
 * import { createBackend } from "../backend.ts";
 * import { AlexNet } from "./alexnet.ts";
 *
 * using backend = await createBackend();
 * using model = new AlexNet({ precision: "int8" }).init(backend); // or AlexNet.load(backend, …, { precision: "int8" })
 * console.log(backend.bytesInUse); // 68 MB
 * ```
 */
export class AlexNet extends Sequential {
  /** The name in `torch.nn`. */
  override readonly type = "AlexNet";
  /** What happens to an image before the first layer. */
  readonly preprocessing: Preprocessing = imagenetPreprocessing;
  /** Number of classes. */
  readonly numClasses: number;

  /** Describes the network; it has no weights yet. */
  constructor(options: AlexNetOptions = {}) {
    const { numClasses = 1000, dropout = 0.5, hiddenFeatures = 4096, algorithm, precision } =
      options;
    const [c1, c2, c3, c4, c5] = options.channels ?? [64, 192, 384, 256, 256];
    checkInteger("AlexNet", "numClasses", numClasses, 1);
    checkInteger("AlexNet", "hiddenFeatures", hiddenFeatures, 1);
    super({
      features: new Sequential([
        new Conv2d(3, c1, 11, { stride: 4, padding: 2, algorithm }),
        new ReLU(),
        new MaxPool2d(3, { stride: 2 }),
        new Conv2d(c1, c2, 5, { padding: 2, algorithm }),
        new ReLU(),
        new MaxPool2d(3, { stride: 2 }),
        new Conv2d(c2, c3, 3, { padding: 1, algorithm }),
        new ReLU(),
        new Conv2d(c3, c4, 3, { padding: 1, algorithm }),
        new ReLU(),
        new Conv2d(c4, c5, 3, { padding: 1, algorithm }),
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
    });
    this.numClasses = numClasses;
  }

  /**
   * An AlexNet with weights from a PyTorch `.pth` or a safetensors file.
   *
   * @throws {FileError} When the file cannot be read or is not for this model.
   */
  static async load(
    backend: Backend,
    weights: WeightsInput,
    options: AlexNetOptions & LoadOptions = {},
  ): Promise<AlexNet> {
    const model = new AlexNet(options);
    await loadWeights(model, backend, weights, options);
    return model;
  }

  /** The shape of a batch of its inputs. */
  inputShape(batch = 1): [number, number, number, number] {
    return [batch, 3, this.preprocessing.crop, this.preprocessing.crop];
  }

  /** Resizes, crops and normalises an image as torchvision does: a [3, 224, 224] tensor's values. */
  preprocess(image: RgbImage): Float32Array {
    return preprocess(image, this.preprocessing);
  }

  /**
   * The most probable classes of an image, the most probable first.
   *
   * @param image Its pixels, or what {@linkcode AlexNet.preprocess} made of them.
   * @throws {PembrokeError} When the weights make the output not a number.
   */
  async classify(
    image: RgbImage | Float32Array,
    options: { readonly topK?: number } = {},
  ): Promise<Prediction[]> {
    const values = image instanceof Float32Array ? image : this.preprocess(image);
    using x = this.backend.upload(values, this.inputShape());
    const classes = classNames(this.numClasses);
    const [predictions] = await topClasses(this, x, classes, options.topK ?? 5);
    return predictions;
  }
}
