/**
 * Rounding weights to 8 bits.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { Backend } from "../backend/mod.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkShape, checkTensor, disposeOnError } from "./checks.ts";

/**
 * Weights as 8-bit integers with a scale for each output, packed for the backend's kernel. The caller
 * disposes of them.
 *
 * @internal
 */
export abstract class PackedInt8 implements Disposable {
  /**
   * For {@linkcode quantizeLinear} and {@linkcode quantizeConv}.
   *
   * @param shape The shape of the weights, [out, …].
   * @param packed The integers, in the order of the backend's kernel.
   * @param scale The factor of each output's integers, [out].
   */
  constructor(
    readonly shape: Shape,
    readonly packed: Tensor<Int8Array>,
    readonly scale: Tensor,
  ) {}

  /** The backend that holds the values. */
  get backend(): Backend {
    return this.packed.backend;
  }

  /**
   * Copies the integers to an array in the shape of the weights. A weight is about its integer times
   * the scale of its output.
   */
  async read(): Promise<Int8Array> {
    checkQuantized("read", this, this.scale);
    using values = this.backend.emptyInt8(this.shape);
    this.unpack(values);
    return await values.read();
  }

  /** Copies the products of the integers and their scales to an array in the shape of the weights. */
  async readFloats(): Promise<Float32Array> {
    const [integers, scales] = await Promise.all([this.read(), this.scale.read()]);
    const row = integers.length / scales.length, floats = new Float32Array(integers.length);
    // Float32Array.from() with a function takes 20 times as long, and four times the memory
    for (let i = 0; i < floats.length; i++) floats[i] = integers[i] * scales[Math.floor(i / row)];
    return floats;
  }

  /** Copies the integers to a tensor in the shape of the weights. */
  protected abstract unpack(values: Tensor<Int8Array>): void;

  /** Frees the memory. */
  dispose(): void {
    this.packed.dispose();
    this.scale.dispose();
  }

  /** Calls {@linkcode PackedInt8.dispose}. `using` calls it at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * The weights of a fully connected layer in 8 bits, [out, in]: the result of
 * {@linkcode quantizeLinear}.
 *
 * @internal
 */
export class QuantizedLinear extends PackedInt8 {
  /** See {@linkcode PackedInt8.unpack}. */
  protected override unpack(values: Tensor<Int8Array>): void {
    kernelsOf(this.packed).unpackLinearInt8(values, this.packed);
  }
}

/**
 * Rounds the weights of a fully connected layer to 8 bits for {@linkcode linear}: a quarter of the
 * memory, and of the time at batch size 1. Each row has a scale, its largest magnitude / 127.
 *
 * The kernel rounds activations to 16 bits, with a scale for each sample. It adds up the products
 * exactly in blocks of 2048, and the blocks in float32. So the error is that of the weights, up to
 * half a scale each. AlexNet's logits change by up to 0.3 % of the largest with its initial
 * weights, and by 2 % with normally distributed ones. If a sample contains NaN or infinity, all its
 * outputs are NaN. If a row of weights does, its outputs are NaN.
 *
 * @param weight [out, in]. It is not changed, and can be disposed afterwards.
 * @throws {ArgumentError} When weight does not have two axes.
 *
 * @example
 * ```ts
 * import { createBackend } from "../backend/mod.ts";
 * import { linear } from "./linear.ts";
 * import { quantizeLinear } from "./quantize.ts";
 *
 * using backend = await createBackend();
 * using w = backend.upload(new Float32Array([1, -0.5, 0.25, 100, 0, 3]), [2, 3]);
 * using quantized = quantizeLinear(w);
 * console.log(await quantized.read()); // 127, -64, 32, 127, 0, 4
 * using x = backend.upload(new Float32Array([1, 2, 4]), [1, 3]);
 * using y = linear(x, quantized, null);
 * console.log(await y.read()); // about 1, 112; with float32 weights exactly
 * ```
 */
export function quantizeLinear(weight: Tensor): QuantizedLinear {
  const op = "quantizeLinear";
  checkTensor(op, "weight", weight, weight);
  checkShape(op, "weight", weight.shape, "[out, in]");
  return disposeOnError(emptyQuantized(weight.backend, weight.shape), (quantized) => {
    kernelsOf(weight).packLinearInt8(quantized.packed, quantized.scale, weight, 0);
    return quantized;
  });
}

/** Allocates uninitialised memory for weights, [out, in]. */
export function emptyQuantized(backend: Backend, shape: Shape): QuantizedLinear {
  const [outF, inF] = shape, packed = kernelsOf(backend).emptyLinearInt8(outF, inF);
  return disposeOnError(packed, () => new QuantizedLinear(shape, packed, backend.empty([outF])));
}

/** Checks that quantised weights are alive and on the backend of `x`. */
export function checkQuantized(op: string, weight: PackedInt8, x: Tensor): void {
  checkTensor(op, "weight", weight.packed, x, undefined, Int8Array);
  checkTensor(op, "the scale of weight", weight.scale, x, [weight.shape[0]]);
}

/** The number whose bits in float16 these are. */
export function fromHalf(bits: number): number {
  const exponent = bits >> 10 & 31, fraction = bits & 1023, sign = bits >> 15 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
