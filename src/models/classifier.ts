/**
 * Networks that classify images.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import type { ClassName } from "./imagenet_classes.ts";
import { ArgumentError } from "../errors.ts";
import { preprocess, type Preprocessing, preprocessingNames } from "../image/preprocess.ts";
import type { RgbImage } from "../image/pixels.ts";
import { Conv2d } from "../layers/conv.ts";
import { Graph } from "../layers/graph.ts";
import type { GraphNode } from "../layers/graph_builder.ts";
import { initNames, type InitOptions } from "../layers/layer.ts";
import { AdaptiveAvgPool2d } from "../layers/pool.ts";
import type { Precision } from "../layers/precision.ts";
import { type Layers, nodesOf } from "../layers/sequential.ts";
import { checkInteger, checkNumber } from "../ops/checks.ts";
import { checkObject, checkOptions, checkSignal } from "../options.ts";
import { RandomGenerator } from "../random.ts";
import { type Tensor, withShape } from "../tensor.ts";
import type { WeightsFile } from "../weights/tensor_file.ts";
import type { Prediction } from "./classify.ts";
import { checkLoaded, topClasses, uploadImages } from "./classify.ts";
import { findHead, type Head, nodesWithHead } from "./head.ts";
import { newClassNames, toClassNames } from "./network_classes.ts";

/**
 * Options of {@linkcode Classifier}.
 */
export interface ClassifierOptions {
  /** The preprocessing of images. */
  readonly preprocessing: Preprocessing;
  /** The names of the classes: one for each output of the last layer, or two for a single output. */
  readonly classes: readonly (string | ClassName)[];
  /** The name of the node that computes the logits. Default: the last one. */
  readonly output?: string;
}

/**
 * A network with the preprocessing of its images and the names of its classes.
 *
 * @example Your own classifier
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { Conv2d, Flatten, Linear, ReLU } from "../layers/mod.ts";
 * import { Classifier } from "./classifier.ts";
 *
 * using backend = await createBackend();
 * using model = new Classifier(
 *   [new Conv2d(3, 4, 8, { stride: 8 }), new ReLU(), new Flatten(), new Linear(4 * 4 * 4, 2)],
 *   {
 *     preprocessing: { resize: 32, crop: 32, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
 *     classes: ["day", "night"],
 *   },
 * ).init(backend, { seed: 1 });
 * const photo = { width: 60, height: 40, data: new Uint8Array(60 * 40 * 3).fill(200) };
 * const [{ label, probability }] = await model.classify(photo);
 * console.log(label, probability);
 * ```
 */
export class Classifier extends Graph {
  /** The name of the network. */
  override readonly type: string = "Classifier";
  /** The name for {@linkcode createModel}. Undefined for networks that are not in its list. */
  readonly network: string | undefined;
  /** The preprocessing of images. */
  readonly preprocessing: Preprocessing;
  #classes: readonly ClassName[];
  #hasLinearHead = false;
  #temperature = 1;
  #ownBackend: Backend | undefined;

  /**
   * Creates the network without weights: call {@linkcode Layer.init} or load weights.
   *
   * @param layers The layers from [N, 3, crop, crop] to [N, classes] logits: in order, as for
   * {@linkcode Sequential}, or as the nodes of a {@linkcode Graph}.
   * @param options `preprocessing`; `classes`, their names; `output`, the node of the logits.
   * @throws {ArgumentError} When a layer or an option is invalid.
   */
  constructor(layers: Layers | readonly GraphNode[], options: ClassifierOptions) {
    checkOptions("Classifier", options, ["preprocessing", "classes", "output"]);
    const { preprocessing, classes, output } = options;
    checkObject("Classifier", "preprocessing", preprocessing);
    checkOptions("preprocessing", preprocessing, preprocessingNames);
    checkInteger("Classifier", "preprocessing.crop", preprocessing.crop, 1);
    const names = toClassNames("Classifier", classes);
    super(isNodes(layers) ? layers : nodesOf("Classifier", layers), { output });
    this.preprocessing = preprocessing;
    this.#classes = names;
  }

  /** The names of the classes, by index. */
  get classes(): readonly ClassName[] {
    return this.#classes;
  }

  /**
   * What logits are divided by before the softmax, so that 80 % of the predictions with a probability of
   * 80 % are right (Guo et al., "On Calibration of Modern Neural Networks", 2017). It does not change
   * which class is the most probable. Files of weights can have one; {@linkcode Classifier.replaceHead}
   * sets it to 1, the default.
   *
   * @throws {ArgumentError} When set to something else than a positive number.
   */
  get temperature(): number {
    return this.#temperature;
  }

  set temperature(value: number) {
    if (!(checkNumber(this.type, "temperature", value) > 0)) {
      throw new ArgumentError(this.type, "temperature", value, "a positive number");
    }
    this.#temperature = value;
  }

  /** Takes ownership of a backend: {@linkcode Classifier.dispose} disposes of it, too. */
  own(backend: Backend): this {
    this.#ownBackend = backend;
    return this;
  }

  /** Frees the memory of the parameters, and disposes of the backend if the model owns it. */
  override dispose(): void {
    super.dispose();
    this.#ownBackend?.dispose();
    this.#ownBackend = undefined;
  }

  /**
   * Returns a view of a file of weights with the names of this network's parameters. Here: the file.
   *
   * @internal
   */
  mapWeights(file: WeightsFile): WeightsFile {
    return file;
  }

  /** Number of classes. */
  get numClasses(): number {
    return this.classes.length;
  }

  /**
   * Number of values that {@linkcode Classifier.features} computes for a sample.
   *
   * @throws {PembrokeError} When the network has no last layer that takes features.
   */
  get featureCount(): number {
    return this.head.featureCount;
  }

  /**
   * The last layer with weights.
   *
   * @internal
   */
  get head(): Head {
    return findHead(this, this.inputShape());
  }

  /**
   * Whether a `Linear` has replaced a convolution as the last layer.
   *
   * @internal
   */
  get hasLinearHead(): boolean {
    return this.#hasLinearHead;
  }

  /**
   * Computes the features of images, in evaluation mode: the values that the last layer takes. New
   * classes are learned from them. If the last layer is a 1×1 convolution before an average over
   * the image, as in SqueezeNet, the features are the averages of its input.
   *
   * @param x A batch of preprocessed images.
   * @returns [N, featureCount]. The caller disposes of it.
   * @throws {PembrokeError} When the network is in training mode, has no values, has no last layer that
   * takes features, or weights are being loaded into it.
   *
   * @example
   * ```ts
   * import { createBackend } from "../backend/mod.ts";
   * import { createModel } from "./registry.ts";
   *
   * using backend = await createBackend();
   * using model = createModel("squeezenet1_1").init(backend);
   * using x = backend.upload(new Float32Array(3 * 224 * 224), [1, 3, 224, 224]);
   * using features = model.features(x);
   * console.log(features.shape); // [1, 512]
   * ```
   */
  features(x: Tensor): Tensor {
    checkLoaded(this);
    const { input, featureCount } = this.head, leaves = this.leaves();
    const [value] = input < 0 ? [x.view(x.shape)] : this.outputsOf(x, [leaves[input][0]]);
    if (value.shape.length === 2) return value;
    using values = value;
    return withShape(new AdaptiveAvgPool2d(1).forward(values), [x.shape[0], featureCount]);
  }

  /**
   * Replaces the last layer by a new {@linkcode Linear} for other classes, in place. It keeps its name.
   * A 1×1 convolution before an average over the image, as in SqueezeNet, becomes the average and a
   * `Linear`.
   *
   * If the network has values, the new layer gets the initial values of `torch.nn.Linear`, in float32.
   * Nested graphs are expanded: {@linkcode Graph.leaves} and {@linkcode Layer.stateDict} have the same
   * names as before. Graphs around this network take the new layer, too.
   *
   * @param classes The names of the classes.
   * @throws {ArgumentError} When there are no classes, or two have the same name.
   * @throws {PembrokeError} When the network has no last layer that can be replaced.
   *
   * @example
   * ```ts
   * import { createBackend } from "../backend/mod.ts";
   * import { createModel } from "./registry.ts";
   *
   * using backend = await createBackend();
   * using model = createModel("squeezenet1_1").init(backend);
   * model.replaceHead(["ant", "bee"], { seed: 1 });
   * console.log(model.numClasses, model.featureCount); // 2 512
   * ```
   */
  replaceHead(classes: readonly (string | ClassName)[], options: InitOptions = {}): this {
    const op = "replaceHead", names = newClassNames(op, classes);
    checkOptions(op, options, initNames);
    const { seed = 0, generator = new RandomGenerator(seed) } = options;
    const { backend } = this.head.layer.parameters.weight;
    this.useLinearHead(names, backend ? "f32" : undefined);
    if (!backend) return this;
    this.head.layer.init(backend, { generator });
    if (this.training) this.head.layer.train(this.generator);
    return this;
  }

  /**
   * Replaces the last layer by a `Linear` without values.
   *
   * @param precision How its weights will be stored. Default: as in the last layer.
   * @param count The number of its outputs. Default: one for each class.
   * @internal
   */
  useLinearHead(classes: readonly ClassName[], precision?: Precision, count?: number): void {
    const { head } = this;
    this.setNodes(nodesWithHead(this, head, count ?? classes.length, precision));
    head.layer.dispose();
    this.#classes = classes;
    this.#temperature = 1;
    this.#hasLinearHead ||= head.layer instanceof Conv2d;
  }

  /**
   * Returns the input shape for a batch of images, [batch, 3, crop, crop] unless the preprocessing
   * has a `cropWidth`, one channel, or the channels last.
   */
  inputShape(batch = 1): number[] {
    const { crop, cropWidth = crop, channels, layout } = this.preprocessing;
    const planes = checkInteger(this.type, "batch", batch, 1) && channels === "gray" ? 1 : 3;
    return layout === "nhwc" ? [batch, crop, cropWidth, planes] : [batch, planes, crop, cropWidth];
  }

  /**
   * Resizes, crops and normalises an image of any size, like torchvision.
   *
   * @returns The values of a tensor of {@linkcode Classifier.inputShape}.
   */
  preprocess(image: RgbImage): Float32Array {
    return preprocess(image, this.preprocessing);
  }

  /**
   * Classifies an image.
   *
   * @param image The image, or the result of {@linkcode Classifier.preprocess}.
   * @param options `topK` is the number of classes to return (default 5). With a `signal` that has
   * aborted, it rejects with the reason.
   * @returns The most probable classes, the most probable first.
   * @throws {ArgumentError} When `topK` or the number of values is invalid.
   * @throws {PembrokeError} When the model has no weights or is in training mode, has not as many classes
   * as scores, or not two for a single score, or its output is not a number.
   */
  async classify(
    image: RgbImage | Float32Array,
    options: { readonly topK?: number; readonly signal?: AbortSignal } = {},
  ): Promise<Prediction[]> {
    return (await this.classifyBatch([image], options))[0];
  }

  /**
   * Classifies a batch of images in one forward pass, which is faster than one pass each. The
   * probabilities match those of {@linkcode Classifier.classify} up to float32 rounding.
   *
   * @param images The images, or the results of {@linkcode Classifier.preprocess}.
   * @param options As for {@linkcode Classifier.classify}.
   * @returns The most probable classes of each image, the most probable first.
   * @throws {ArgumentError} When `topK` or the number of values is invalid.
   * @throws {PembrokeError} When the model has no weights or is in training mode, has not as many classes
   * as scores, or not two for a single score, or its output is not a number.
   */
  async classifyBatch(
    images: readonly (RgbImage | Float32Array)[],
    options: { readonly topK?: number; readonly signal?: AbortSignal } = {},
  ): Promise<Prediction[][]> {
    checkOptions("classify", options, ["topK", "signal"]);
    checkSignal("classify", options.signal);
    if (images?.length === 0) return [];
    using x = uploadImages("classify", this, images);
    return await topClasses(this, x, options.topK ?? 5);
  }

  /**
   * Finds the ranges of the inputs of convolutions from sample images, and stores them as their
   * `inputRange`. Convolutions in 8 bits then need not search each sample for its extremes. Call it
   * before {@linkcode Layer.quantize}, and again after training or {@linkcode loadWeights}. A few dozen
   * images are enough. {@linkcode saveModel} stores ranges, and {@linkcode loadModel} reads them back.
   *
   * @param images The images, or results of {@linkcode Classifier.preprocess}.
   * @throws {ArgumentError} When there are no images, or the number of values is invalid.
   * @throws {PembrokeError} When the model has no weights or is in training mode, weights are being loaded
   * into it, or a value is not finite.
   */
  async calibrate(images: Iterable<RgbImage | Float32Array>): Promise<this> {
    checkLoaded(this);
    const { calibrate } = await import("./calibrate.ts");
    await calibrate(this, images);
    return this;
  }
}

/** Returns whether layers are given as the nodes of a graph. */
function isNodes(layers: Layers | readonly GraphNode[]): layers is readonly GraphNode[] {
  const [first] = Array.isArray(layers) ? layers as readonly unknown[] : [];
  return typeof first === "object" && first !== null && "layer" in first;
}
