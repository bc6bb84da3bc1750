/**
 * A network that says what is on an image.
 *
 * @module
 */

import type { Backend } from "../backend/mod.ts";
import type { ClassName } from "./imagenet_classes.ts";
import { ArgumentError } from "../errors.ts";
import { preprocess, type Preprocessing } from "../image/preprocess.ts";
import { release } from "../image/release.ts";
import type { RgbImage } from "../image/pixels.ts";
import type { Layer } from "../layers/layer.ts";
import { Sequential } from "../layers/sequential.ts";
import { checkInteger } from "../ops/checks.ts";
import { elements } from "../tensor.ts";
import { classNames, type Prediction, topClasses } from "./classify.ts";

/**
 * What a classifier knows besides its layers.
 *
 * @internal
 */
export interface ClassifierOptions {
  /** What happens to an image before the first layer. */
  readonly preprocessing: Preprocessing;
  /** A name for each number that the last layer gives. */
  readonly classes: readonly ClassName[];
}

/**
 * Layers, what happens to an image before them, and the names of what comes out.
 *
 * @example A classifier of one's own
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
 *     classes: [{ wnid: "", label: "day" }, { wnid: "", label: "night" }],
 *   },
 * ).init(backend, { seed: 1 });
 * const photo = { width: 60, height: 40, data: new Uint8Array(60 * 40 * 3).fill(200) };
 * const [{ label, probability }] = await model.classify(photo);
 * console.log(label, probability);
 * ```
 */
export class Classifier extends Sequential {
  /** The name of the network. */
  override readonly type: string = "Classifier";
  /** What happens to an image before the first layer. */
  readonly preprocessing: Preprocessing;
  /** The names of the classes, by index. */
  readonly classes: readonly ClassName[];
  #own: Backend | undefined;

  /**
   * Puts layers one after another.
   *
   * @param layers The layers in order, from [N, 3, crop, crop] to [N, classes] logits; in a list or
   * by name.
   */
  constructor(
    layers: readonly Layer[] | Readonly<Record<string, Layer>> | ReadonlyMap<string, Layer>,
    { preprocessing, classes }: ClassifierOptions,
  ) {
    super(layers);
    this.preprocessing = preprocessing;
    this.classes = classes;
  }

  /** Takes over a backend that was made for it alone: {@linkcode Classifier.dispose} disposes of it. */
  own(backend: Backend): this {
    this.#own = backend;
    return this;
  }

  /** See {@linkcode Sequential.dispose}. */
  override dispose(): void {
    super.dispose();
    this.#own?.dispose();
    this.#own = undefined;
  }

  /** Number of classes. */
  get numClasses(): number {
    return this.classes.length;
  }

  /** The shape of a batch of its inputs. */
  inputShape(batch = 1): [number, number, number, number] {
    return [batch, 3, this.preprocessing.crop, this.preprocessing.crop];
  }

  /**
   * Resizes, crops and normalises an image of any size: the values of a [3, crop, crop] tensor, as
   * torchvision computes them.
   */
  preprocess(image: RgbImage): Float32Array {
    return preprocess(image, this.preprocessing);
  }

  /**
   * The most probable classes of an image, the most probable first.
   *
   * @param image Its pixels, or what {@linkcode Classifier.preprocess} made of them.
   * @throws {PembrokeError} When the weights make the output not a number.
   */
  async classify(
    image: RgbImage | Float32Array,
    options: { readonly topK?: number } = {},
  ): Promise<Prediction[]> {
    const [predictions] = await this.classifyBatch([image], options);
    return predictions;
  }

  /**
   * The most probable classes of each of several images, in one pass of the network: faster than
   * one after the other. Their probabilities are those of {@linkcode Classifier.classify} to the
   * rounding of float32.
   *
   * @param images Pixels, or what {@linkcode Classifier.preprocess} made of them, of one image or more.
   * @throws {PembrokeError} When the weights make the output not a number.
   */
  async classifyBatch(
    images: readonly (RgbImage | Float32Array)[],
    options: { readonly topK?: number } = {},
  ): Promise<Prediction[][]> {
    if (images.length === 0) return [];
    const shape = this.inputShape(images.length), size = elements(this.inputShape());
    using x = this.backend.empty(shape);
    for (const [i, image] of images.entries()) {
      const given = image instanceof Float32Array;
      const values = given ? image : this.preprocess(image);
      if (values.length !== size) {
        const takes = `${size}, as the shape [${this.inputShape().join(", ")}] says`;
        throw new ArgumentError("classify", "the number of values", values.length, takes);
      }
      this.backend.write(x, values, i * values.length);
      if (!given) release(values);
    }
    return await topClasses(this, x, this.classes, options.topK ?? 5);
  }
}

/**
 * How many classes, and what they are called.
 *
 * @internal
 */
export interface ClassOptions {
  /** Number of classes. */
  readonly numClasses?: number;
  /** Their names; ImageNet's for 1000, bare numbers otherwise. */
  readonly classes?: readonly ClassName[];
}

/** The names of a network's classes, from its options. */
export function classesOf(
  op: string,
  { numClasses, classes }: ClassOptions,
  count: number,
): readonly ClassName[] {
  const names = classes ?? classNames(checkInteger(op, "numClasses", numClasses ?? count, 1));
  if (names.length === 0) throw new ArgumentError(op, "classes", "empty", "a name for each class");
  if (names.length !== (numClasses ?? names.length)) {
    throw new ArgumentError(op, "numClasses", numClasses, `${names.length}, as many as classes`);
  }
  return names;
}
