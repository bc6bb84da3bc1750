/**
 * Converts a sequential ONNX graph to a network.
 *
 * @module
 */

import { ArgumentError } from "../../errors.ts";
import {
  caffePreprocessing,
  imagenetPreprocessing,
  type Preprocessing,
} from "../../image/preprocess.ts";
import { Conv2d, type Layer, LocalResponseNorm } from "../../layers/mod.ts";
import { parameterCount } from "../../layers/layer.ts";
import { elements, type Shape } from "../../tensor.ts";
import type { WeightsFile } from "../../weights/mod.ts";
import { OnnxFile, type ParameterMapping } from "../../weights/onnx/reader.ts";
import type { OnnxGraph, OnnxNode } from "../../weights/onnx/graph.ts";
import { escapeText, formatShape } from "../../weights/io/quote.ts";
import { classesOf, Classifier, type ClassifierOptions, type ClassOptions } from "../classifier.ts";
import { readClassNames } from "./class_names.ts";
import { layerFor, type LayerOptions, supportedOperations } from "./layers.ts";
import { NodeReader } from "./node.ts";

/** Options that complete or override the file. */
interface OnnxOptions extends ClassOptions, LayerOptions {
  readonly preprocessing?: Preprocessing;
}

/** The network of an ONNX file. */
export class OnnxNetwork extends Classifier {
  override readonly type = "OnnxNetwork";
  readonly #parameters: ReadonlyMap<string, ParameterMapping>;

  constructor({ layers, parameters }: LayerSequence, options: ClassifierOptions) {
    super(layers, options);
    this.#parameters = parameters;
  }

  /**
   * Returns a view of an ONNX file with this network's parameters. Returns other files unchanged.
   */
  override mapWeights(file: WeightsFile): WeightsFile {
    return file instanceof OnnxFile ? file.mapParameters(this.#parameters) : file;
  }
}

/**
 * Creates the network of an ONNX file, without weights. A softmax at the end is left out, because a
 * classifier returns logits.
 *
 * A network with local response normalisation or grouped convolutions is assumed to come from
 * Caffe, like the AlexNet of the ONNX model zoo, and uses {@linkcode caffePreprocessing}. Others
 * use that of torchvision.
 *
 * @throws {FileError} When the graph is not a sequence of supported layers from images to classes.
 * @throws {ArgumentError} When an option contradicts the file.
 */
export function onnxNetwork(file: OnnxFile, options: OnnxOptions = {}): OnnxNetwork {
  const sequence = readSequence(file, options), [, numClasses] = sequence.shape;
  if (sequence.shape.length !== 2) {
    throw file.bad(`its output is ${formatShape(sequence.shape)}, must be [N, classes]`);
  }
  const checkOption = (name: string, value: number, fileValue: number) => {
    if (value === fileValue) return;
    throw new ArgumentError("OnnxNetwork", name, value, `${fileValue}, as in ${file.name}`);
  };
  const names = options.numClasses === undefined && readClassNames(file.metadata, numClasses);
  const classes = classesOf(
    "OnnxNetwork",
    { ...(names && { classes: names }), ...options },
    numClasses,
  );
  checkOption("the number of classes", classes.length, numClasses);
  const usual = [...sequence.layers.values()].some(isCaffeLayer)
    ? caffePreprocessing
    : imagenetPreprocessing;
  const { preprocessing = scalePreprocessing(usual, sequence.side) } = options;
  checkOption("preprocessing.crop", preprocessing.crop, sequence.side);
  return new OnnxNetwork(sequence, { preprocessing, classes });
}

/** The layers of a graph. */
interface LayerSequence {
  /** The layers by name, in order. */
  readonly layers: ReadonlyMap<string, Layer>;
  /** The sources of the parameters in the file, by their names in the network. */
  readonly parameters: ReadonlyMap<string, ParameterMapping>;
  /** Height and width of the input images. */
  readonly side: number;
  /** The shape of the output, with the batch size in the file. */
  readonly shape: Shape;
}

/** The most values in a layer's output per image: 256 MB, a hundred times more than in AlexNet. */
const maxValues = 1 << 26;

/**
 * Layers may use a tensor of the file more than once. All together may have so many elements per
 * stored byte, and 64 MB more.
 */
const elementsPerByte = 2, maxExtraElements = 1 << 24;

/** Converts the nodes of a graph to layers. Each node must use the output of the node before it. */
function readSequence(file: OnnxFile, options: OnnxOptions): LayerSequence {
  const { graph } = file, layers = new Map<string, Layer>();
  const parameters = new Map<string, ParameterMapping>();
  checkOperations(file);
  const input = readInput(file, options.preprocessing?.crop);
  let elementsLeft = elementsPerByte * file.storedBytes + maxExtraElements;
  const suffixes = new Map<string, number>();
  let { name: value, shape } = input, softmax = "";
  for (const node of graph.nodes) {
    const reader = new NodeReader(node, graph.tensors, file.name), [from = ""] = node.inputs;
    if (from !== value) {
      throw reader.bad(
        `its input ${escapeText(from)} is not the output of the node before: ` +
          "only sequential graphs are supported",
      );
    }
    value = node.outputs[0] ?? "";
    if (node.op === "Softmax" || node.op === "LogSoftmax") {
      checkSoftmax(reader, shape);
      softmax = node.op;
      continue;
    }
    const mapped = toFileError(reader, () => layerFor(reader, shape, options));
    if (!mapped) continue;
    if (softmax) throw reader.bad(`it follows ${softmax}, which must be the last operation`);
    shape = toFileError(reader, () => mapped.layer.outputShape(shape));
    if (elements(shape) > maxValues * shape[0]) {
      throw reader.bad(`its output ${formatShape(shape)} is too large`);
    }
    const name = nameFor(node, layers, suffixes);
    layers.set(name, mapped.layer);
    elementsLeft -= parameterCount(mapped.layer);
    if (elementsLeft < 0) throw reader.bad("the graph uses its weights too many times");
    for (const [parameter, source] of Object.entries(mapped.parameters ?? {})) {
      parameters.set(`${name}.${parameter}`, source);
    }
  }
  if (value !== graph.outputs[0].name) {
    throw file.bad(
      `its output ${escapeText(graph.outputs[0].name)} is not the output of the last node`,
    );
  }
  return { layers, parameters, side: input.shape[2], shape };
}

/** Error messages name at most so many operations. */
const maxNames = 10;

/** Throws when there are operations that no layer computes. The message names all of them. */
function checkOperations(file: OnnxFile): void {
  const unsupported = new Set<string>();
  for (const { op, domain } of file.graph.nodes) {
    const isSupported = domain === "" &&
      (supportedOperations.includes(op) || op === "Softmax" || op === "LogSoftmax");
    if (!isSupported) unsupported.add(domain === "" ? op : `${domain}.${op}`);
  }
  if (unsupported.size === 0) return;
  const names = [...unsupported].slice(0, maxNames).map(escapeText);
  const more = unsupported.size > maxNames ? ` and ${unsupported.size - maxNames} more` : "";
  throw file.bad(
    `uses operations that are not supported: ${names.join(", ")}${more} ` +
      `(supported: ${supportedOperations.join(", ")}, Softmax at the end)`,
  );
}

/** Converts an {@linkcode ArgumentError} of a layer to an error of the node. */
function toFileError<T>(reader: NodeReader, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    if (cause instanceof ArgumentError) throw reader.bad(cause.message, { cause });
    throw cause;
  }
}

/** The largest height and width of images. */
const maxSide = 4096;

/**
 * Reads the input of a graph, which must be images.
 *
 * @param side The size of images, if the file leaves it open.
 */
function readInput(file: OnnxFile, side?: number): { name: string; shape: Shape } {
  const { inputs, outputs, tensors }: OnnxGraph = file.graph;
  const [input, ...more] = inputs.filter(({ name }) => !tensors.has(name));
  if (!input || more.length > 0 || outputs.length !== 1) {
    const count = (input ? 1 : 0) + more.length;
    throw file.bad(`has ${count} inputs and ${outputs.length} outputs, must have one of each`);
  }
  const [batch = 1, channels, height, width] = input.shape;
  const h = height ?? width ?? side ?? imagenetPreprocessing.crop, w = width ?? h;
  const isSquareImage = input.shape.length === 4 && channels === 3 && h === w && h <= maxSide;
  if (!isSquareImage || h < 1 || batch < 1) {
    const shape = input.shape.slice(0, 9).map((size) => size ?? "any").join(", ");
    throw file.bad(`its input is [${shape}], must be square images [N, 3, side, side]`);
  }
  return { name: input.name, shape: [batch, 3, h, w] };
}

function checkSoftmax(reader: NodeReader, shape: Shape): void {
  const axis = reader.number("axis", -1);
  if (shape.length === 2 && (axis === 1 || axis === -1)) return reader.checkUnread();
  throw reader.bad(
    `axis ${axis} of ${formatShape(shape)} is not supported, only the last of [N, classes]`,
  );
}

/**
 * Returns a unique name for the layer of a node: that of its weights ("features.0.weight", Caffe2's
 * "conv1_w_0"), of its PyTorch module ("/features/features.1/Relu"), of the node, or of the
 * operation.
 *
 * @param suffixes The last number that was appended to each name.
 */
function nameFor(
  node: OnnxNode,
  layers: ReadonlyMap<string, Layer>,
  suffixes: Map<string, number>,
): string {
  const fromWeight = /^(.+?)(?:\.weight|_w_0|_w)$/.exec(node.inputs[1] ?? "")?.[1];
  const fromModule = /\/([^/]+)\/[^/]+$/.exec(node.name)?.[1];
  const name = escapeText(fromWeight || fromModule || node.name || node.op);
  let unique = name, suffix = suffixes.get(name) ?? 0;
  while (layers.has(unique)) unique = `${name}_${++suffix}`;
  suffixes.set(name, suffix);
  return unique;
}

/** Returns whether a layer is typical of networks from Caffe. */
function isCaffeLayer(layer: Layer): boolean {
  return layer instanceof LocalResponseNorm ||
    layer instanceof Conv2d && (layer.options.groups ?? 1) > 1;
}

/** Scales the resize and crop of a preprocessing to another image size. */
function scalePreprocessing(preprocessing: Preprocessing, side: number): Preprocessing {
  const { resize, crop } = preprocessing;
  return { ...preprocessing, resize: Math.round(resize * side / crop), crop: side };
}
