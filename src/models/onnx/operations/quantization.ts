/**
 * Quantised networks: QuantizeLinear and DequantizeLinear between operations on floats.
 *
 * @module
 */

import { elements, type Shape } from "../../../tensor.ts";
import { escapeText } from "../../../weights/io/quote.ts";
import type { DType } from "../../../weights/dtype.ts";
import { integerRanges } from "../../../weights/onnx/quantization.ts";
import type { Quantization } from "../../../weights/onnx/tensor.ts";
import type { LayerBuilder, Operation } from "../builder.ts";
import type { NodeReader } from "../node.ts";
import {
  type Activation,
  type GraphValue,
  type Grid,
  isSameGrid,
  shapeOf,
  type StoredConstant,
  stridesOf,
  type Value,
  wholeNumbers,
} from "../values.ts";

/**
 * Reads the scale and zero point of an activation.
 *
 * @param defaultType The type of the integers if there is no zero point.
 */
function gridOf(node: NodeReader, defaultType: DType = "U8"): Grid {
  const what = "scale", isScalar = elements(shapeOf(node.constant(1, what))) === 1;
  if (!isScalar) throw node.bad("a scale for each channel is only supported for constants");
  const scale = node.scalar(1, what), blocks = node.number("block_size", 0);
  node.number("axis", 1); // of several scales
  if (blocks !== 0) throw node.bad("a scale for each block is not supported");
  if (!(scale > 0 && scale < Infinity)) {
    throw node.bad(`its scale is ${scale}, must be positive: damaged`);
  }
  const zero = node.has(2) ? node.constant(2, "zero point") : undefined;
  const output = node.number("output_dtype", 0), type = output === 3 ? "I8" : defaultType;
  const dtype = zero ? zero.stored?.tensor.dtype ?? "F32" : type;
  const range = integerRanges.get(dtype);
  if (!range || ![0, 2, 3].includes(output)) {
    throw node.bad("only integers of 8 bits are supported");
  }
  const offset = zero ? node.scalar(2, "zero point") : 0;
  const low = range[0] - offset;
  return { dtype, scale, zero: offset, low: low * scale, high: (low + 255) * scale, lowest: low };
}

export const quantizeLinear: Operation = (node, build) => {
  const x = node.activation(0), grid = gridOf(node);
  const rounded = x.grid && isSameGrid(x.grid, grid) ? x : build.round(node, x, grid);
  return { ...rounded, grid, isInteger: true };
};

export const dequantizeLinear: Operation = (node) => {
  const x = node.activation(0), grid = gridOf(node, x.grid?.dtype);
  if (!x.isInteger || !x.grid) throw node.bad("its input is not computed by QuantizeLinear");
  if (!isSameGrid(x.grid, grid)) {
    throw node.bad("its scale or zero point is not that of QuantizeLinear: not supported");
  }
  return { ...x, isInteger: false };
};

/** An operation on integers: files in QDQ format have floats there. */
export const onIntegers: Operation = (node) => {
  throw node.bad("this operation is not supported: export the model in QDQ format");
};

/**
 * Operations that only move or select values, also integers. What is rounded stays rounded, and what
 * will be clamped can be clamped afterwards.
 */
export function moving(create: Operation): Operation {
  return (node, build) => {
    const inputs = node.node.inputs.map((name) => asLayersSee(node.scope.value(name)))
      .filter((value) => value?.kind === "activation");
    const [first] = inputs, grid = first?.grid;
    if (!grid || !inputs.every((x) => x.grid && isSameGrid(x.grid, grid))) {
      return create(node, build);
    }
    if (inputs.some(({ isInteger }) => isInteger !== first.isInteger)) {
      throw node.bad("it takes integers and floats: damaged");
    }
    const isLater = inputs.every(({ clamped }) => clamped);
    const result = create(isLater ? node.withValues(unclamped) : node, build);
    const tag = <T extends GraphValue>(y: T | undefined): GraphValue | undefined => {
      if (y?.kind === "moved") return { ...y, of: tag(y.of) as Activation };
      if (y?.kind !== "activation") return y;
      return {
        ...(isLater ? build.clampLater(node, y, grid) : y),
        grid,
        isInteger: first.isInteger,
      };
    };
    return "kind" in result ? tag(result)! : result.map(tag);
  };
}

function unclamped(value: GraphValue | undefined): GraphValue | undefined {
  if (value?.kind === "moved") return { ...value, of: unclamped(value.of) as Activation };
  return value?.kind === "activation" && value.clamped ? value.clamped.of : value;
}

function asLayersSee(value: GraphValue | undefined): Value | undefined {
  return value?.kind === "moved" ? value.of : value;
}

/** Comparisons, which take integers that stand for themselves. */
const comparison = /^(Equal|Greater|Less)/;

/** Checks that an operation on floats takes no integers. */
export function checkFloats(node: NodeReader): void {
  for (const name of node.node.inputs) {
    const value = name === "" ? undefined : asLayersSee(node.scope.value(name));
    if (value?.kind !== "activation" || !value.isInteger) continue;
    if (value.grid !== wholeNumbers || !comparison.test(node.op)) {
      throw node.bad(`its input ${escapeText(name)} holds integers: not supported`);
    }
  }
}

/**
 * Returns the scales of a weight that the file has as integers from −128 to 127, one for each output.
 * Undefined if it does not.
 *
 * @param axis The axis of outputs.
 */
function scalesOf(
  { tensor, shape, strides, factor = 1 }: StoredConstant,
  axis: number,
): Float32Array | undefined {
  const { quantization } = tensor;
  if (!quantization || !(factor > 0)) return undefined;
  const { scales } = quantization;
  if (!isSymmetric(quantization)) return undefined;
  const multiplied = (scale: number) => scale * factor;
  if (scales.length === 1) return new Float32Array(shape[axis]).fill(multiplied(scales[0]));
  const isSame = strides
    ? strides[axis] === stridesOf(tensor.shape)[quantization.axis]
    : axis === quantization.axis && isPrefix(shape, tensor.shape, axis + 1);
  return isSame && scales.length === shape[axis] ? scales.map(multiplied) : undefined;
}

/** Whether a weight has integers from −128 to 127 in the file. */
export function hasScales({ tensor: { quantization } }: StoredConstant): boolean {
  return quantization !== undefined && isSymmetric(quantization);
}

/** Whether integers minus their zero point are from −128 to 127. */
export function isSymmetric({ dtype, zeros }: Quantization): boolean {
  const middle = dtype === "U8" ? 128 : 0;
  return (dtype === "U8" || dtype === "I8") && zeros.every((zero) => zero === middle);
}

function isPrefix(a: Shape, b: Shape, length: number): boolean {
  return a.slice(0, length).every((size, i) => size === b[i]);
}

/** How a layer computes in 8 bits. */
export interface IntegerLayer {
  /** The range of its input. Null: that of each sample, which has smaller steps than the file's. */
  readonly inputRange: readonly [low: number, high: number] | null;
  readonly weightScales: Float32Array;
}

/**
 * Finds out whether the input and the weight of a convolution are integers in the file. Undefined if the
 * layer has to compute with floats.
 */
export function integerLayer(
  node: NodeReader,
  build: LayerBuilder,
  x: Activation,
  weight: StoredConstant,
): IntegerLayer | undefined {
  if (!build.usesIntegers || !x.grid) return undefined;
  if (weight.tensor.quantization) build.countNumbers(node, weight.shape[0]);
  const weightScales = scalesOf(weight, 0);
  if (!weightScales) return undefined;
  const { lowest, scale } = x.grid;
  // The kernel has integers from 0 to 127: here they are those of the file.
  const isSame = lowest === -128 && x.isPositive;
  return { inputRange: isSame ? [0, 127 * scale] : null, weightScales };
}
