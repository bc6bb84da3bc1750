/**
 * Converts ONNX operations to layers, and finds their parameters in the file.
 *
 * Source: https://onnx.ai/onnx/operators/ (attributes and their defaults in all versions)
 *
 * @module
 */

import {
  AdaptiveAvgPool2d,
  AvgPool2d,
  BatchNorm1d,
  BatchNorm2d,
  Conv2d,
  Dropout,
  Flatten,
  type Layer,
  Linear,
  LocalResponseNorm,
  MaxPool2d,
  type PackingOptions,
  type PrecisionOptions,
  ReLU,
} from "../../layers/mod.ts";
import type { AlgorithmOptions } from "../../ops/prepared_conv.ts";
import { elements, type Shape } from "../../tensor.ts";
import type { ParameterMapping } from "../../weights/onnx/reader.ts";
import { formatShape } from "../../weights/io/quote.ts";
import type { NodeReader } from "./node.ts";

/** Options of the layers. */
export interface LayerOptions extends PrecisionOptions, AlgorithmOptions, PackingOptions {
  /** The probability of dropout in training mode, instead of the one in the file. */
  readonly dropout?: number;
}

/** A layer, and the source of each of its parameters in the file. */
interface MappedLayer {
  readonly layer: Layer;
  readonly parameters?: Readonly<Record<string, ParameterMapping>>;
}

/** Creates the layer of a node for an input shape. Returns undefined if the node does nothing. */
type LayerFactory = (
  node: NodeReader,
  input: Shape,
  options: LayerOptions,
) => MappedLayer | undefined;

const factories: ReadonlyMap<string, LayerFactory> = new Map<string, LayerFactory>([
  ["AveragePool", averagePool],
  ["BatchNormalization", batchNorm],
  ["Conv", conv],
  ["Dropout", dropout],
  ["Flatten", flatten],
  ["Gemm", gemm],
  ["GlobalAveragePool", () => ({ layer: new AdaptiveAvgPool2d(1) })],
  ["Identity", () => undefined],
  ["LRN", localResponseNorm],
  ["MaxPool", maxPool],
  ["Relu", () => ({ layer: new ReLU() })],
  ["Reshape", reshape],
]);

/** The operations that are supported. */
export const supportedOperations: readonly string[] = [...factories.keys()];

/**
 * Creates the layer of a node. Returns undefined if the node does nothing.
 *
 * @throws {FileError} When the operation or an attribute is not supported.
 */
export function layerFor(
  node: NodeReader,
  input: Shape,
  options: LayerOptions,
): MappedLayer | undefined {
  const create = factories.get(node.op);
  if (!create) throw node.bad("this operation is not supported");
  if (node.outputCount > 1 && node.op !== "MaxPool" && node.op !== "Dropout") {
    throw node.bad(
      node.op === "BatchNormalization"
        ? "it outputs the statistics of a batch, as in training mode: export the model after eval()"
        : `it has ${node.outputCount} outputs, only one is supported`,
    );
  }
  const mapped = create(node, input, options);
  node.checkUnread();
  return mapped;
}

function conv(
  node: NodeReader,
  input: Shape,
  { algorithm, keepPacked }: LayerOptions,
): MappedLayer {
  const weight = node.tensor(1, "weight"), { shape } = weight.tensor;
  if (input.length !== 4 || shape.length !== 4) {
    throw node.bad(
      `its weight is ${formatShape(shape)}: only 2-D convolutions are supported`,
    );
  }
  const [outChannels, groupChannels, height, width] = shape;
  const kernel = node.list("kernel_shape") ?? [height, width];
  if (kernel.join() !== `${height},${width}`) {
    throw node.bad(
      `its kernel_shape ${formatShape(kernel)} does not match its weight ${formatShape(shape)}`,
    );
  }
  const groups = node.number("group", 1), bias = node.has(2);
  const layer = new Conv2d(groupChannels * groups, outChannels, [height, width], {
    stride: node.pair("strides", 1),
    padding: node.pads(),
    dilation: node.pair("dilations", 1),
    groups,
    bias,
    algorithm,
    keepPacked,
  });
  const parameters = { weight: { tensor: weight.name, shape } };
  if (!bias) return { layer, parameters };
  return { layer, parameters: { ...parameters, bias: vector(node, 2, "bias", outChannels) } };
}

/** alpha · x · W + beta · C. W is [in, out], or [out, in] with transB. */
function gemm(node: NodeReader, input: Shape, { precision }: LayerOptions): MappedLayer {
  const { name, tensor: { shape } } = node.tensor(1, "weight");
  if (input.length !== 2 || shape.length !== 2) {
    throw node.bad(
      `it multiplies ${formatShape(input)} by ${formatShape(shape)}: both must be matrices`,
    );
  }
  node.expect("transA", 0);
  const transposed = node.number("transB", 0) === 0;
  const [outFeatures, inFeatures] = transposed ? [shape[1], shape[0]] : shape;
  const alpha = node.number("alpha", 1), beta = node.number("beta", 1);
  const bias = node.has(2) && beta !== 0;
  const layer = new Linear(inFeatures, outFeatures, { bias, precision });
  const parameters = {
    weight: { tensor: name, shape: [outFeatures, inFeatures], transposed, factor: alpha },
  };
  if (!bias) return { layer, parameters };
  const summand = { ...vector(node, 2, "bias", outFeatures), factor: beta };
  return { layer, parameters: { ...parameters, bias: summand } };
}

function batchNorm(node: NodeReader, input: Shape): MappedLayer {
  node.expect("spatial", 1);
  node.expect("training_mode", 0);
  node.expect("is_test", 1); // before opset 7
  const eps = node.number("epsilon", 1e-5), channels = input[1];
  const layer = input.length === 4
    ? new BatchNorm2d(channels, { eps })
    : new BatchNorm1d(channels, { eps });
  const parameters = {
    weight: vector(node, 1, "scale", channels),
    bias: vector(node, 2, "bias", channels),
    running_mean: vector(node, 3, "mean", channels),
    running_var: vector(node, 4, "variance", channels),
  };
  return { layer, parameters };
}

/** Maps a parameter of one axis. In the file, axes of size 1 may come before it. */
function vector(node: NodeReader, index: number, what: string, length: number): ParameterMapping {
  const { name, tensor: { shape, count } } = node.tensor(index, what);
  if (count === length && shape.at(-1) === length) return { tensor: name, shape: [length] };
  throw node.bad(`its ${what} is ${formatShape(shape)}, must be [${length}]`);
}

function maxPool(node: NodeReader): MappedLayer {
  node.expect("storage_order", 0);
  return {
    layer: new MaxPool2d(node.pair("kernel_shape", 0), {
      stride: node.pair("strides", 1),
      padding: node.pads(),
      dilation: node.pair("dilations", 1),
      ceilMode: node.number("ceil_mode", 0) !== 0,
    }),
  };
}

function averagePool(node: NodeReader): MappedLayer | undefined {
  const kernel = node.pair("kernel_shape", 0), stride = node.pair("strides", 1);
  const padding = node.pads(), dilation = node.pair("dilations", 1);
  const ceilMode = node.number("ceil_mode", 0) !== 0;
  const countIncludePad = node.number("count_include_pad", 0) !== 0;
  if (dilation.join() !== "1,1") throw node.bad("dilations are not supported");
  // PyTorch exports AlexNet's AdaptiveAvgPool2d(6) like this for images of 224×224.
  if ([...kernel, ...stride].join() === "1,1,1,1" && padding.every((side) => side === 0)) return;
  return { layer: new AvgPool2d(kernel, { stride, padding, ceilMode, countIncludePad }) };
}

/** For odd sizes, ONNX and PyTorch agree. The layer rejects even ones. */
function localResponseNorm(node: NodeReader): MappedLayer {
  const alpha = node.number("alpha", 1e-4), beta = node.number("beta", 0.75);
  const k = node.number("bias", 1);
  return { layer: new LocalResponseNorm(node.number("size", 0), { alpha, beta, k }) };
}

/** The probability is an attribute, or an input since opset 12. training_mode is ignored. */
function dropout(node: NodeReader, _input: Shape, options: LayerOptions): MappedLayer {
  const attribute = node.number("ratio", 0.5);
  const [ratio] = node.has(1) ? node.constant(1, "ratio") : [attribute];
  return { layer: new Dropout(options.dropout ?? ratio) };
}

function flatten(node: NodeReader, input: Shape): MappedLayer {
  const axis = node.number("axis", 1);
  if (axis === 1 || axis === 1 - input.length) return { layer: new Flatten() };
  throw node.bad(`axis ${axis} is not supported, only 1`);
}

/** Only [N, …] → [N, features]. The shape is an input, or an attribute before opset 5. */
function reshape(node: NodeReader, input: Shape): MappedLayer {
  const target = node.list("shape") ?? node.constant(1, "shape");
  const zeroCopies = node.number("allowzero", 0) === 0;
  const features = elements(input.slice(1)), [rows, columns, ...more] = target;
  const keepsBatch = rows === input[0] || rows === -1 || rows === 0 && zeroCopies;
  const flattens = columns === features || columns === -1 && rows !== -1;
  if (keepsBatch && flattens && more.length === 0) return { layer: new Flatten() };
  throw node.bad(
    `${formatShape(input)} to ${formatShape(target)} is not supported, only [N, ${features}]`,
  );
}
