/**
 * The classes of a classifier, and its predictions.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { Backend } from "../backend/mod.ts";
import type { RgbImage } from "../image/pixels.ts";
import { release } from "../image/release.ts";
import type { ClassName } from "./imagenet_classes.ts";
import { ArgumentError, PembrokeError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import { Hardtanh, Sigmoid } from "../layers/activation.ts";
import type { Graph } from "../layers/graph.ts";
import type { Layer } from "../layers/layer.ts";
import type { Parameter } from "../layers/parameter.ts";
import { RoundedWeight } from "../layers/rounded_weight.ts";
import type { Sequential } from "../layers/sequential.ts";
import { Dropout } from "../layers/dropout.ts";
import { View } from "../layers/view.ts";
import { disposeOnError } from "../ops/checks.ts";
import { elements, type Tensor, type Values } from "../tensor.ts";
import { numberedClasses } from "./network_classes.ts";

/** A class and its probability. */
export interface Prediction extends ClassName {
  /** The index of the class in the model. */
  readonly index: number;
  /**
   * The softmax of the logits, divided by the temperature of the model: from 0 to 1, and the sum over all
   * classes is 1. If the model ends in a `Sigmoid`, what that computes: each class has a probability of
   * its own. A single score decides between two classes: its sigmoid is the probability of the second.
   */
  readonly probability: number;
}

/**
 * Runs a classifier and returns the `topK` most probable classes of every sample. Of equally
 * probable classes, the lower index comes first.
 *
 * @param x A batch of preprocessed images, [N, 3, H, W].
 * @param topK The number of classes to return.
 * @throws {ArgumentError} When `topK` is not a positive integer.
 * @throws {PembrokeError} When the model is in training mode, weights are being loaded into it,
 * {@linkcode checkScores} throws, or an output is not finite. The message names the parameter that is
 * not finite.
 */
export async function topClasses(
  model: ImageClassifier,
  x: Tensor,
  topK: number,
): Promise<Prediction[][]> {
  if (!Number.isInteger(topK) || topK < 1) {
    throw new ArgumentError("classify", "topK", topK, "a positive integer");
  }
  checkLoaded(model);
  // Checked before the pass, because a −∞ may not show in the output: ReLU and softmax turn it into 0.
  const parameter = await findNonFinite(model);
  if (parameter) {
    throw new PembrokeError(
      `the output of ${model.type} is not finite: ${parameter} holds NaN or infinity`,
    );
  }
  // Checked again, because other code may have changed the model during the await. From here on, nothing
  // waits until the forward pass has begun.
  if (model.training) {
    throw new PembrokeError(`${model.type}: cannot classify in training mode; call eval() first`);
  }
  checkLoaded(model);
  const { classes, temperature } = model, areProbabilities = sigmoidIndex(model) >= 0;
  using logits = model.forward(x);
  const { shape: [count], size } = logits;
  checkScores(model, size / count);
  const values = await logits.read();
  if (!values.every(Number.isFinite)) {
    throw new PembrokeError(
      `the output of ${model.type} is not finite: its input is not, or its values overflow float32`,
    );
  }
  const scores = classScores(values, count, areProbabilities);
  const probabilities = areProbabilities ? scores : softmax(scores, count, temperature);
  return Array.from({ length: count }, (_, n) => {
    const row = probabilities.subarray(n * classes.length, (n + 1) * classes.length);
    return largestIndices(row, topK).map((index) => {
      const { wnid, label } = classes[index]; // a class may be a prediction itself
      return { index, wnid, label, probability: row[index] };
    });
  });
}

/**
 * Checks that a network computes scores of its classes.
 *
 * @param scores The number of scores for an image.
 * @throws {PembrokeError} When it has not as many classes as scores, or not two for a single score, or
 * when that is neither a logit nor the result of a sigmoid.
 */
export function checkScores(model: ImageClassifier, scores: number): void {
  const { classes } = model, count = classes.length, odd = scores === 1 && oddEnd(model);
  if (!odd && count === (scores === 1 ? 2 : scores)) return;
  let reason = "its output has one score for an image; pass the names of two classes";
  if (scores !== 1) {
    reason = `its output has ${scores} scores for an image, but ${count} classes; ` +
      "pass a name for each score";
  } else if (odd) {
    reason = `its score for an image comes from ${odd}, so it is no logit; ` +
      "make Linear or Sigmoid its last layer, or use forward()";
  } else if (count === 1 && classes[0].label !== numberedClasses(1)[0].label) {
    reason = "cannot classify with one class; use forward()";
  }
  throw new PembrokeError(`${model.type}: ${reason}`);
}

/** Layers whose output is a logit if their input is one. */
const logitLayers = /^(Add|Affine|ChannelAffine|BatchNorm.d|Permute|Slice|.*Pool.d)$/;

/**
 * The type of the layer after which a single score is no logit, or the node of a file. Undefined if the score
 * is a logit, or the probability of a sigmoid.
 */
function oddEnd(model: ImageClassifier): string | undefined {
  const { nodes, output } = model.expand();
  if (sigmoidIndex(model) >= 0) return undefined;
  let isPooled = false;
  for (let i = output; i >= 0; [i] = nodes[i].inputs) {
    const { layer } = nodes[i], { type } = layer;
    if (/^(Linear|Conv.d)$/.test(type)) return undefined;
    const isClamped = layer instanceof Hardtanh && layer.minVal >= 0;
    const keeps = keepsValues(layer) && !isClamped || logitLayers.test(type);
    const isUsual = keeps || type === "ReLU" && isPooled; // SqueezeNet averages after a ReLU
    if (!isUsual) return model.sourceOf?.(layer) ?? type;
    isPooled ||= type.includes("Pool");
  }
  return undefined;
}

/**
 * The scores of the classes: the outputs of a network, or two for each if there is one for an image. That
 * one is the score of the second class. The first has the rest of a probability, or the logit 0.
 *
 * @param count The number of images.
 * @param areProbabilities Whether the network ends in a sigmoid.
 */
export function classScores(
  outputs: Float32Array,
  count: number,
  areProbabilities: boolean,
): Float32Array {
  if (outputs.length !== count) return outputs;
  const scores = new Float32Array(2 * count);
  for (const [n, output] of outputs.entries()) {
    scores.set([areProbabilities ? 1 - output : 0, output], 2 * n);
  }
  return scores;
}

/**
 * The index of the `Sigmoid` by which a network computes probabilities, perhaps rounded to 8 bits. −1 if
 * there is none.
 */
export function sigmoidIndex(model: Graph): number {
  const { nodes, output } = model.expand();
  let i = output;
  while (i >= 0 && !(nodes[i].layer instanceof Sigmoid)) {
    i = keepsValues(nodes[i].layer) ? nodes[i].inputs[0] : -1;
  }
  return i;
}

/**
 * Whether a layer passes its input on, in evaluation mode, perhaps in another shape, rounded to 8 bits,
 * or clamped: the import of networks in 8 bits clamps with `Hardtanh`.
 */
export function keepsValues(layer: Layer): boolean {
  const isRounding = layer instanceof Hardtanh || layer.type === "FakeQuantize";
  return isRounding || layer instanceof View || layer instanceof Dropout;
}

/**
 * Returns the softmax of each row of scores, divided by the temperature. Computed here, and not by a
 * kernel, because the scores have been read to check them.
 */
function softmax(scores: Float32Array, rows: number, temperature: number): Float32Array {
  const size = scores.length / rows, probabilities = new Float32Array(scores.length);
  for (let start = 0; start < scores.length; start += size) {
    const row = scores.subarray(start, start + size);
    const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const exponentials = Float64Array.from(
      row,
      (score) => Math.exp((score - largest) / temperature),
    );
    const sum = exponentials.reduce((a, b) => a + b, 0);
    probabilities.set(exponentials.map((value) => value / sum), start);
  }
  return probabilities;
}

/** The parameters that weights are being loaded into. */
export const loading = new Set<Parameter>();

/** Throws a {@linkcode PembrokeError} while weights are being loaded: the result would be a mixture. */
export function checkLoaded(model: Layer): void {
  if (loading.size === 0) return; // listing the parameters would take time
  for (const parameter of model.stateDict().values()) {
    if (!loading.has(parameter)) continue;
    throw new PembrokeError(`${model.type}: other weights are being loaded; wait for them`);
  }
}

/** The versions of the tensors that are known to be finite. */
const finiteVersions = new WeakMap<Tensor<Values>, number>();

/** The tensor of a parameter whose version counts the changes of its values. */
export function versionedTensor(parameter: Parameter): Tensor<Values> | undefined {
  const { quantized, half } = parameter instanceof RoundedWeight ? parameter : {};
  return parameter.tensor ?? quantized?.scale ?? half;
}

/**
 * Returns the name of the first parameter that holds NaN or infinity, if there is one. A parameter is
 * read once, and again after each change.
 */
async function findNonFinite(model: Layer): Promise<string | undefined> {
  for (const [name, parameter] of model.stateDict()) {
    const tensor = versionedTensor(parameter);
    if (!tensor) continue;
    const { version } = tensor;
    if (finiteVersions.get(tensor) === version) continue;
    const { half } = parameter instanceof RoundedWeight ? parameter : {};
    if (!await (half ? isFiniteHalf(half) : isFiniteFloat(tensor as Tensor))) {
      return name;
    }
    finiteVersions.set(tensor, version);
  }
  return undefined;
}

/** Whether all values are finite. If the sum of their squares is, no copy is needed to find out. */
async function isFiniteFloat(tensor: Tensor): Promise<boolean> {
  if (Number.isFinite(await kernelsOf(tensor).squaredNorm(tensor))) return true;
  return (await tensor.read()).every(Number.isFinite);
}

async function isFiniteHalf(tensor: Tensor<Uint16Array>): Promise<boolean> {
  return (await tensor.read()).every((bits) => (bits & 0x7c00) !== 0x7c00);
}

/** Returns the indices of the k largest values. Of equal values, the lower index comes first. */
function largestIndices(values: Float32Array, k: number): number[] {
  return Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b).slice(0, k);
}

/** The part of a classifier that {@linkcode topClasses} uses. */
interface ImageClassifier extends Sequential {
  readonly classes: readonly ClassName[];
  readonly temperature: number;
  /** Describes what a layer comes from, in a network that was converted. */
  sourceOf?(layer: Layer): string | undefined;
}

/** The part of a model that {@linkcode uploadImages} uses. */
export interface ImageModel {
  readonly backend: Backend;
  inputShape(batch?: number): number[];
  preprocess(image: RgbImage): Float32Array;
}

/**
 * Preprocesses images, unless they are preprocessed, and uploads them as a batch. The caller disposes of
 * it.
 *
 * @throws {ArgumentError} When `images` is no list, or the number of values is invalid.
 */
export function uploadImages(
  op: string,
  model: ImageModel,
  images: readonly (RgbImage | Float32Array)[],
): Tensor {
  if (!Array.isArray(images)) throw new ArgumentError(op, "images", images, "a list of images");
  const { backend } = model, size = elements(model.inputShape());
  return disposeOnError(backend.empty(model.inputShape(images.length)), (x) => {
    for (const [i, image] of images.entries()) {
      const isPreprocessed = kindOf(image) === "Float32Array";
      const values = isPreprocessed ? image as Float32Array : model.preprocess(image as RgbImage);
      if (values.length !== size) {
        const expected = `${size}, for the shape [${model.inputShape().join(", ")}]`;
        throw new ArgumentError(op, "the number of values", values.length, expected);
      }
      backend.write(x, values, i * values.length);
      if (!isPreprocessed) release(values);
    }
    return x;
  });
}
