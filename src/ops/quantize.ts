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
 * The weights of a fully connected layer as 8-bit integers with a scale for each row, packed for
 * the backend's kernel by {@linkcode quantizeLinear}. The caller disposes of them.
 *
 * @internal
 */
export class QuantizedWeight implements Disposable {
  /**
   * For {@linkcode quantizeLinear}.
   *
   * @param shape The shape of the weights, [out, in].
   * @param packed The integers, in the order of the backend's kernel.
   * @param scale The factor of each row's integers, [out].
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

  /** Copies the integers to an array, [out, in]: weight[o, i] ≈ scale[o] · values[o, i]. */
  async read(): Promise<Int8Array> {
    checkQuantized("read", this, this.scale);
    using values = this.backend.emptyInt8(this.shape);
    kernelsOf(this.packed).unpackLinearInt8(values, this.packed);
    return await values.read();
  }

  /** Frees the memory. */
  dispose(): void {
    this.packed.dispose();
    this.scale.dispose();
  }

  /** Calls {@linkcode QuantizedWeight.dispose}. `using` calls it at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose();
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
export function quantizeLinear(weight: Tensor): QuantizedWeight {
  const op = "quantizeLinear";
  checkTensor(op, "weight", weight, weight);
  checkShape(op, "weight", weight.shape, "[out, in]");
  return disposeOnError(emptyQuantized(weight.backend, weight.shape), (quantized) => {
    kernelsOf(weight).packLinearInt8(quantized.packed, quantized.scale, weight, 0);
    return quantized;
  });
}

/** Allocates uninitialised memory for weights, [out, in]. */
export function emptyQuantized(backend: Backend, shape: Shape): QuantizedWeight {
  const [outF, inF] = shape, packed = kernelsOf(backend).emptyLinearInt8(outF, inF);
  return disposeOnError(packed, () => new QuantizedWeight(shape, packed, backend.empty([outF])));
}

/** Checks that quantised weights are alive and on the backend of `x`. */
export function checkQuantized(
  op: string,
  weight: Pick<QuantizedWeight, "shape" | "packed" | "scale">,
  x: Tensor,
): void {
  checkTensor(op, "weight", weight.packed, x, undefined, Int8Array);
  checkTensor(op, "the scale of weight", weight.scale, x, [weight.shape[0]]);
}
