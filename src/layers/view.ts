/**
 * Layers whose output is a view of the input: nothing is computed.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { checkAnyShape, checkAxis, checkIndex, checkTensor, maxSize } from "../ops/checks.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { checkForward, type ForwardOptions, Layer, viewAs } from "./layer.ts";

/**
 * The base class of layers whose output is a view of the input.
 *
 * @internal
 */
export abstract class View extends Layer {
  /** Whether the output is a view of the input. Not in a class that overrides the forward pass. */
  override get aliases(): boolean {
    return this.forward === View.prototype.forward;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    checkForward(this.type, x, options);
    const y = viewAs(this.type, x, this.outputShape(x.shape), options, !this.aliases);
    this.saveShape(x);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy);
    const shape = this.recallShape();
    checkTensor(this.type, "dy", dy, dy, this.outputShape(shape));
    return dy.view(shape);
  }
}

/** Returns its input, `torch.nn.Identity`. The result is a view. */
export class Identity extends View {
  /** The name in `torch.nn`. */
  override readonly type = "Identity";

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input);
    return input;
  }
}

/**
 * Joins all axes but the first, `torch.nn.Flatten`: [N, …] → [N, features]. The result is a view.
 */
export class Flatten extends View {
  /** The name in `torch.nn`. */
  override readonly type = "Flatten";

  /**
   * Creates the layer.
   *
   * @param startDim The first axis to join: 1. Use {@linkcode Reshape} for others.
   * @param endDim The last one: −1.
   * @throws {ArgumentError} When they are others.
   */
  constructor(startDim = 1, endDim = -1) {
    super();
    if (startDim === 1 && endDim === -1) return;
    const expected = "1 and -1; use Reshape for others";
    throw new ArgumentError("Flatten", "[startDim, endDim]", [startDim, endDim], expected);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input, 1);
    return [input[0], elements(input.slice(1))];
  }
}

/**
 * Gives each sample another shape: [N, …] → [N, ...shape]. The result is a view.
 *
 * @example
 * ```ts
 * import { Reshape } from "./view.ts";
 *
 * console.log(new Reshape([2, -1, 7]).outputShape([8, 4, 7, 7])); // [8, 2, 14, 7]
 * ```
 */
export class Reshape extends View {
  /** The name of the layer. */
  override readonly type = "Reshape";

  /**
   * Creates the layer.
   *
   * @param shape The shape of a sample. One size may be −1: the rest of the elements.
   * @throws {ArgumentError} When a size is invalid.
   */
  constructor(readonly shape: readonly number[]) {
    super();
    checkSizes("Reshape", "shape", shape);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input, 1);
    const sample = elements(input.slice(1));
    return [input[0], ...sizesFor(this.type, "shape", this.shape, sample)];
  }
}

/** Splits an axis into several, `torch.nn.Unflatten`. The result is a view. */
export class Unflatten extends View {
  /** The name in `torch.nn`. */
  override readonly type = "Unflatten";

  /**
   * Creates the layer.
   *
   * @param dim The axis. Negative values count from the last axis.
   * @param unflattenedSize The sizes of the axes in its place. One may be −1: the rest of the elements.
   * @throws {ArgumentError} When an argument is invalid.
   */
  constructor(readonly dim: number, readonly unflattenedSize: readonly number[]) {
    super();
    checkIndex("Unflatten", "dim", dim);
    checkSizes("Unflatten", "unflattenedSize", unflattenedSize);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    checkAnyShape(this.type, input, 1);
    const axis = checkAxis(this.type, this.dim, input);
    const sizes = sizesFor(this.type, "unflattenedSize", this.unflattenedSize, input[axis]);
    return input.toSpliced(axis, 1, ...sizes);
  }
}

/** Checks a list of sizes, one of which may be −1. */
function checkSizes(type: string, parameter: string, sizes: readonly number[]): void {
  const isSize = (size: unknown) =>
    Number.isInteger(size) && (size === -1 || size as number >= 1) && size as number <= maxSize;
  const valid = Array.isArray(sizes) && sizes.findIndex((size) => !isSize(size)) < 0 &&
    sizes.filter((size) => size === -1).length <= 1;
  if (valid) return;
  throw new ArgumentError(type, parameter, sizes, "positive integers, and at most one −1");
}

/** The sizes of a tensor with `total` elements: −1 becomes the size that is missing. */
function sizesFor(
  type: string,
  parameter: string,
  sizes: readonly number[],
  total: number,
): readonly number[] {
  const known = elements(sizes.filter((size) => size !== -1)), rest = total / known;
  const fits = sizes.includes(-1) ? Number.isInteger(rest) : rest === 1;
  if (fits) return sizes.map((size) => size === -1 ? rest : size);
  throw new ArgumentError(type, parameter, sizes, `sizes of ${total} elements`);
}
