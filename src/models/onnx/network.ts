/**
 * The network of an ONNX file. convert.ts makes it.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../../errors.ts";
import type { RgbImage } from "../../image/pixels.ts";
import type { GraphNode } from "../../layers/graph_builder.ts";
import type { ForwardOptions, Layer } from "../../layers/mod.ts";
import { checkInteger } from "../../ops/checks.ts";
import type { Shape, Tensor } from "../../tensor.ts";
import { escapeText } from "../../weights/io/quote.ts";
import type { WeightsFile } from "../../weights/mod.ts";
import { OnnxFile, type ParameterMapping } from "../../weights/onnx/reader.ts";
import type { Prediction } from "../classify.ts";
import { Classifier, type ClassifierOptions } from "../classifier.ts";
import type { ModelInput } from "./input.ts";

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
  /** The node of the file that each layer comes from, for messages. */
  readonly sources: ReadonlyMap<Layer, string>;
  /** The nodes that compute the graph's outputs, by the names of the outputs. */
  readonly outputs: ReadonlyMap<string, string>;
  /** The number of scores for each image; 0 if the graph is no classifier. */
  readonly scores: number;
  /** Whether the first output has the probabilities that a `Sigmoid` computes. */
  readonly endsInSigmoid: boolean;
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
 * using outputs = model.outputsOf(x, [...model.outputs.values()]);
 * for (const [i, output] of outputs.entries()) console.log(names[i], output.shape);
 * ```
 */
export class OnnxNetwork extends Classifier {
  /** The name of the network. */
  override readonly type = "OnnxNetwork";
  #outputs: ReadonlyMap<string, string>;
  readonly #layers: OnnxLayers;

  /**
   * Creates the network without weights.
   *
   * @internal
   */
  constructor(layers: OnnxLayers, options: ClassifierOptions) {
    super(layers.nodes, options);
    this.#outputs = layers.outputs;
    this.#layers = layers;
  }

  /** The nodes that compute the outputs of the graph, by the names that these have in the file. */
  get outputs(): ReadonlyMap<string, string> {
    return this.#outputs;
  }

  /**
   * Describes the node of the file that a layer comes from.
   *
   * @internal
   */
  sourceOf(layer: Layer): string | undefined {
    return this.#layers.sources.get(layer);
  }

  /**
   * See {@linkcode Classifier.useLinearHead}.
   *
   * @internal
   */
  override useLinearHead(...args: Parameters<Classifier["useLinearHead"]>): void {
    const [[name], ...others] = this.#outputs;
    if (others.length > 0) {
      const count = this.#outputs.size;
      throw new PembrokeError(`${this.type}: has ${count} outputs, so no head to replace`);
    }
    super.useLinearHead(...args);
    this.#outputs = new Map([[name, this.leaves().at(-1)![0]]]);
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
    return [checkInteger(this.type, "batch", batch, 1), ...this.#layers.input.shape.slice(1)];
  }

  /** See {@linkcode Classifier.preprocess}. */
  override preprocess(image: RgbImage): Float32Array {
    if (!this.#layers.input.image) throw this.#notAClassifier();
    return super.preprocess(image);
  }

  /** See {@linkcode Graph.isExpanded}. */
  override get isExpanded(): boolean {
    return this.forward === OnnxNetwork.prototype.forward;
  }

  /** See {@linkcode Graph.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    this.#checkInput(x);
    return super.forward(x, options);
  }

  /** See {@linkcode Graph.outputsOf}. */
  override outputsOf(x: Tensor, names: readonly string[]): Tensor[] & Disposable {
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
    const { shape, isSizeOpen } = this.#layers.input, actual: unknown = x?.shape;
    if (!this.#layers.isSizeBound || !Array.isArray(actual)) return;
    const fits = actual.length === shape.length &&
      shape.every((size, axis) => axis === 0 || size === actual[axis]);
    if (fits) return;
    const remedy = isSizeOpen ? "; for others, load it with another preprocessing.crop" : "";
    const expected = `[N, ${shape.slice(1).join(", ")}]${remedy}`;
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
