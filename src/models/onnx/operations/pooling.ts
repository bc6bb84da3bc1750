/**
 * Pooling.
 *
 * @module
 */

import { AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d } from "../../../layers/mod.ts";
import { elements, type Shape } from "../../../tensor.ts";
import { formatShape } from "../../../weights/io/quote.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import type { NodeReader } from "../node.ts";
import type { Activation } from "../values.ts";
import { pair, readWindow, sides, type Window } from "./convolution.ts";

/** Checks that a layer pools one or two axes. */
function pooledSizes(node: NodeReader, { shape }: Activation): Shape {
  if (shape.length === 3 || shape.length === 4) return shape.slice(2);
  throw node.bad(`its input is ${formatShape(shape)}: only 1-D and 2-D pooling is supported`);
}

/** The options of a 2-D layer. */
function options2d({ stride, dilation, padding }: Window) {
  return { stride: pair(stride), dilation: pair(dilation), padding: sides(padding) };
}

/** The options of a 1-D layer. */
function options1d({ stride: [stride], dilation: [dilation], padding }: Window) {
  return { stride, dilation, padding: pair(padding) };
}

export const maxPool: Operation = (node, build) => {
  const x = node.activation(0), window = readWindow(node, pooledSizes(node, x));
  node.expect("storage_order", 0);
  const ceilMode = node.number("ceil_mode", 0) !== 0, { kernel } = window;
  const layer = kernel.length === 2
    ? new MaxPool2d(pair(kernel), { ...options2d(window), ceilMode })
    : new MaxPool1d(kernel[0], { ...options1d(window), ceilMode });
  return build.apply(node, layer, [x]);
};

export const averagePool: Operation = (node, build) => {
  const x = node.activation(0), sizes = x.shape.slice(2);
  if (sizes.length === 3) return averageDepth(node, build, x);
  return average(node, build, x, readWindow(node, pooledSizes(node, x)));
};

/** Averages [N, C, D, H, W] along D, as PyTorch does in local response normalisation. */
function averageDepth(node: NodeReader, build: LayerBuilder, x: Activation): Activation {
  const [batch, channels, depth, ...plane] = x.shape, window = readWindow(node, x.shape.slice(2));
  const { kernel, stride, padding } = window;
  const isAlong = [kernel, stride].every(([, ...sizes]) => sizes.every((size) => size === 1)) &&
    padding.every((side, i) => side === 0 || i % 3 === 0);
  if (!isAlong) pooledSizes(node, x); // says that it is not supported
  const [first, , , last] = padding;
  const y = average(node, build, build.view(node, x, [batch, channels, depth, elements(plane)]), {
    ...{ kernel: [kernel[0], 1], stride: [stride[0], 1], padding: [first, 0, last, 0] },
    dilation: window.dilation.slice(1),
  });
  return build.view(node, y, [batch, channels, y.shape[2], ...plane]);
}

function average(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  window: Window,
): Activation {
  const { kernel, stride, padding, dilation } = window;
  const ceilMode = node.number("ceil_mode", 0) !== 0;
  const countIncludePad = node.number("count_include_pad", 0) !== 0;
  if (dilation.some((step) => step !== 1)) throw node.bad("dilations are not supported");
  // PyTorch exports AlexNet's AdaptiveAvgPool2d(6) like this for images of 224×224.
  const isIdentity = [...kernel, ...stride].every((size) => size === 1) &&
    padding.every((side) => side === 0);
  if (isIdentity) return x;
  const layer = kernel.length === 2
    ? new AvgPool2d(pair(kernel), { ...options2d(window), ceilMode, countIncludePad })
    : new AvgPool1d(kernel[0], { ...options1d(window), ceilMode, countIncludePad });
  return build.apply(node, layer, [x]);
}

/** The mean or maximum of each channel. */
export function globalPool(kind: "mean" | "max"): Operation {
  return (node, build) => {
    const x = node.activation(0), axes = x.shape.map((_, axis) => axis).slice(2);
    if (axes.length > 0) return build.reduce(node, x, kind, axes);
    throw node.bad(`its input is ${formatShape(x.shape)}: it has no axes to pool`);
  };
}
