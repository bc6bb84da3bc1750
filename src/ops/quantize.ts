/**
 * Weights in 8 bits.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { Backend } from "../backend/mod.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkShape, checkTensor } from "./checks.ts";

/**
 * Weights of a fully connected layer as integers of 8 bits with a scale for each row, laid out for a
 * backend's kernel by {@linkcode quantizeLinear}; the caller's to dispose.
 *
 * @internal
 */
export class QuantizedWeight implements Disposable {
  /**
   * See {@linkcode quantizeLinear}.
   *
   * @param shape The weights' own shape, [out, in].
   * @param packed The integers, in an order that the backend knows.
   * @param scale What an integer of each row stands for, [out].
   */
  constructor(
    readonly shape: Shape,
    readonly packed: Tensor<Int8Array>,
    readonly scale: Tensor,
  ) {}

  /** The backend whose memory it is. */
  get backend(): Backend {
    return this.packed.backend;
  }

  /** Copies the integers out, row by row, [out, in]: weight[o, i] ≈ scale[o] · values[o, i]. */
  async read(): Promise<Int8Array> {
    checkQuantized("read", this, this.scale);
    using values = this.backend.emptyInt8(this.shape);
    kernelsOf(this.packed).unpackLinearInt8(values, this.packed);
    return await values.read();
  }

  /** Gives their memory back. */
  dispose(): void {
    this.packed.dispose();
    this.scale.dispose();
  }

  /** What `using` calls at the end of the block: {@linkcode QuantizedWeight.dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Rounds the weights of a fully connected layer to 8 bits for {@linkcode linear}: a quarter of the
 * memory, and of the time at batch 1. Each row has a scale, its largest magnitude / 127.
 *
 * Activations are rounded to 16 bits on the way, by the largest magnitude of each sample; their
 * products are added up exactly in blocks of 2048, and the blocks in float32. What is lost is the
 * rounding of the weights, half a scale each: AlexNet's logits move by up to 0.3 % of the largest with
 * weights as they are initialised, by 2 % with normally distributed ones. A sample that holds NaN or infinity has NaN for all its outputs, a row of
 * weights that does for its own.
 *
 * @param weight [out, in]; it is not changed and not needed any more.
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
  const quantized = emptyQuantized(weight.backend, weight.shape);
  kernelsOf(weight).packLinearInt8(quantized.packed, quantized.scale, weight, 0);
  return quantized;
}

/** Memory for weights [out, in], whose values are not defined yet. */
export function emptyQuantized(backend: Backend, shape: Shape): QuantizedWeight {
  const [outF, inF] = shape, packed = kernelsOf(backend).emptyLinearInt8(outF, inF);
  try {
    return new QuantizedWeight(shape, packed, backend.empty([outF]));
  } catch (error) {
    packed.dispose();
    throw error;
  }
}

/** Quantised weights on the backend of `x`. */
export function checkQuantized(op: string, weight: QuantizedWeight, x: Tensor): void {
  checkTensor(op, "weight", weight.packed, x, undefined, Int8Array);
  checkTensor(op, "the scale of weight", weight.scale, x, [weight.shape[0]]);
}
