/**
 * Convolutions.
 *
 * @module
 */

import {
  Conv1d,
  Conv2d,
  ConvTranspose1d,
  ConvTranspose2d,
  ZeroPad2d,
} from "../../../layers/mod.ts";
import { isDepthwise } from "../../../ops/prepared_conv.ts";
import { formatShape } from "../../../weights/io/quote.ts";
import type { Shape } from "../../../tensor.ts";
import type { ParameterMapping } from "../../../weights/onnx/reader.ts";
import type { Operation } from "../builder.ts";
import type { NodeReader } from "../node.ts";
import type { Activation } from "../values.ts";
import { integerLayer } from "./quantization.ts";
import { mapWeight, vectorOf, weightOf } from "./parameters.ts";

/** The attributes that convolutions and pooling share: one number for each axis. */
export interface Window {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  /** All numbers before the input, then all after it: [top, left, bottom, right]. */
  readonly padding: readonly number[];
}

/**
 * Reads the attributes of a window.
 *
 * @param sizes The sizes of the input, such as [height, width].
 * @param kernel The size of the kernel, if the attribute is optional.
 */
export function readWindow(node: NodeReader, sizes: Shape, kernel?: Shape): Window {
  const axes = sizes.length, size = kernel ?? node.perAxis("kernel_shape", axes, 0);
  const stride = node.perAxis("strides", axes, 1), dilation = node.perAxis("dilations", axes, 1);
  const auto = node.text("auto_pad", "NOTSET");
  const given = { kernel: size, stride, dilation }, padding = node.perAxis("pads", 2 * axes, 0);
  if (auto === "NOTSET") return { ...given, padding };
  if (auto === "VALID") return { ...given, padding: padding.map(() => 0) };
  if (auto !== "SAME_UPPER" && auto !== "SAME_LOWER") {
    throw node.bad(`its attribute auto_pad is unknown: damaged`);
  }
  if (stride.some((step) => step !== 1)) node.scope.bindSize();
  const sums = sizes.map((length, i) => {
    const extent = (size[i] - 1) * dilation[i] + 1;
    return Math.max(0, (Math.ceil(length / stride[i]) - 1) * stride[i] + extent - length);
  });
  const first = auto === "SAME_UPPER" ? Math.floor : Math.ceil;
  const before = sums.map((sum) => first(sum / 2));
  return { ...given, padding: [...before, ...sums.map((sum, i) => sum - before[i])] };
}

/** Turns lists into what options of 1-D and 2-D layers take. */
export function pair(values: readonly number[]): readonly [number, number] {
  return values as unknown as [number, number];
}

/** As {@linkcode pair}, for [top, left, bottom, right]. */
export function sides(values: readonly number[]): readonly [number, number, number, number] {
  return values as unknown as [number, number, number, number];
}

/** Checks the ranks of an input and a weight, and returns the shape of the kernel. */
function checkKernel(node: NodeReader, x: Shape, weight: Shape): Shape {
  const kernel = weight.slice(2), axes = kernel.length;
  if (x.length !== weight.length || axes < 1 || axes > 2) {
    throw node.bad(
      `its input is ${formatShape(x)} and its weight ${formatShape(weight)}: ` +
        "only 1-D and 2-D convolutions are supported",
    );
  }
  const given = node.list("kernel_shape") ?? kernel;
  if (given.join() === kernel.join()) return kernel;
  throw node.bad(`its kernel_shape does not match its weight ${formatShape(weight)}`);
}

/** Reads the optional bias of a convolution. */
function biasOf(node: NodeReader, channels: number): { bias?: ParameterMapping } {
  return node.has(2) ? { bias: vectorOf(node, 2, "bias", channels) } : {};
}

export const conv: Operation = (node, build) => {
  const weight = weightOf(node, 1), [outChannels, groupChannels] = weight.shape;
  const input = node.activation(0), groups = node.number("group", 1);
  const isFloat = isDepthwise(weight.shape, groups);
  const integers = isFloat ? undefined : integerLayer(node, build, input, weight);
  const { x, margins } = takePadding(input);
  const kernel = checkKernel(node, x.shape, weight.shape);
  const window = readWindow(node, input.shape.slice(2), kernel);
  const { stride, dilation } = window;
  const padding = window.padding.map((side, i) => side + (margins[i] ?? 0));
  const parameters = { weight: mapWeight(weight), ...biasOf(node, outChannels) };
  const { algorithm, keepPacked } = build.options, bias = "bias" in parameters;
  const precision = build.precisionOf(integers !== undefined);
  const inChannels = groupChannels * groups, options = { groups, bias, keepPacked, precision };
  const layer = kernel.length === 2
    ? new Conv2d(inChannels, outChannels, pair(kernel), {
      ...{ stride: pair(stride), dilation: pair(dilation), padding: sides(padding) },
      ...{ ...options, algorithm },
    })
    : new Conv1d(inChannels, outChannels, kernel[0], {
      ...{ stride: stride[0], dilation: dilation[0], padding: pair(padding) },
      ...options,
    });
  if (integers) {
    layer.inputRange = integers.inputRange;
    layer.weightScales = integers.weightScales;
  }
  return build.apply(node, layer, [x], { parameters });
};

/** Leaves the padding before a convolution to the convolution. */
function takePadding(x: Activation): { x: Activation; margins: readonly number[] } {
  const { step } = x;
  if (!(step?.layer instanceof ZeroPad2d)) return { x, margins: [] };
  const [left, right, top, bottom] = [step.layer.padding].flat();
  const margins = [top, left, bottom, right];
  return margins.every((side) => side >= 0) ? { x: step.inputs[0], margins } : { x, margins: [] };
}

export const convTranspose: Operation = (node, build) => {
  const x = node.activation(0), weight = weightOf(node, 1), [inChannels, part] = weight.shape;
  const kernel = checkKernel(node, x.shape, weight.shape), axes = kernel.length;
  const groups = node.number("group", 1), outChannels = part * groups;
  const stride = node.perAxis("strides", axes, 1), dilation = node.perAxis("dilations", axes, 1);
  const extra = node.perAxis("output_padding", axes, 0), sizes = x.shape.slice(2);
  const { padding, missing } = cropping(node, sizes, { kernel, stride, dilation }, extra);
  const parameters = { weight: mapWeight(weight), ...biasOf(node, outChannels) };
  const bias = "bias" in parameters;
  const layer = axes === 2
    ? new ConvTranspose2d(inChannels, outChannels, pair(kernel), {
      ...{ stride: pair(stride), dilation: pair(dilation), padding: sides(padding) },
      ...{ outputPadding: pair(extra), groups, bias },
    })
    : new ConvTranspose1d(inChannels, outChannels, kernel[0], {
      ...{ stride: stride[0], dilation: dilation[0], padding: pair(padding) },
      ...{ outputPadding: extra[0], groups, bias },
    });
  const y = build.apply(node, layer, [x], { parameters });
  if (missing.every((size) => size === 0)) return y;
  if (bias || axes === 1) {
    throw node.bad(
      "its output is larger than what it computes: only supported in 2-D without a bias",
    );
  }
  const [bottom, right] = missing;
  return build.apply(node, new ZeroPad2d([0, right, 0, bottom]), [y], { suffix: ".pad" });
};

/**
 * Reads how much ConvTranspose crops; it may follow from the size of its output. That may be larger
 * than what it computes: then zeros are missing at the end.
 */
function cropping(
  node: NodeReader,
  sizes: Shape,
  { kernel, stride, dilation }: Omit<Window, "padding">,
  outputPadding: readonly number[],
): { readonly padding: readonly number[]; readonly missing: readonly number[] } {
  const axes = sizes.length, auto = node.text("auto_pad", "NOTSET");
  const pads = node.perAxis("pads", 2 * axes, 0);
  const isSame = auto === "SAME_UPPER" || auto === "SAME_LOWER";
  const output = node.list("output_shape")?.slice(-axes) ??
    (isSame ? sizes.map((size, i) => size * stride[i]) : undefined);
  if (!output) {
    return { padding: auto === "NOTSET" ? pads : pads.map(() => 0), missing: sizes.map(() => 0) };
  }
  node.scope.bindSize();
  const sums = sizes.map((size, i) =>
    stride[i] * (size - 1) + outputPadding[i] + (kernel[i] - 1) * dilation[i] + 1 - output[i]
  );
  const half = auto === "SAME_UPPER" ? Math.floor : Math.ceil;
  const both = sums.map((sum) => Math.max(0, sum)), before = both.map((sum) => half(sum / 2));
  const padding = [...before, ...both.map((sum, i) => sum - before[i])];
  return { padding, missing: sums.map((sum) => Math.max(0, -sum)) };
}
