/**
 * The linear map of fully connected layers.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import {
  accumulate,
  type AccumulateOptions,
  checkOptionalTensor,
  checkOptions,
  checkShape,
  checkTensor,
  formatShape,
  type OutOptions,
  produce,
} from "./checks.ts";
import { type ActivationOptions, checkActivation } from "./fused.ts";
import { checkQuantized, QuantizedLinear } from "./quantize.ts";

/**
 * Computes y[…, o] = Σ x[…, i] · weight[o, i] + bias[o].
 *
 * @param x […, in], at least one axis.
 * @param weight [out, in]. (Layers also pass weights that they have rounded to 16 or 8 bits.)
 * @param bias [out], or null.
 * @param options `activation`, such as "relu", is applied to y; `out`.
 * @returns […, out].
 * @throws {ArgumentError} When an option is invalid, or the shapes do not fit together.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { linear } from "./linear.ts";
 *
 * using backend = await createBackend();
 * using x = backend.upload(new Float32Array([1, 2]), [1, 2]);
 * using w = backend.upload(new Float32Array([1, 0, 0, 1, 1, 1]), [3, 2]);
 * using y = linear(x, w, null);
 * console.log(await y.read()); // 1, 2, 3
 * ```
 */
export function linear(
  x: Tensor,
  weight: Tensor | Tensor<Uint16Array> | QuantizedLinear,
  bias: Tensor | null,
  options: ActivationOptions = {},
): Tensor {
  const op = "linear";
  checkTensor(op, "x", x, x);
  checkOptions(op, options, ["activation", "out"]);
  if (weight instanceof QuantizedLinear) {
    checkQuantized(op, weight, x);
  } else {
    checkTensor(op, "weight", weight, x, undefined, isHalf(weight) ? Uint16Array : Float32Array);
    checkShape(op, "weight", weight.shape, "[out, in]");
  }
  const [outF, inF] = weight.shape;
  if (x.shape.at(-1) !== inF) {
    throw new ArgumentError(op, "the shape of x", x.shape, `[…, ${inF}] to match weight`);
  }
  bias = checkOptionalTensor(op, "bias", bias, x, [outF]);
  const activation = checkActivation(op, options);
  const target = {
    shape: [...x.shape.slice(0, -1), outF],
    out: options.out,
    reads: [weight instanceof QuantizedLinear ? weight.scale : weight, bias],
  };
  return produce(op, x, target, (y) => {
    if (weight instanceof QuantizedLinear) {
      kernelsOf(x).linearInt8(y, x, weight.packed, weight.scale, bias, activation);
    } else if (isHalf(weight)) {
      kernelsOf(x).linearHalf!(y, x, weight, bias, activation);
    } else {
      kernelsOf(x).linear(y, x, weight, bias, activation);
    }
  });
}

function isHalf(weight: Tensor | Tensor<Uint16Array>): weight is Tensor<Uint16Array> {
  return weight?.type === Uint16Array;
}

/**
 * Computes the gradient of {@linkcode linear} with respect to its input: dx = dy · weight.
 *
 * @param dy […, out].
 * @param weight [out, in], in 32 bits.
 * @returns dx, […, in].
 * @throws {ArgumentError} When the shapes do not fit together.
 */
export function linearBackwardInput(
  dy: Tensor,
  weight: Tensor,
  options: OutOptions = {},
): Tensor {
  const op = "linearBackwardInput";
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "weight", weight, dy);
  checkOptions(op, options);
  checkShape(op, "weight", weight.shape, "[out, in]");
  const [outF, inF] = weight.shape;
  if (dy.shape.at(-1) !== outF) {
    throw new ArgumentError(op, "the shape of dy", dy.shape, `[…, ${outF}] to match weight`);
  }
  const shape = [...dy.shape.slice(0, -1), inF];
  const target = { shape, out: options.out, reads: [weight] };
  return produce(op, dy, target, (dx) => kernelsOf(dy).linearBackwardInput(dx, dy, weight));
}

/**
 * Adds up the gradient of {@linkcode linear} with respect to its weights: dw += dyᵀ · x.
 *
 * @param dy […, out].
 * @param x […, in], the input of the forward pass.
 * @param options `into` is the gradient to add to.
 * @returns dw, [out, in].
 * @throws {ArgumentError} When the shapes do not fit together.
 */
export function linearBackwardWeight(
  dy: Tensor,
  x: Tensor,
  options: AccumulateOptions = {},
): Tensor {
  const op = "linearBackwardWeight";
  checkTensor(op, "dy", dy, dy);
  checkTensor(op, "x", x, dy);
  checkOptions(op, options, ["into"]);
  const outF = dy.shape.at(-1) ?? 1, inF = x.shape.at(-1) ?? 1;
  if (dy.size / outF !== x.size / inF) {
    const expected = `[…, in] with as many rows as dy ${formatShape(dy.shape)}`;
    throw new ArgumentError(op, "the shape of x", x.shape, expected);
  }
  const compute = (dw: Tensor) => kernelsOf(dy).linearBackwardWeight(dw, dy, x);
  return accumulate(op, dy, [outF, inF], options, [x], compute);
}
