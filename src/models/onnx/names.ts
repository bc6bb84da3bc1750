/**
 * Names of the layers of an ONNX graph.
 *
 * @module
 */

import { graphInput } from "../../layers/graph_builder.ts";
import { escapeText } from "../../weights/io/quote.ts";
import type { OnnxNode } from "../../weights/onnx/graph.ts";
import type { LayerStep } from "./values.ts";

/** The name of a weight, to which onnxruntime appends how it is stored. */
const weightName = /^(.+?)(?:\.weight|_w_0|_w)(?:_dequantized|_DequantizeLinear(?:_Output)?)?$/;

/** The name of a node for messages, or that of its output. */
export function titleOf({ name, outputs: [output = ""] }: OnnxNode): string {
  return escapeText(name || output);
}

/**
 * Describes nodes for messages, such as `node /act/Div (Div)`.
 *
 * @param op Their operation.
 * @param titles The names of the first ones.
 * @param count How many there are.
 */
export function describeNodes(op: string, titles: readonly string[], count = 1): string {
  const more = count > titles.length ? ` and ${count - titles.length} more` : "";
  return `node${count > 1 ? "s" : ""} ${titles.join(", ")}${more} (${escapeText(op)})`;
}

/** Gives each layer a name of its own. */
export class LayerNames {
  readonly #used = new Set<string>([graphInput]);
  /** The last number that was appended to each name. */
  readonly #suffixes = new Map<string, number>();

  /**
   * Returns a unique name for a layer: that of its weights ("features.0.weight", Caffe2's
   * "conv1_w_0"), of its PyTorch module ("/features/features.1/Relu"), of the node, or of the
   * operation.
   */
  nameOf({ node, suffix }: LayerStep): string {
    const fromWeight = weightName.exec(node.inputs[1] ?? "")?.[1];
    const fromModule = /\/([^/]+)\/[^/]+$/.exec(node.name)?.[1];
    return this.make(escapeText(fromWeight || fromModule || node.name || node.op) + suffix);
  }

  /** Makes a name unique. */
  make(name: string): string {
    let unique = name, number = this.#suffixes.get(name) ?? 0;
    while (this.#used.has(unique)) unique = `${name}_${++number}`;
    this.#suffixes.set(name, number);
    this.#used.add(unique);
    return unique;
  }
}
