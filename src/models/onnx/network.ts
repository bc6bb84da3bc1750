/**
 * An ONNX file as a network: its nodes, which must follow each other, as layers.
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

/** What the file does not say, or is not to decide. */
export interface OnnxOptions extends ClassOptions, LayerOptions {
  readonly preprocessing?: Preprocessing;
}

/** A network that an ONNX file describes. */
export class OnnxNetwork extends Classifier {
  override readonly type = "OnnxNetwork";
  readonly #parameters: ReadonlyMap<string, ParameterMapping>;

  constructor({ layers, parameters }: Chain, options: ClassifierOptions) {
    super(layers, options);
    this.#parameters = parameters;
  }

  /** A file's tensors under the names that its layers give them. */
  weightsIn(file: WeightsFile): WeightsFile {
    return file instanceof OnnxFile ? file.mapParameters(this.#parameters) : file;
  }
}

/**
 * The network that a file describes, without weights. A softmax at its end is left out: a classifier
 * gives logits.
 *
 * With local response normalisation or convolutions in groups it is of Caffe's family, as the model
 * zoo's AlexNet, and takes {@linkcode caffePreprocessing}; any other takes torchvision's.
 *
 * @throws {FileError} When it is no chain of layers that there are, from images to classes.
 */
export function onnxNetwork(file: OnnxFile, options: OnnxOptions = {}): OnnxNetwork {
  const chain = follow(file, options), [, numClasses] = chain.shape;
  if (chain.shape.length !== 2) {
    throw file.bad(`gives ${formatShape(chain.shape)}, a classifier gives [N, classes]`);
  }
  const agree = (what: string, given: number, found: number) => {
    if (given === found) return;
    throw new ArgumentError("OnnxNetwork", what, given, `${found}, as ${file.name} has`);
  };
  const classes = classesOf("OnnxNetwork", options, numClasses);
  agree("the number of classes", classes.length, numClasses);
  const family = [...chain.layers.values()].some(isCaffes)
    ? caffePreprocessing
    : imagenetPreprocessing;
  const { preprocessing = scaled(family, chain.side) } = options;
  agree("preprocessing.crop", preprocessing.crop, chain.side);
  return new OnnxNetwork(chain, { preprocessing, classes });
}

/** Layers by name, and what there is to know about them together. */
interface Chain {
  readonly layers: ReadonlyMap<string, Layer>;
  /** Where parameters come from, by the names that the network gives them. */
  readonly parameters: ReadonlyMap<string, ParameterMapping>;
  /** Of the images. */
  readonly side: number;
  /** Of the output, for a batch as the file has it. */
  readonly shape: Shape;
}

/** Values that a layer may give for one image: 256 MB, a hundred times what AlexNet's give. */
const mostValues = 1 << 26;

function follow(file: OnnxFile, options: OnnxOptions): Chain {
  const { graph } = file, layers = new Map<string, Layer>();
  const parameters = new Map<string, ParameterMapping>();
  const input = onlyInput(file, options.preprocessing?.crop);
  let { name: value, shape } = input, softmax = "";
  for (const node of graph.nodes) {
    const reader = new NodeReader(node, graph.tensors, file.name), [from = ""] = node.inputs;
    if (node.domain !== "") {
      throw reader.bad(`of ${escapeText(node.domain)}, which is not supported`);
    }
    if (from !== value) {
      throw reader.bad(
        `it takes ${escapeText(from)}, not what comes before: only chains are supported`,
      );
    }
    value = node.outputs[0] ?? "";
    if (node.op === "Softmax" || node.op === "LogSoftmax") {
      checkSoftmax(reader, shape);
      softmax = node.op;
      continue;
    }
    const made = attempt(reader, () => layerFor(reader, shape, options));
    if (!made) continue;
    if (softmax) throw reader.bad(`it comes after ${softmax}, which must be the end`);
    shape = attempt(reader, () => made.layer.outputShape(shape));
    if (elements(shape) > mostValues * shape[0]) {
      throw reader.bad(`it gives ${formatShape(shape)}, too many values`);
    }
    const name = nameFor(node, layers);
    layers.set(name, made.layer);
    for (const [parameter, from] of Object.entries(made.parameters ?? {})) {
      parameters.set(`${name}.${parameter}`, from);
    }
  }
  if (value !== graph.outputs[0].name) {
    throw file.bad(
      `gives ${escapeText(graph.outputs[0].name)}, which is not what its last node gives`,
    );
  }
  return { layers, parameters, side: input.shape[2], shape };
}

/** Refused by a layer is refused by the file. */
function attempt<T>(reader: NodeReader, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    if (cause instanceof ArgumentError) throw reader.bad(cause.message, { cause });
    throw cause;
  }
}

/** Sides of images beyond this are not meant. */
const largestSide = 4096;

/** The one input, which must be images; `side` for those whose size is free. */
function onlyInput(file: OnnxFile, side?: number): { name: string; shape: Shape } {
  const { inputs, outputs, tensors }: OnnxGraph = file.graph;
  const [input, ...more] = inputs.filter(({ name }) => !tensors.has(name));
  if (!input || more.length > 0 || outputs.length !== 1) {
    const count = (input ? 1 : 0) + more.length;
    throw file.bad(`has ${count} inputs and ${outputs.length} outputs, must have one of each`);
  }
  const [batch = 1, channels, height, width] = input.shape;
  const h = height ?? width ?? side ?? imagenetPreprocessing.crop, w = width ?? h;
  const fits = input.shape.length === 4 && channels === 3 && h === w && h <= largestSide;
  if (!fits || h < 1 || batch < 1) {
    const shape = input.shape.map((size) => size ?? "any").join(", ");
    throw file.bad(`takes [${shape}], only square images are supported: [N, 3, side, side]`);
  }
  return { name: input.name, shape: [batch, 3, h, w] };
}

function checkSoftmax(reader: NodeReader, shape: Shape): void {
  const axis = reader.number("axis", -1);
  if (shape.length === 2 && (axis === 1 || axis === -1)) return reader.done();
  throw reader.bad(`axis ${axis} of ${formatShape(shape)} is not supported, only of [N, classes]`);
}

/**
 * A name for a layer that no other has: that of its weights ("features.0.weight", Caffe2's "conv1_w_0"),
 * of the module that PyTorch made the node from ("/features/features.1/Relu"), of the node, or of the
 * operation.
 */
function nameFor(node: OnnxNode, taken: ReadonlyMap<string, Layer>): string {
  const fromWeight = /^(.+?)(?:\.weight|_w_0|_w)$/.exec(node.inputs[1] ?? "")?.[1];
  const fromModule = /\/([^/]+)\/[^/]+$/.exec(node.name)?.[1];
  const name = escapeText(fromWeight || fromModule || node.name || node.op);
  let unique = name;
  for (let i = 1; taken.has(unique); i++) unique = `${name}_${i}`;
  return unique;
}

function isCaffes(layer: Layer): boolean {
  return layer instanceof LocalResponseNorm ||
    layer instanceof Conv2d && (layer.options.groups ?? 1) > 1;
}

/** The same share of an image, for images of another size. */
function scaled(preprocessing: Preprocessing, side: number): Preprocessing {
  const { resize, crop } = preprocessing;
  return { ...preprocessing, resize: Math.round(resize * side / crop), crop: side };
}
