/**
 * Converts an ONNX graph to a network.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../../errors.ts";
import type { RgbImage } from "../../image/pixels.ts";
import {
  caffePreprocessing,
  imagenetPreprocessing,
  type Preprocessing,
} from "../../image/preprocess.ts";
import { graphInput, type GraphNode } from "../../layers/graph_builder.ts";
import { parameterCount } from "../../layers/layer.ts";
import {
  type ForwardOptions,
  Identity,
  LocalResponseNorm,
  LogSoftmax,
  Reshape,
  Softmax,
} from "../../layers/mod.ts";
import { elements, type Shape, type Tensor } from "../../tensor.ts";
import { escapeText } from "../../weights/io/quote.ts";
import type { WeightsFile } from "../../weights/mod.ts";
import { OnnxFile, type ParameterMapping } from "../../weights/onnx/reader.ts";
import type { Prediction } from "../classify.ts";
import { classesOf, Classifier, type ClassifierOptions, type ClassOptions } from "../classifier.ts";
import type { LayerOptions } from "./builder.ts";
import { readClassNames } from "./class_names.ts";
import { GraphImport } from "./importer.ts";
import { type ModelInput, readInput } from "./input.ts";
import { LayerNames } from "./names.ts";
import { nodeError } from "./node.ts";
import type { Activation, LayerStep } from "./values.ts";

/** Options that complete or override the file. */
interface OnnxOptions extends ClassOptions, LayerOptions {
  readonly preprocessing?: Preprocessing;
}

/**
 * The layers of a graph.
 *
 * @internal
 */
export interface OnnxLayers {
  readonly input: ModelInput;
  readonly nodes: readonly GraphNode[];
  /** The sources of the parameters in the file, by their names in the network. */
  readonly parameters: ReadonlyMap<string, ParameterMapping>;
  /** The nodes that compute the graph's outputs, by the names of the outputs. */
  readonly outputs: ReadonlyMap<string, string>;
  /** The shapes of the outputs, in order. */
  readonly shapes: readonly Shape[];
  /** Whether the sizes of the input are fixed. */
  readonly isSizeBound: boolean;
}

/**
 * The network of an ONNX file, from {@linkcode loadModel}. `forward()` takes the graph's input and
 * computes its first output; `outputsOf()` computes several. The input has any batch size. Its other
 * sizes may differ only where the file leaves them open, and the graph does not depend on them.
 *
 * The layers have the names of their weights or modules, such as "features.0".
 *
 * @example All outputs of a network
 * ```ts
 * import { loadModel } from "../load_model.ts";
 * import { OnnxNetwork } from "./network.ts";
 *
 * const weights = "tests/fixtures/onnx/graphs/segmentation.onnx";
 * using model = await loadModel({ weights });
 * if (!(model instanceof OnnxNetwork)) throw new Error("no ONNX model");
 * using x = model.backend.upload(new Float32Array(3 * 12 * 16), model.inputShape()); // [1, 3, 12, 16]
 * const names = [...model.outputs.keys()]; // mask, score
 * const outputs = model.outputsOf(x, [...model.outputs.values()]);
 * for (const [i, output] of outputs.entries()) console.log(names[i], output.shape);
 * for (const output of outputs) output.dispose();
 * ```
 */
export class OnnxNetwork extends Classifier {
  /** The name of the network. */
  override readonly type = "OnnxNetwork";
  /** The nodes that compute the outputs of the graph, by the names that these have in the file. */
  readonly outputs: ReadonlyMap<string, string>;
  readonly #layers: OnnxLayers;

  /**
   * Creates the network without weights.
   *
   * @internal
   */
  constructor(layers: OnnxLayers, options: ClassifierOptions) {
    super(layers.nodes, options);
    this.outputs = layers.outputs;
    this.#layers = layers;
  }

  /**
   * Returns a view of an ONNX file with this network's parameters. Returns other files unchanged.
   *
   * @internal
   */
  override mapWeights(file: WeightsFile): WeightsFile {
    return file instanceof OnnxFile ? file.mapParameters(this.#layers.parameters) : file;
  }

  /**
   * Returns the shape of the graph's input for a batch: [batch, C, H, W] for images, or [batch, H,
   * W, C] if the file has the channels last.
   */
  override inputShape(batch = 1): number[] {
    return [batch, ...this.#layers.input.shape.slice(1)];
  }

  /** See {@linkcode Classifier.preprocess}. */
  override preprocess(image: RgbImage): Float32Array {
    if (!this.#layers.input.image) throw this.#notAClassifier();
    return super.preprocess(image);
  }

  /** See {@linkcode Graph.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    this.#checkInput(x);
    return super.forward(x, options);
  }

  /** See {@linkcode Graph.outputsOf}. */
  override outputsOf(x: Tensor, names: readonly string[]): Tensor[] {
    this.#checkInput(x);
    return super.outputsOf(x, names);
  }

  /** See {@linkcode Classifier.classifyBatch}. */
  override async classifyBatch(
    images: readonly (RgbImage | Float32Array)[],
    options: { readonly topK?: number } = {},
  ): Promise<Prediction[][]> {
    if (this.classes.length === 0) throw this.#notAClassifier();
    return await super.classifyBatch(images, options);
  }

  /** Sizes that the graph depends on must be those of the file: others give other numbers. */
  #checkInput(x: Tensor): void {
    const { shape } = this.#layers.input, actual: unknown = x?.shape;
    if (!this.#layers.isSizeBound || !Array.isArray(actual)) return;
    const fits = actual.length === shape.length &&
      shape.every((size, axis) => axis === 0 || size === actual[axis]);
    if (fits) return;
    const expected = `[N, ${shape.slice(1).join(", ")}]`;
    throw new ArgumentError(this.type, "the shape of x", actual, expected);
  }

  #notAClassifier(): PembrokeError {
    const { input, shapes, outputs } = this.#layers;
    const names = [...outputs.keys()].map((name, i) =>
      `${escapeText(name)} ${batchShape(shapes[i])}`
    );
    const what = input.image
      ? `outputs ${names.slice(0, 9).join(", ")}`
      : `takes ${batchShape(input.shape)}`;
    return new PembrokeError(
      `${this.type}: cannot classify images, because it ${what}: use forward() or outputsOf()`,
    );
  }
}

function batchShape(shape: Shape): string {
  return `[${["N", ...shape.slice(1)].join(", ")}]`;
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
export function onnxNetwork(file: OnnxFile, options: OnnxOptions = {}): OnnxNetwork {
  const layers = importLayers(file, options), { image } = layers.input;
  const [shape] = layers.shapes, [output] = layers.outputs.values();
  const numClasses = image && isClassifier(layers.shapes) ? shape[1] : 0;
  const checkOption = (name: string, value: number | undefined, fileValue: number) => {
    if (value === undefined || value === fileValue) return;
    throw new ArgumentError("OnnxNetwork", name, value, `${fileValue}, as in ${file.name}`);
  };
  checkOption("the number of classes", options.classes?.length ?? options.numClasses, numClasses);
  const names = options.numClasses === undefined && readClassNames(file.metadata, numClasses);
  const classOptions = { ...(names && { classes: names }), ...options };
  const classes = numClasses > 0 ? classesOf("OnnxNetwork", classOptions, numClasses) : [];
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

/** Whether the only output has one value for each class. */
function isClassifier([shape, second]: readonly Shape[]): boolean {
  return !second && shape.length > 1 && shape[1] === elements(shape.slice(1));
}

/** The means of ImageNet's statistics, for networks of one channel. */
const grayPreprocessing: Preprocessing = {
  ...imagenetPreprocessing,
  mean: [0.449, 0.449, 0.449],
  std: [0.226, 0.226, 0.226],
};

/** The usual preprocessing, in the size of the file. Crops of 224 and 227 are cut from 256. */
function defaultPreprocessing({ nodes, input: { image } }: OnnxLayers): Preprocessing {
  const isCaffe = nodes.some(({ layer }) => layer instanceof LocalResponseNorm);
  if (!image) return imagenetPreprocessing;
  const { height, width } = image, larger = Math.max(height, width);
  const usual = image.channels === 1
    ? grayPreprocessing
    : isCaffe
    ? caffePreprocessing
    : imagenetPreprocessing;
  const resize = larger === 227 ? usual.resize : Math.round(usual.resize * larger / usual.crop);
  return { ...usual, resize, crop: height, ...(width !== height && { cropWidth: width }) };
}

/**
 * Layers may use a tensor of the file more than once. All together may have so many elements per
 * stored byte, and 64 MB more.
 */
const elementsPerByte = 2, maxExtraElements = 1 << 24;

/** Converts the nodes of a graph to layers. */
function importLayers(file: OnnxFile, options: OnnxOptions): OnnxLayers {
  const { crop, cropWidth } = options.preprocessing ?? {};
  const input = readInput(file, crop, cropWidth), graph = new GraphImport(file, input, options);
  const all = graph.run(), shapes = [...all.values()].map(({ shape }) => shape);
  const outputs = input.image && isClassifier(shapes)
    ? new Map([...all].map(([name, output]) => [name, withoutSoftmax(output)]))
    : all;
  const nodes: GraphNode[] = [], names = new Map<LayerStep, string>(), unique = new LayerNames();
  const parameters = new Map<string, ParameterMapping>();
  const steps = neededSteps(graph.steps, outputs);
  let elementsLeft = elementsPerByte * file.storedBytes + maxExtraElements;
  for (const step of steps) {
    const name = unique.nameOf(step), { layer } = step;
    names.set(step, name);
    nodes.push({
      name,
      layer,
      inputs: step.inputs.map((x) => x.step ? names.get(x.step)! : graphInput),
    });
    elementsLeft -= parameterCount(layer);
    if (elementsLeft < 0) {
      throw nodeError(file.name, step.node, "the graph uses its weights too many times");
    }
    for (const [parameter, source] of Object.entries(step.parameters)) {
      parameters.set(`${name}.${parameter}`, source);
    }
  }
  const outputNames = [...outputs].map(([output, { step }]): [string, string] => {
    if (step) return [output, names.get(step)!];
    const name = unique.make(escapeText(output)); // the input itself
    nodes.push({ name, layer: new Identity(), inputs: [graphInput] });
    return [output, name];
  });
  const isSizeBound = !input.isSizeOpen ||
    steps.some((step) => graph.boundSteps.has(step) || step.layer instanceof Reshape);
  return { input, nodes, parameters, outputs: new Map(outputNames), shapes, isSizeBound };
}

/** A classifier returns logits. */
function withoutSoftmax(output: Activation): Activation {
  const { step, shape } = output;
  const isSoftmax = step?.layer instanceof Softmax || step?.layer instanceof LogSoftmax;
  const isClasses = isSoftmax && (step.layer.dim + shape.length) % shape.length === 1;
  return isClasses ? step.inputs[0] : output;
}

/** The layers that the outputs depend on. Others were parts of patterns. */
function neededSteps(
  steps: readonly LayerStep[],
  outputs: ReadonlyMap<string, Activation>,
): readonly LayerStep[] {
  const needed = new Set<LayerStep>();
  const stack = [...outputs.values()].map(({ step }) => step);
  while (stack.length > 0) {
    const step = stack.pop();
    if (!step || needed.has(step)) continue;
    needed.add(step);
    for (const { step: before } of step.inputs) stack.push(before);
  }
  return steps.filter((step) => needed.has(step));
}
