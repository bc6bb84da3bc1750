/**
 * Converts an ONNX graph to a network. Loaded with the first ONNX file.
 *
 * @module
 */

import { ArgumentError } from "../../errors.ts";
import {
  caffePreprocessing,
  imagenetPreprocessing,
  type Preprocessing,
} from "../../image/preprocess.ts";
import { graphInput, type GraphNode } from "../../layers/graph_builder.ts";
import { parameterCount } from "../../layers/parameter.ts";
import {
  Identity,
  type Layer,
  LocalResponseNorm,
  LogSoftmax,
  Reshape,
  Sigmoid,
  Softmax,
} from "../../layers/mod.ts";
import { elements, sameShape } from "../../tensor.ts";
import { escapeText } from "../../weights/io/quote.ts";
import type { OnnxFile, ParameterMapping } from "../../weights/onnx/reader.ts";
import { classNames } from "../class_names.ts";
import { keepsValues } from "../classify.ts";
import { classesOf, type ClassOptions } from "../network_classes.ts";
import type { LayerOptions } from "./builder.ts";
import { readClassNames } from "./class_names.ts";
import { GraphImport } from "./importer.ts";
import { readInput } from "./input.ts";
import { describeNodes, LayerNames, titleOf } from "./names.ts";
import { NodeError } from "./node.ts";
import { type Activation, type LayerStep, stepsOf } from "./values.ts";
import { type OnnxLayers, OnnxNetwork } from "./network.ts";

/** Options that complete or override the file. */
interface OnnxOptions extends ClassOptions, LayerOptions {
  readonly preprocessing?: Preprocessing;
}

/**
 * Creates the network of an ONNX file, without weights. A softmax at the end is left out of a
 * classifier, which returns logits.
 *
 * A network with local response normalisation is assumed to come from Caffe, like the AlexNet of the
 * ONNX model zoo, and uses {@linkcode caffePreprocessing}. Others use that of torchvision.
 *
 * @throws {FileError} When the graph is not supported. The message names all nodes that are not.
 * @throws {ArgumentError} When an option contradicts the file.
 */
export async function onnxNetwork(
  file: OnnxFile,
  options: OnnxOptions = {},
): Promise<OnnxNetwork> {
  const layers = await importLayers(file, options), { scores, endsInSigmoid, input } = layers;
  const [output] = layers.outputs.values(), { image } = input;
  const numClasses = scores === 1 ? 2 : scores; // a single score decides between two
  const checkOption = (name: string, value: number | undefined, fileValue: number) => {
    if (value === undefined || value === fileValue) return;
    throw new ArgumentError("OnnxNetwork", name, value, `${fileValue}, as in ${file.name}`);
  };
  const names = options.numClasses === undefined && readClassNames(file.metadata, numClasses);
  const classOptions = { ...(names && { classes: names }), ...options };
  const unnamed = endsInSigmoid ? numClasses : scores; // another single score may be no logit
  const count = options.numClasses === unnamed ? numClasses : options.numClasses;
  checkOption("the number of classes", options.classes?.length ?? count, numClasses);
  const classes = scores > 0 ? classesOf("OnnxNetwork", classOptions, unnamed, classNames) : [];
  let { preprocessing = defaultPreprocessing(layers) } = options;
  if (image) {
    const { channels, isLast } = image;
    preprocessing = {
      ...preprocessing,
      ...(channels === 1 && { channels: "gray" }),
      ...(isLast && { layout: "nhwc" }),
    };
    const { crop, cropWidth = crop } = preprocessing;
    checkOption("preprocessing.crop", crop, image.height);
    checkOption("preprocessing.cropWidth", cropWidth, image.width);
  }
  return new OnnxNetwork(layers, { preprocessing, classes, output });
}

/**
 * The number of scores for each image: the size of the only output, [N, scores] or [N]. 0 if the outputs
 * are others, or if a softmax makes 1 of a single score.
 */
function scoreCount([output, second]: readonly Activation[]): number {
  const [, axis = 1, ...others] = output.shape, isClassifier = !second && elements(others) === 1;
  return isClassifier && !(axis === 1 && isSoftmax(lastStep(output))) ? axis : 0;
}

/** The means of ImageNet's statistics, for networks of one channel. */
const grayPreprocessing: Preprocessing = {
  ...imagenetPreprocessing,
  mean: [0.449, 0.449, 0.449],
  std: [0.226, 0.226, 0.226],
};

/** Levels from 0 to 255, for networks that convert them. */
const bytePreprocessing = {
  mean: [0, 0, 0],
  std: [1 / 255, 1 / 255, 1 / 255],
} as const;

/**
 * The usual preprocessing, in the size of the file. Images of 227×227 are crops of 256, as Caffe makes
 * them.
 */
function defaultPreprocessing({ nodes, input: { image, isBytes } }: OnnxLayers): Preprocessing {
  const isCaffe = nodes.some(({ layer }) => layer instanceof LocalResponseNorm && layer.size > 1);
  if (!image) return imagenetPreprocessing;
  const { height, width } = image, larger = Math.max(height, width);
  const usual = image.channels === 1
    ? grayPreprocessing
    : isCaffe
    ? caffePreprocessing
    : imagenetPreprocessing;
  const sized = {
    ...{ ...usual, ...(isBytes && bytePreprocessing), crop: height },
    ...(width !== height && { cropWidth: width }),
  };
  if (larger === 227) return { ...sized, rounding: "caffe" };
  return { ...sized, resize: Math.round(usual.resize * larger / usual.crop) };
}

/**
 * Layers may use a tensor of the file more than once. All together may have so many elements per
 * byte of the file, a float for each 4 bytes of what the file creates, and 64 MB more.
 */
const elementsPerByte = 2, maxExtraElements = 1 << 24;

/** Converts the nodes of a graph to layers. */
async function importLayers(file: OnnxFile, options: OnnxOptions): Promise<OnnxLayers> {
  const { crop, cropWidth } = options.preprocessing ?? {};
  const input = readInput(file, crop, cropWidth), graph = new GraphImport(file, input, options);
  const all = await graph.run(), activations = [...all.values()];
  const scores = input.image ? scoreCount(activations) : 0;
  const outputs = scores > 0
    ? new Map([...all].map(([name, output]) => [name, withoutSoftmax(graph, output)]))
    : all;
  const nodes: GraphNode[] = [], names = new Map<LayerStep, string>(), unique = new LayerNames();
  const parameters = new Map<string, ParameterMapping>(), sources = new Map<Layer, string>();
  const steps = neededSteps(graph.steps, outputs);
  let elementsLeft = elementsPerByte * file.fileBytes + file.graph.createdBytes / 4 +
    maxExtraElements;
  for (const step of steps) {
    const name = unique.nameOf(step), { layer } = step;
    names.set(step, name);
    sources.set(layer, describeNodes(step.node.op, [titleOf(step.node)]));
    nodes.push({
      name,
      layer,
      inputs: step.inputs.map((x) => x.step ? names.get(x.step)! : graphInput),
    });
    elementsLeft -= parameterCount(layer);
    if (elementsLeft < 0) {
      throw new NodeError(file.name, step.node, "the graph uses its weights too many times");
    }
    for (const [parameter, source] of Object.entries(step.parameters)) {
      parameters.set(`${name}.${parameter}`, source);
      if ("computed" in source && source.computed) {
        file.graph.tensors.set(source.tensor, source.computed);
      }
    }
  }
  const outputNames = [...outputs].map(([output, { step }]): [string, string] => {
    if (step) return [output, names.get(step)!];
    const name = unique.make(escapeText(output)); // the input itself
    nodes.push({ name, layer: new Identity(), inputs: [graphInput] });
    return [output, name];
  });
  const isSizeBound = !input.isSizeOpen || graph.isSizeBound || steps.some(isBound);
  const endsInSigmoid = lastStep(activations[0])?.layer instanceof Sigmoid;
  return {
    input,
    nodes,
    parameters,
    sources,
    outputs: new Map(outputNames),
    scores,
    endsInSigmoid,
    shapes: activations.map(({ shape }) => shape),
    isSizeBound,
  };
}

/** Whether a layer fixes the sizes of images. */
function isBound({ layer, inputs: [x], isBound }: LayerStep): boolean {
  return isBound || layer instanceof Reshape && !sameShape(x.shape, x.other);
}

/** A classifier returns logits, in the shape of its output. */
function withoutSoftmax(graph: GraphImport, output: Activation): Activation {
  const step = lastStep(output);
  if (!isSoftmax(step)) return output;
  const { layer, inputs: [logits] } = step;
  const isAll = logits.shape.at(layer.dim) === elements(logits.shape.slice(1));
  return isAll ? graph.view(logits, output) : output;
}

/** The layer that computes an output, which others may give another shape, or round to 8 bits. */
function lastStep({ step }: Activation): LayerStep | undefined {
  while (step && keepsValues(step.layer)) [{ step }] = step.inputs;
  return step;
}

function isSoftmax(step?: LayerStep): step is LayerStep & { readonly layer: Softmax | LogSoftmax } {
  return step?.layer instanceof Softmax || step?.layer instanceof LogSoftmax;
}

/** The layers that the outputs depend on. Others were parts of patterns. */
function neededSteps(
  steps: readonly LayerStep[],
  outputs: ReadonlyMap<string, Activation>,
): readonly LayerStep[] {
  const needed = stepsOf([...outputs.values()]);
  return steps.filter((step) => needed.has(step));
}
