/**
 * The product of two inputs that are matrices.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkOptions, checkTensor } from "../ops/checks.ts";
import {
  checkTransposes,
  matmul,
  matmulBackward,
  matmulGeometry,
  type TransposeOptions,
} from "../ops/matmul.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { checkForwardOptions, type ForwardOptions, type Repeatable } from "./forward.ts";
import { isOwnMerge, MergeLayer } from "./merge_layer.ts";

/**
 * The matrix product of two inputs, as by {@linkcode matmul}: […, m, k] and […, k, n] give […, m, n].
 * With {@linkcode Softmax}, two of them are an attention. Use it in a {@linkcode Graph}.
 *
 * @example
 * ```ts
 * import { MatMul } from "./matmul.ts";
 *
 * const scores = new MatMul({ transposeB: true }); // query · keyᵀ
 * console.log(scores.outputShape([[1, 8, 49, 32], [1, 8, 49, 32]])); // [1, 8, 49, 49]
 * ```
 */
export class MatMul extends MergeLayer implements Repeatable {
  /** The name of the layer. */
  override readonly type = "MatMul";

  /**
   * Creates the layer.
   *
   * @param options `transposeA` takes […, k, m] as the first input; `transposeB` takes […, n, k] as the
   * second one.
   * @throws {ArgumentError} When an option is no truth value.
   */
  constructor(readonly options: TransposeOptions = {}) {
    super();
    checkOptions("MatMul", options, ["transposeA", "transposeB"]);
    checkTransposes("MatMul", options);
  }

  /** See {@linkcode Layer.outputShapeOf}. */
  override outputShapeOf(inputs: readonly Shape[]): Shape {
    return this.#geometry(inputs).shape;
  }

  /** See {@linkcode Layer.macs}. */
  override macsOf(inputs: readonly Shape[]): number {
    const { batch, m, n, k } = this.#geometry(inputs).g;
    return batch * m * n * k;
  }

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    return isOwnMerge(this, MatMul) ? 0 : undefined;
  }

  /** See {@linkcode MergeLayer.forward}. */
  override forwardFrom(inputs: readonly Tensor[], options: ForwardOptions = {}): Tensor {
    const [a, b] = this.#pair(inputs), out = checkForwardOptions(this.type, options);
    const y = matmul(a, b, { ...this.options, out });
    this.save(a, b);
    return y;
  }

  /** See {@linkcode MergeLayer.backwardInto}. */
  override backwardInto(dy: Tensor): readonly Tensor[] {
    checkTensor(this.type, "dy", dy, dy);
    const [a, b] = this.recall();
    const { da, db } = matmulBackward(dy, a, b, this.options);
    return [da, db];
  }

  #geometry(inputs: readonly Shape[]) {
    const [a, b] = this.#pair(inputs);
    return matmulGeometry(this.type, a, b, this.options);
  }

  #pair<T>(inputs: readonly T[]): readonly [T, T] {
    if (inputs.length === 2) return inputs as readonly T[] as readonly [T, T];
    throw new ArgumentError(this.type, "the number of inputs", inputs.length, "2");
  }
}
