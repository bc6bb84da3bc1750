/**
 * Where in a network to look: its scores, and its last map of features.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import type { LeafNode } from "../layers/graph_nodes.ts";
import { IndexedPool } from "../layers/indexed_pool.ts";
import type { Permute } from "../layers/permute.ts";
import { AdaptiveAvgPool2d, AvgPool2d } from "../layers/pool.ts";
import { ResampleLayer } from "../layers/resample.ts";
import { LogSoftmax, Softmax } from "../layers/softmax.ts";
import { Dropout } from "../layers/dropout.ts";
import { View } from "../layers/view.ts";
import type { Classifier } from "../models/classifier.ts";
import { sigmoidIndex } from "../models/classify.ts";
import { elements, sameShape, type Shape } from "../tensor.ts";

/** The index of the value that holds the scores: the output, before a softmax or a sigmoid. */
export function scoresIndex(model: Classifier): number {
  const { nodes, output } = model.expand(), sigmoid = sigmoidIndex(model);
  let index = sigmoid < 0 ? output : nodes[sigmoid].inputs[0];
  while (index >= 0 && isSoftmax(nodes[index].layer)) [index] = nodes[index].inputs;
  return index;
}

/**
 * The index of the last map of features, which Grad-CAM weighs: the output of the last convolution with
 * the normalisation, addition, concatenation and activation that follow it, before it is pooled.
 * Everything that the scores depend on leads through it.
 *
 * @throws {PembrokeError} When the network has no such value.
 */
export function featureMapIndex(model: Classifier): number {
  const { nodes } = model.expand(), maps = mapsOf(model, model.shapes(model.inputShape()));
  const scores = scoresIndex(model), candidates = bottlenecks(nodes, scores).filter((i) => maps[i]);
  const found = candidates.find((i) => !resizes(nodes[i].layer));
  if (found === undefined) {
    throw new PembrokeError(
      `${model.type}: Grad-CAM needs a layer with an output of more than one pixel that all paths lead ` +
        "through, and there is none; use saliency",
    );
  }
  if (arePatches(nodes, found, scores)) {
    throw new PembrokeError(
      `${model.type}: Grad-CAM needs a map of features, and this network only cuts the image into ` +
        "patches before its attention; use saliency",
    );
  }
  return found;
}

/** Layers that compute a linear map of the pixels, as a vision transformer cuts an image into patches. */
const linearLayers =
  /^(Conv.d|Linear|Permute|Reshape|Flatten|(Zero|Constant)Pad2d|ChannelAffine|BatchNorm2d)$/;

/** Whether a map is no more than patches of the image, and all else of the network is attention to them. */
function arePatches(nodes: readonly LeafNode[], map: number, scores: number): boolean {
  const open = [map];
  for (let i = open.pop(); i !== undefined; i = open.pop()) {
    if (!linearLayers.test(nodes[i].layer.type)) return false;
    for (const input of nodes[i].inputs) if (input >= 0) open.push(input);
  }
  const after = nodes.slice(map, scores);
  return after.some(({ layer }) => layer.type === "MatMul") &&
    after.some(({ layer }) => isSoftmax(layer)); // unlike bilinear pooling
}

/** The values that all paths from the input to the value `to` lead through, the last one first. */
export function bottlenecks(nodes: readonly LeafNode[], to: number): number[] {
  // Walks back from `to`. `open` holds the values that paths still lead to: at a bottleneck, only one.
  const open = new Set([to]), found: number[] = [];
  for (let i = to; i >= 0; i--) {
    if (!open.delete(i)) continue;
    if (open.size === 0) found.push(i);
    for (const input of nodes[i].inputs) open.add(input);
  }
  return found;
}

/** For each axis of a value, which axis of [N, C, H, W] it is. */
type Axes = readonly number[];

const planes: Axes = [0, 1, 2, 3], pixels: Axes = [0, 2, 3, 1];

/**
 * For each value of a network, whether it is a map: [N, C, H, W] with more than one pixel. Values with
 * the channels last have four axes, too.
 *
 * @param shapes The shapes of all values.
 */
export function mapsOf(model: Classifier, shapes: readonly Shape[]): boolean[] {
  const { nodes } = model.expand(), all: (Axes | undefined)[] = [];
  const input = model.preprocessing.layout === "nhwc" ? pixels : planes;
  for (const [i, { layer, inputs }] of nodes.entries()) {
    const [from] = inputs.map((at) => at < 0 ? input : all[at]).filter((axes) => axes);
    if (layer.type.startsWith("Conv")) all.push(planes);
    else if (isPermute(layer)) all.push(from && layer.dims.map((axis) => from[axis]));
    else if (layer instanceof View) all.push(all[sameBefore(nodes, shapes, i)]);
    else all.push(from);
  }
  return shapes.map((shape, i) => {
    return all[i]?.join() === planes.join() && shape.length === 4 && elements(shape.slice(2)) > 1;
  });
}

/**
 * The value before a view that has the same shape, and whose elements are in the same order; −1 if there
 * is none. Group normalisation may lie between them.
 */
function sameBefore(nodes: readonly LeafNode[], shapes: readonly Shape[], view: number): number {
  let at = view;
  do {
    if (isPermute(nodes[at].layer)) return -1;
    [at] = nodes[at].inputs;
  } while (at >= 0 && !sameShape(shapes[at], shapes[view]));
  return at;
}

/** Whether a layer only changes the size, or nothing: its input shows the same. */
function resizes(layer: LeafNode["layer"]): boolean {
  return layer instanceof IndexedPool || layer instanceof AvgPool2d || layer instanceof View ||
    layer instanceof AdaptiveAvgPool2d || layer instanceof ResampleLayer ||
    layer instanceof Dropout || /^(Zero|Constant)Pad/.test(layer.type);
}

/** Checks the name, because pages would have to load the class. So do the checks of "Conv" and "Pad". */
function isPermute(layer: LeafNode["layer"]): layer is Permute {
  return layer.type === "Permute";
}

function isSoftmax(layer: LeafNode["layer"]): boolean {
  return layer instanceof Softmax || layer instanceof LogSoftmax;
}
