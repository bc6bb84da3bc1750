/**
 * Pooling layers.
 *
 * @module
 */

import { checkInteger, checkPerAxis, checkShape, LIMIT } from "../ops/checks.ts";
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPoolBackward,
  type AverageOptions,
  avgPool1d,
  avgPool1dBackward,
  avgPool2d,
  avgPool2dBackward,
  maxPool1d,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
  maxPoolBackward,
  type MaxPoolResult,
} from "../ops/pool.ts";
import {
  pool1dGeometry,
  type Pool1dOptions,
  pool2dGeometry,
  type Pool2dOptions,
} from "../ops/pool_geometry.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { type ForwardOptions, Layer } from "./layer.ts";

/** What the maximum poolings of all ranks share: keeping the positions of the maxima. */
export abstract class MaxPool extends Layer {
  #indices: Tensor<Int32Array> | undefined;

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const shape = this.recallShape();
    using indices = this.#indices!;
    this.#indices = undefined;
    return maxPoolBackward(dy, indices, shape);
  }

  /** See {@linkcode Layer.eval}. */
  override eval(): this {
    this.#drop();
    return super.eval();
  }

  /** See {@linkcode Layer.dispose}. */
  override dispose(): void {
    this.#drop();
    super.dispose();
  }

  /** Keeps the positions for the backward pass and hands on the maxima. */
  protected keep(x: Tensor, { output, indices }: MaxPoolResult): Tensor {
    this.#drop();
    this.#indices = indices;
    this.saveShape(x);
    return output;
  }

  #drop(): void {
    this.#indices?.dispose();
    this.#indices = undefined;
  }
}

/**
 * Maximum pooling, `torch.nn.MaxPool2d`: [N, C, H, W] → [N, C, oH, oW].
 *
 * @example
 * ```ts
 * import { MaxPool2d } from "./pool.ts";
 *
 * const pool = new MaxPool2d(3, { stride: 2 });
 * console.log(pool.outputShape([1, 64, 55, 55])); // [1, 64, 27, 27]
 * ```
 */
export class MaxPool2d extends MaxPool {
  /** The name in `torch.nn`. */
  override readonly type = "MaxPool2d";
  readonly #options: Pool2dOptions;

  /**
   * Describes the layer; it has no values yet.
   *
   * @param kernelSize Height and width of the window.
   */
  constructor(
    kernelSize: Pool2dOptions["kernelSize"],
    options: Omit<Pool2dOptions, "kernelSize"> = {},
  ) {
    super();
    checkPerAxis(this.type, "kernelSize", kernelSize, 2, 1);
    this.#options = { ...options, kernelSize };
    this.outputShape([1, 1, LIMIT, LIMIT]); // refuses impossible options
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = pool2dGeometry(this.type, input, this.#options);
    return [g.n, g.c, g.oh, g.ow];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    if (!this.training) return maxPool2d(x, { ...this.#options, out });
    return this.keep(x, maxPool2dWithIndices(x, { ...this.#options, out }));
  }
}

/** Maximum pooling along one axis, `torch.nn.MaxPool1d`: [N, C, L] → [N, C, oL]. */
export class MaxPool1d extends MaxPool {
  /** The name in `torch.nn`. */
  override readonly type = "MaxPool1d";
  readonly #options: Pool1dOptions;

  /**
   * Describes the layer; it has no values yet.
   *
   * @param kernelSize Length of the window.
   */
  constructor(
    kernelSize: Pool1dOptions["kernelSize"],
    options: Omit<Pool1dOptions, "kernelSize"> = {},
  ) {
    super();
    checkPerAxis(this.type, "kernelSize", kernelSize, 1, 1);
    this.#options = { ...options, kernelSize };
    this.outputShape([1, 1, LIMIT]); // refuses impossible options
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = pool1dGeometry(this.type, input, this.#options);
    return [g.n, g.c, g.ow];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    if (!this.training) return maxPool1d(x, { ...this.#options, out });
    return this.keep(x, maxPool1dWithIndices(x, { ...this.#options, out }));
  }
}

/** Average pooling, `torch.nn.AvgPool2d`: [N, C, H, W] → [N, C, oH, oW]. */
export class AvgPool2d extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "AvgPool2d";
  readonly #options: Pool2dOptions & AverageOptions;

  /**
   * Describes the layer; it has no values yet.
   *
   * @param kernelSize Height and width of the window.
   */
  constructor(
    kernelSize: Pool2dOptions["kernelSize"],
    options: Omit<Pool2dOptions, "kernelSize"> & AverageOptions = {},
  ) {
    super();
    checkPerAxis(this.type, "kernelSize", kernelSize, 2, 1);
    this.#options = { ...options, kernelSize };
    this.outputShape([1, 1, LIMIT, LIMIT]); // refuses impossible options
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = pool2dGeometry(this.type, input, this.#options);
    return [g.n, g.c, g.oh, g.ow];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    this.saveShape(x);
    return avgPool2d(x, { ...this.#options, out });
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    return avgPool2dBackward(dy, this.recallShape(), this.#options);
  }
}

/** Average pooling along one axis, `torch.nn.AvgPool1d`: [N, C, L] → [N, C, oL]. */
export class AvgPool1d extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "AvgPool1d";
  readonly #options: Pool1dOptions & AverageOptions;

  /**
   * Describes the layer; it has no values yet.
   *
   * @param kernelSize Length of the window.
   */
  constructor(
    kernelSize: Pool1dOptions["kernelSize"],
    options: Omit<Pool1dOptions, "kernelSize"> & AverageOptions = {},
  ) {
    super();
    checkPerAxis(this.type, "kernelSize", kernelSize, 1, 1);
    this.#options = { ...options, kernelSize };
    this.outputShape([1, 1, LIMIT]); // refuses impossible options
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = pool1dGeometry(this.type, input, this.#options);
    return [g.n, g.c, g.ow];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    this.saveShape(x);
    return avgPool1d(x, { ...this.#options, out });
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    return avgPool1dBackward(dy, this.recallShape(), this.#options);
  }
}

/** Average pooling to a given size, `torch.nn.AdaptiveAvgPool2d`. */
export class AdaptiveAvgPool2d extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "AdaptiveAvgPool2d";
  readonly #size: readonly [number, number];

  /**
   * Describes the layer; it has no values yet.
   *
   * @param outputSize Height and width of the output.
   */
  constructor(readonly outputSize: number | readonly [number, number]) {
    super();
    const [height, width] = checkPerAxis(this.type, "outputSize", outputSize, 2, 1);
    this.#size = [height, width];
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkShape(this.type, "x", input, "[N, C, H, W]");
    return [input[0], input[1], ...this.#size];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    this.saveShape(x);
    return adaptiveAvgPool2d(x, this.#size, { out });
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    return adaptiveAvgPoolBackward(dy, this.recallShape());
  }
}

/** Average pooling along one axis to a given size, `torch.nn.AdaptiveAvgPool1d`. */
export class AdaptiveAvgPool1d extends Layer {
  /** The name in `torch.nn`. */
  override readonly type = "AdaptiveAvgPool1d";

  /**
   * Describes the layer; it has no values yet.
   *
   * @param outputSize Length of the output.
   */
  constructor(readonly outputSize: number) {
    super();
    checkInteger(this.type, "outputSize", outputSize, 1);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkShape(this.type, "x", input, "[N, C, L]");
    return [input[0], input[1], this.outputSize];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    this.saveShape(x);
    return adaptiveAvgPool1d(x, this.outputSize, { out });
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    return adaptiveAvgPoolBackward(dy, this.recallShape());
  }
}
