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
import { elements, type Shape } from "../../tensor.ts";
import type { WeightsFile } from "../../weights/mod.ts";
import { OnnxFile, type ParameterMapping } from "../../weights/onnx/reader.ts";
import type { OnnxGraph, OnnxNode } from "../../weights/onnx/graph.ts";
import { escapeText, formatShape } from "../../weights/io/quote.ts";
import { classesOf, Classifier, type ClassifierOptions, type ClassOptions } from "../classifier.ts";
import { layerFor, type LayerOptions } from "./layers.ts";
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
  mapWeights(file: WeightsFile): WeightsFile {
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
  const classes = classesOf("OnnxNetwork", options, numClasses);
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

/** Converts the nodes of a graph to layers. Each node must use the output of the node before it. */
function readSequence(file: OnnxFile, options: OnnxOptions): LayerSequence {
  const { graph } = file, layers = new Map<string, Layer>();
  const parameters = new Map<string, ParameterMapping>();
  const input = readInput(file, options.preprocessing?.crop);
  let { name: value, shape } = input, softmax = "";
  for (const node of graph.nodes) {
    const reader = new NodeReader(node, graph.tensors, file.name), [from = ""] = node.inputs;
    if (node.domain !== "") {
      throw reader.bad(`operations of ${escapeText(node.domain)} are not supported`);
    }
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
    const name = nameFor(node, layers);
    layers.set(name, mapped.layer);
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
    const shape = input.shape.map((size) => size ?? "any").join(", ");
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
 */
function nameFor(node: OnnxNode, layers: ReadonlyMap<string, Layer>): string {
  const fromWeight = /^(.+?)(?:\.weight|_w_0|_w)$/.exec(node.inputs[1] ?? "")?.[1];
  const fromModule = /\/([^/]+)\/[^/]+$/.exec(node.name)?.[1];
  const name = escapeText(fromWeight || fromModule || node.name || node.op);
  let unique = name;
  for (let i = 1; layers.has(unique); i++) unique = `${name}_${i}`;
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
