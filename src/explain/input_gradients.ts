/**
 * Gradients of the inputs of layers that few networks have, in evaluation mode. They load only for these.
 *
 * @module
 */

import { ConvTranspose } from "../layers/conv_transpose.ts";
import type { Layer } from "../layers/layer.ts";
import { PReLU } from "../layers/prelu.ts";
import { GroupNorm, LayerNorm, RowNorm } from "../layers/row_norm.ts";
import { convTransposeBackwardInput } from "../ops/conv_transpose.ts";
import { preluBackwardInput } from "../ops/prelu.ts";
import { groupNormRows, layerNormRows, rowNorm, rowNormBackward } from "../ops/row_norm.ts";
import type { Shape, Tensor } from "../tensor.ts";

/** Computes the gradient of a layer's input from that of its output, and its input. */
export type InputGradient = (dy: Tensor, x: Tensor) => Tensor;

/**
 * Returns how the gradient of a layer's input is computed; undefined for other layers than
 * these, and for classes that override their forward pass.
 *
 * @param weightOf Returns the float32 weights of the layer.
 */
export async function inputGradientOf(
  layer: Layer,
  weightOf: () => Promise<Tensor>,
): Promise<InputGradient | undefined> {
  if (isOfGraph(layer)) return (dy, x) => layer.inputGradient(dy, x);
  const isOwn = [RowNorm, ConvTranspose, PReLU].some(({ prototype }) => {
    return layer.forward === prototype.forward;
  });
  if (!isOwn) return undefined;
  if (layer instanceof LayerNorm) {
    const { normalizedShape: sizes } = layer;
    return ofRowNorm(layer, (shape) => layerNormRows(layer.type, shape, sizes));
  }
  if (layer instanceof GroupNorm) {
    return ofRowNorm(layer, (shape) => groupNormRows(layer.type, shape, layer.numGroups));
  }
  if (layer instanceof ConvTranspose) {
    const weight = await weightOf();
    return (dy, x) => convTransposeBackwardInput(dy, weight, x.shape, layer.operation);
  }
  if (layer instanceof PReLU) {
    const weight = await weightOf();
    return (dy, x) => preluBackwardInput(dy, x, weight);
  }
}

/** Whether it is a layer of ONNX graphs that knows its gradient. Pages would have to load the class. */
function isOfGraph(layer: Layer): layer is Layer & { readonly inputGradient: InputGradient } {
  return layer.type === "Repeated" && "inputGradient" in layer;
}

/** It computes the statistics of the input again. */
function ofRowNorm(
  { type, eps, parameters }: RowNorm,
  rowsOf: (shape: Shape) => ReturnType<typeof groupNormRows>,
): InputGradient {
  const weight = parameters.weight?.tensor;
  return (dy, x) => {
    const rows = rowsOf(x.shape), count = [rows.g.n * rows.g.groups];
    using mean = x.backend.empty(count);
    using rstd = x.backend.empty(count);
    const statistics = { mean, rstd };
    rowNorm(type, x, rows, { eps, statistics }).dispose();
    return rowNormBackward(type, dy, x, statistics, rows, { weight });
  };
}
