/**
 * Caffe's AlexNet.
 *
 * @module
 */

import type { Preprocessing } from "../image/preprocess.ts";
import {
  Conv2d,
  Dropout,
  Flatten,
  Linear,
  LocalResponseNorm,
  MaxPool2d,
  ReLU,
} from "../layers/mod.ts";
import { classNames } from "./class_names.ts";
import { classesOf } from "./network_classes.ts";
import { Classifier } from "./classifier.ts";
import type { NetworkOptions } from "./network_options.ts";

/**
 * The preprocessing of BVLC AlexNet, and of SqueezeNet as it was trained in Caffe: blue, green and
 * red from 0 to 255, minus their means, and a crop of 227.
 *
 * Source: `train_val.prototxt` of https://github.com/DeepScale/SqueezeNet (SqueezeNet_v1.0).
 */
export const caffe227Preprocessing: Preprocessing = {
  resize: 256,
  crop: 227,
  mean: [123 / 255, 117 / 255, 104 / 255],
  std: [1 / 255, 1 / 255, 1 / 255],
  channels: "bgr",
  rounding: "caffe",
};

/**
 * BVLC AlexNet, the network of "ImageNet Classification with Deep Convolutional Neural Networks"
 * (Krizhevsky, Sutskever, Hinton 2012) as Caffe trained it: [N, 3, 227, 227] → [N, numClasses] logits.
 * It has two groups in three of its convolutions, and local response normalisation.
 *
 * Source: https://github.com/BVLC/caffe/tree/master/models/bvlc_alexnet
 *
 * @example
 * ```ts
 * import { BvlcAlexNet } from "./bvlc_alexnet.ts";
 *
 * using model = new BvlcAlexNet();
 * console.log(model.outputShape(model.inputShape())); // [1, 1000]
 * ```
 */
export class BvlcAlexNet extends Classifier {
  /** The name of the network. */
  override readonly type = "bvlc_alexnet";
  /** See {@linkcode Classifier.network}. */
  override readonly network = "bvlc_alexnet";

  /**
   * Creates the network without weights: call {@linkcode Layer.init} or load weights.
   *
   * @throws {ArgumentError} When an option is invalid.
   */
  constructor(options: NetworkOptions = {}) {
    const { dropout = 0.5, algorithm, keepPacked, precision } = options;
    const { preprocessing = caffe227Preprocessing } = options;
    const classes = classesOf("BvlcAlexNet", options, 1000, classNames);
    const { numClasses = classes.length } = options;
    const packing = { algorithm, keepPacked, precision }, pairs = { groups: 2, ...packing };
    const pool = () => new MaxPool2d(3, { stride: 2, ceilMode: true });
    const norm = () => new LocalResponseNorm(5, { alpha: 1e-4, beta: 0.75, k: 1 });
    super({
      conv1: new Conv2d(3, 96, 11, { stride: 4, ...packing }),
      relu1: new ReLU(),
      norm1: norm(),
      pool1: pool(),
      conv2: new Conv2d(96, 256, 5, { padding: 2, ...pairs }),
      relu2: new ReLU(),
      norm2: norm(),
      pool2: pool(),
      conv3: new Conv2d(256, 384, 3, { padding: 1, ...packing }),
      relu3: new ReLU(),
      conv4: new Conv2d(384, 384, 3, { padding: 1, ...pairs }),
      relu4: new ReLU(),
      conv5: new Conv2d(384, 256, 3, { padding: 1, ...pairs }),
      relu5: new ReLU(),
      pool5: pool(),
      flatten: new Flatten(),
      fc6: new Linear(256 * 6 * 6, 4096, { precision }),
      relu6: new ReLU(),
      drop6: new Dropout(dropout),
      fc7: new Linear(4096, 4096, { precision }),
      relu7: new ReLU(),
      drop7: new Dropout(dropout),
      fc8: new Linear(4096, numClasses, { precision }),
    }, { preprocessing, classes });
  }
}
