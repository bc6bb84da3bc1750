/**
 * Pooling layers.
 *
 * @module
 */

import { checkInteger, checkPerAxis, checkShape } from "../ops/checks.ts";
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  type AverageOptions,
  avgPool1d,
  avgPool2d,
  maxPool1d,
  maxPool2d,
} from "../ops/pool.ts";
import {
  pool1dGeometry,
  type Pool1dOptions,
  pool2dGeometry,
  type Pool2dOptions,
} from "../ops/pool_geometry.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { type ForwardOptions, Layer } from "./layer.ts";

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
export class MaxPool2d extends Layer {
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
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = pool2dGeometry(this.type, input, this.#options);
    return [g.n, g.c, g.oh, g.ow];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    return maxPool2d(x, { ...this.#options, out });
  }
}

/** Maximum pooling along one axis, `torch.nn.MaxPool1d`: [N, C, L] → [N, C, oL]. */
export class MaxPool1d extends Layer {
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
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = pool1dGeometry(this.type, input, this.#options);
    return [g.n, g.c, g.ow];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    return maxPool1d(x, { ...this.#options, out });
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
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = pool2dGeometry(this.type, input, this.#options);
    return [g.n, g.c, g.oh, g.ow];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    return avgPool2d(x, { ...this.#options, out });
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
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    const g = pool1dGeometry(this.type, input, this.#options);
    return [g.n, g.c, g.ow];
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, { out }: ForwardOptions = {}): Tensor {
    return avgPool1d(x, { ...this.#options, out });
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
    return adaptiveAvgPool2d(x, this.#size, { out });
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
    return adaptiveAvgPool1d(x, this.outputSize, { out });
  }
}
