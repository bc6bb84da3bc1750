/**
 * Convolutions with weights in 8 bits.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { Int8Filters } from "../backend/kernels.ts";
import type { Backend } from "../backend/mod.ts";
import { ArgumentError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { checkOptions, checkTensor, disposeOnError } from "./checks.ts";
import { checkFilters, isDepthwise, type PrepareOptions } from "./prepared_conv.ts";
import { PackedInt8 } from "./quantize.ts";

/** The most weights of an output channel: sums of more products could exceed 32 bits. */
const maxFilter = 131072;

/**
 * The least and the largest value of a convolution's input. Values beyond are clamped.
 */
export type InputRange = readonly [number, number];

/** Options of {@linkcode quantizeConv}. */
interface QuantizeConvOptions extends PrepareOptions {
  /** The scale of each output channel, instead of the chosen ones. */
  readonly scales?: Float32Array;
}

/**
 * The weights of a convolution in 8 bits, [outC, inC/groups, (kH,) kW]: the result of
 * {@linkcode quantizeConv}.
 *
 * @internal
 */
export class QuantizedConv extends PackedInt8 {
  /**
   * For {@linkcode quantizeConv}.
   *
   * @param shape The shape of the weights, [outC, inC/groups, (kH,) kW].
   * @param groups Number of groups that the channels are split into.
   * @param packed The integers, in the order of the kernel.
   * @param scale The factor of each output channel's integers, [outC].
   */
  constructor(
    shape: Shape,
    readonly groups: number,
    packed: Tensor<Int8Array>,
    scale: Tensor,
  ) {
    super(shape, packed, scale);
  }

  /** See {@linkcode PackedInt8.unpack}. */
  protected override unpack(values: Tensor<Int8Array>): void {
    kernelsOf(this.packed).unpackConv2dInt8!(values, this.packed, this);
  }
}

/**
 * Rounds the weights of a convolution to 8 bits for {@linkcode conv1d} and {@linkcode conv2d}: a
 * quarter of the memory, and less time. Each output channel has a scale: its largest magnitude / an
 * integer from 112 to 127, the one with the least squared error. A few weights between two integers are
 * rounded the other way, so that the errors of each input channel add up to 0. In 1×1 convolutions,
 * those of all channels together do.
 *
 * The kernel rounds the input to 128 levels, and adds up the products exactly. So results are the same
 * on every engine. The levels lie between the least and the largest value of each sample; in 1×1
 * convolutions, of each pixel. There are 16384 levels if the input has at most 16 channels (in 1×1
 * convolutions, at most 4), and an output has at most 256 weights.
 *
 * If a sample contains NaN or infinity, all its outputs are NaN. Where each pixel has its own levels,
 * only the outputs of that pixel are. If the weights of an output channel contain NaN or infinity, its
 * outputs are NaN.
 *
 * @param weight [outC, inC/groups, K] or [outC, inC/groups, kH, kW]. It is not changed.
 * @throws {ArgumentError} When the backend cannot compute the convolution in 8 bits: on WebGPU, for
 * depthwise convolutions, and with more than 131072 weights for an output channel.
 *
 * @internal
 */
export function quantizeConv(weight: Tensor, options: QuantizeConvOptions = {}): QuantizedConv {
  const op = "quantizeConv";
  checkOptions(op, options, ["groups", "scales"]);
  const { groups = 1, scales } = options;
  checkTensor(op, "weight", weight, weight);
  const { shape, backend } = weight;
  checkFilters(op, shape, groups);
  if (!quantizesConv(backend, { shape, groups })) {
    const expected = `on Wasm, not depthwise, and with at most ${maxFilter} weights per output`;
    throw new ArgumentError(op, "the shape of weight", shape, expected);
  }
  if (scales !== undefined) checkScales(op, scales, shape[0]);
  return disposeOnError(emptyQuantizedConv(backend, { shape, groups }, scales), (quantized) => {
    const { packed, scale } = quantized;
    kernelsOf(weight).packConv2dInt8!(packed, scale, weight, 0, quantized, scales !== undefined);
    return quantized;
  });
}

/** Returns whether a backend computes a convolution in 8 bits. */
export function quantizesConv(backend: Backend, { shape, groups }: Int8Filters): boolean {
  return kernelsOf(backend).conv2dInt8 !== undefined && !isDepthwise(shape, groups) &&
    elements(shape.slice(1)) <= maxFilter;
}

/** Allocates uninitialised memory for weights, and for their scales unless they are given. */
export function emptyQuantizedConv(
  backend: Backend,
  filters: Int8Filters,
  scales?: Float32Array,
): QuantizedConv {
  const { shape, groups } = filters;
  return disposeOnError(kernelsOf(backend).emptyConv2dInt8!(filters), (packed) => {
    const scale = scales ? backend.upload(scales, [shape[0]]) : backend.empty([shape[0]]);
    return new QuantizedConv(shape, groups, packed, scale);
  });
}

/**
 * Checks the scales of weights.
 *
 * @param op The name of the function or layer in error messages.
 * @throws {ArgumentError} When they are not one positive number for each output channel.
 */
export function checkScales(op: string, scales: Float32Array, outC: number): void {
  if (kindOf(scales) !== "Float32Array" || scales.length !== outC) {
    throw new ArgumentError(op, "scales", scales, `a Float32Array of ${outC} numbers`);
  }
  const wrong = scales.find((scale) => !(scale > 0 && scale < Infinity));
  if (wrong !== undefined) throw new ArgumentError(op, "a scale", wrong, "positive and finite");
}

/**
 * Checks the range of a convolution's input.
 *
 * @param op The name of the function or layer in error messages.
 * @throws {ArgumentError} When it is not two finite numbers, the lower one first.
 */
export function checkInputRange(op: string, range: InputRange): void {
  const [low, high] = Array.isArray(range) && range.length === 2 ? range as InputRange : [NaN, NaN];
  if (Number.isFinite(low) && Number.isFinite(high) && low < high) return;
  throw new ArgumentError(op, "inputRange", range, "[min, max], two finite numbers, min < max");
}
