/**
 * Pooling layers.
 *
 * @module
 */

import { checkOptions, checkPerAxis, checkPlanes, maxSize } from "../ops/checks.ts";
import {
  adaptiveAvgPool,
  adaptiveAvgPoolBackward,
  adaptiveMaxPool,
  adaptiveMaxPoolWithIndices,
  averageNames,
  type AverageOptions,
  avgPool,
  avgPoolBackward,
  maxPool,
  type MaxPoolResult,
  maxPoolWithIndices,
} from "../ops/pool_nd.ts";
import {
  type Pool1dOptions,
  type Pool2dOptions,
  poolGeometry,
  poolNames,
  type PoolOptions,
} from "../ops/pool_geometry.ts";
import type { Shape, Tensor } from "../tensor.ts";
import type { Repeatable } from "./forward.ts";
import { IndexedPool } from "./indexed_pool.ts";
import { checkForward, type ForwardOptions, Layer } from "./layer.ts";

/** Checks the values of the options of a pooling with a window, and returns them. */
function checkWindow<T extends PoolOptions>(type: string, axes: 1 | 2, options: T): T {
  checkPerAxis(type, "kernelSize", options.kernelSize, axes, 1);
  poolGeometry(type, axes, [1, 1, ...Array(axes).fill(maxSize)], options);
  return options;
}

/**
 * The base class of max pooling layers with a window.
 *
 * @internal
 */
abstract class MaxPool extends IndexedPool {
  readonly #axes: 1 | 2;
  /** The options of the operation, with the size of the window. */
  readonly options: PoolOptions;

  constructor(type: string, axes: 1 | 2, options: PoolOptions) {
    super();
    this.#axes = axes;
    this.options = checkWindow(type, axes, options);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return poolGeometry(this.type, this.#axes, input, this.options).output;
  }

  /** Computes the maxima. */
  protected override maxima(x: Tensor, out: Tensor | undefined): Tensor {
    return maxPool(this.#axes, x, { ...this.options, out });
  }

  /** Computes the maxima and their positions. */
  protected override maximaWithIndices(x: Tensor, out: Tensor | undefined): MaxPoolResult {
    return maxPoolWithIndices(this.#axes, x, { ...this.options, out });
  }
}

/**
 * Max pooling, `torch.nn.MaxPool2d`: [N, C, H, W] → [N, C, oH, oW].
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

  /**
   * Creates the layer.
   *
   * @param kernelSize Height and width of the window.
   * @param options `stride` (default: the kernel size), `padding`, `dilation` and `ceilMode`, as
   * in PyTorch.
   * @throws {ArgumentError} When an option is invalid, or no input could fit the options.
   */
  constructor(
    kernelSize: Pool2dOptions["kernelSize"],
    options: Omit<Pool2dOptions, "kernelSize"> = {},
  ) {
    checkOptions("MaxPool2d", options, poolNames);
    super("MaxPool2d", 2, { ...options, kernelSize });
  }
}

/** Max pooling along one axis, `torch.nn.MaxPool1d`: [N, C, L] → [N, C, oL]. */
export class MaxPool1d extends MaxPool {
  /** The name in `torch.nn`. */
  override readonly type = "MaxPool1d";

  /**
   * Creates the layer.
   *
   * @param kernelSize Length of the window.
   * @param options `stride` (default: the kernel size), `padding`, `dilation` and `ceilMode`, as
   * in PyTorch.
   * @throws {ArgumentError} When an option is invalid, or no input could fit the options.
   */
  constructor(
    kernelSize: Pool1dOptions["kernelSize"],
    options: Omit<Pool1dOptions, "kernelSize"> = {},
  ) {
    checkOptions("MaxPool1d", options, poolNames);
    super("MaxPool1d", 1, { ...options, kernelSize });
  }
}

/**
 * The base class of average pooling layers with a window.
 *
 * @internal
 */
abstract class AvgPool extends Layer implements Repeatable {
  readonly #axes: 1 | 2;
  /** The options of the operation, with the size of the window. */
  readonly options: PoolOptions & AverageOptions;

  constructor(type: string, axes: 1 | 2, options: PoolOptions & AverageOptions) {
    super();
    this.#axes = axes;
    this.options = checkWindow(type, axes, options);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return poolGeometry(this.type, this.#axes, input, this.options).output;
  }

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    return this.forward === AvgPool.prototype.forward ? 0 : undefined;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    this.saveShape(x);
    return avgPool(this.#axes, x, { ...this.options, out });
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    return avgPoolBackward(this.#axes, dy, this.recallShape(), this.options);
  }
}

/** Average pooling, `torch.nn.AvgPool2d`: [N, C, H, W] → [N, C, oH, oW]. */
export class AvgPool2d extends AvgPool {
  /** The name in `torch.nn`. */
  override readonly type = "AvgPool2d";

  /**
   * Creates the layer.
   *
   * @param kernelSize Height and width of the window.
   * @param options `stride` (default: the kernel size), `padding`, `dilation` and `ceilMode`, as
   * in PyTorch; `countIncludePad` counts padding in the divisor (default true); `divisorOverride`
   * is the divisor of all windows.
   * @throws {ArgumentError} When an option is invalid, or no input could fit the options.
   */
  constructor(
    kernelSize: Pool2dOptions["kernelSize"],
    options: Omit<Pool2dOptions, "kernelSize"> & AverageOptions = {},
  ) {
    checkOptions("AvgPool2d", options, [...poolNames, ...averageNames]);
    super("AvgPool2d", 2, { ...options, kernelSize });
  }
}

/** Average pooling along one axis, `torch.nn.AvgPool1d`: [N, C, L] → [N, C, oL]. */
export class AvgPool1d extends AvgPool {
  /** The name in `torch.nn`. */
  override readonly type = "AvgPool1d";

  /**
   * Creates the layer.
   *
   * @param kernelSize Length of the window.
   * @param options `stride` (default: the kernel size), `padding`, `dilation` and `ceilMode`, as
   * in PyTorch; `countIncludePad` counts padding in the divisor (default true); `divisorOverride`
   * is the divisor of all windows.
   * @throws {ArgumentError} When an option is invalid, or no input could fit the options.
   */
  constructor(
    kernelSize: Pool1dOptions["kernelSize"],
    options: Omit<Pool1dOptions, "kernelSize"> & AverageOptions = {},
  ) {
    checkOptions("AvgPool1d", options, [...poolNames, ...averageNames]);
    super("AvgPool1d", 1, { ...options, kernelSize });
  }
}

/**
 * The base class of average pooling layers with a given output size.
 *
 * @internal
 */
abstract class AdaptiveAvgPool extends Layer implements Repeatable {
  readonly #axes: 1 | 2;
  readonly #size: readonly number[];

  constructor(type: string, axes: 1 | 2, outputSize: number | readonly number[]) {
    super();
    this.#axes = axes;
    this.#size = checkPerAxis(type, "outputSize", outputSize, axes, 1);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkPlanes(this.type, "x", input, this.#axes);
    return [input[0], input[1], ...this.#size];
  }

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    return this.forward === AdaptiveAvgPool.prototype.forward ? 0 : undefined;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    this.saveShape(x);
    return adaptiveAvgPool(this.#axes, x, this.#size, { out });
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    return adaptiveAvgPoolBackward(dy, this.recallShape());
  }
}

/**
 * Average pooling to a given output size, `torch.nn.AdaptiveAvgPool2d`: [N, C, H, W] → [N, C, oH,
 * oW].
 */
export class AdaptiveAvgPool2d extends AdaptiveAvgPool {
  /** The name in `torch.nn`. */
  override readonly type = "AdaptiveAvgPool2d";

  /**
   * Creates the layer.
   *
   * @param outputSize Height and width of the output.
   * @throws {ArgumentError} When the output size is invalid.
   */
  constructor(readonly outputSize: number | readonly [number, number]) {
    super("AdaptiveAvgPool2d", 2, outputSize);
  }
}

/**
 * Average pooling to a given output length, `torch.nn.AdaptiveAvgPool1d`: [N, C, L] → [N, C, oL].
 */
export class AdaptiveAvgPool1d extends AdaptiveAvgPool {
  /** The name in `torch.nn`. */
  override readonly type = "AdaptiveAvgPool1d";

  /**
   * Creates the layer.
   *
   * @param outputSize Length of the output.
   * @throws {ArgumentError} When the output size is invalid.
   */
  constructor(readonly outputSize: number) {
    super("AdaptiveAvgPool1d", 1, outputSize);
  }
}

/**
 * Max pooling to a given output size, `torch.nn.AdaptiveMaxPool2d`: [N, C, H, W] → [N, C, oH, oW].
 */
export class AdaptiveMaxPool2d extends IndexedPool {
  /** The name in `torch.nn`. */
  override readonly type = "AdaptiveMaxPool2d";
  readonly #size: readonly number[];

  /**
   * Creates the layer.
   *
   * @param outputSize Height and width of the output.
   * @throws {ArgumentError} When the output size is invalid.
   */
  constructor(readonly outputSize: number | readonly [number, number]) {
    super();
    this.#size = checkPerAxis("AdaptiveMaxPool2d", "outputSize", outputSize, 2, 1);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkPlanes(this.type, "x", input, 2);
    return [input[0], input[1], ...this.#size];
  }

  /** Computes the maxima. */
  protected override maxima(x: Tensor, out: Tensor | undefined): Tensor {
    return adaptiveMaxPool(x, this.#size, { out });
  }

  /** Computes the maxima and their positions. */
  protected override maximaWithIndices(x: Tensor, out: Tensor | undefined): MaxPoolResult {
    return adaptiveMaxPoolWithIndices(x, this.#size, { out });
  }
}
