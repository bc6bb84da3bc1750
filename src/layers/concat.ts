/**
 * Concatenation and slices.
 *
 * @module
 */

import { checkIndex, checkInteger, checkOptions, checkTensor } from "../ops/checks.ts";
import {
  cat,
  catShape,
  slice,
  sliceBackward,
  type SliceOptions,
  sliceShape,
} from "../ops/concat.ts";
import { elements, type Shape, type Tensor } from "../tensor.ts";
import { checkForwardOptions, overridesForward, type Repeatable } from "./forward.ts";
import { checkForward, type ForwardOptions, Layer } from "./layer.ts";
import { gradientsOf, isOwnMerge, MergeLayer } from "./merge_layer.ts";

/**
 * Joins its inputs along an axis, like `torch.cat`. Their shapes are equal but for that axis.
 *
 * @example
 * ```ts
 * import { Concat } from "./concat.ts";
 *
 * console.log(new Concat(1).outputShape([[1, 64, 28, 28], [1, 32, 28, 28]])); // [1, 96, 28, 28]
 * ```
 */
export class Concat extends MergeLayer implements Repeatable {
  /** The name of the layer. */
  override readonly type = "Concat";
  /** The shapes of the inputs of the last forward pass. */
  #shapes: readonly Shape[] = [];

  /**
   * Creates the layer.
   *
   * @param dim The axis. Negative values count from the last axis. Default: 1, the channels.
   * @throws {ArgumentError} When the axis is no integer.
   */
  constructor(readonly dim = 1) {
    super();
    checkIndex("Concat", "dim", dim);
  }

  /** See {@linkcode Layer.outputShapeOf}. */
  override outputShapeOf(inputs: readonly Shape[]): Shape {
    return catShape(this.type, inputs, this.dim).shape;
  }

  /**
   * Where each input begins in the output, in elements. Undefined where they are not contiguous there.
   *
   * @internal
   */
  partOffsets(inputs: readonly Shape[]): number[] | undefined {
    const { shape, axis } = catShape(this.type, inputs, this.dim);
    if (elements(shape.slice(0, axis)) > 1 || overridesForward(this)) return undefined;
    let end = 0;
    return inputs.map((input) => (end += elements(input)) - elements(input));
  }

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    return isOwnMerge(this, Concat) ? 0 : undefined;
  }

  /** See {@linkcode Layer.forwardFrom}. */
  override forwardFrom(inputs: readonly Tensor[], options: ForwardOptions = {}): Tensor {
    const out = checkForwardOptions(this.type, options);
    const y = cat(inputs, this.dim, { out });
    this.saveShape(y);
    this.#shapes = inputs.map((x) => x.shape);
    return y;
  }

  /** See {@linkcode Layer.backwardInto}. */
  override backwardInto(dy: Tensor): readonly Tensor[] {
    checkTensor(this.type, "dy", dy, dy);
    checkTensor(this.type, "dy", dy, dy, this.recallShape());
    const shapes = this.#shapes, { axis } = catShape(this.type, shapes, this.dim);
    let end = 0;
    return gradientsOf(shapes, dy, (shape) => {
      const start = end;
      end += shape[axis];
      return slice(dy, axis, start, end);
    });
  }
}

/** The positions `start` … `end` − 1 of an axis, like `x[start:end]` in PyTorch. */
export class Slice extends Layer {
  /** The name of the layer. */
  override readonly type = "Slice";

  /**
   * Creates the layer.
   *
   * @param dim The axis. Negative values count from the last axis.
   * @param start The first position. Negative values count from the end.
   * @param end The position behind the last one. Negative values count from the end. Default: the
   * end.
   * @param options `step` is the distance between the positions. Default: 1.
   * @throws {ArgumentError} When an argument is no integer.
   */
  constructor(
    readonly dim: number,
    readonly start: number,
    readonly end?: number,
    readonly options: SliceOptions = {},
  ) {
    super();
    checkIndex("Slice", "dim", dim);
    checkIndex("Slice", "start", start);
    if (end !== undefined) checkIndex("Slice", "end", end);
    checkOptions("Slice", options, ["step"]);
    checkInteger("Slice", "step", options.step ?? 1, 1);
  }

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return sliceShape(this.type, input, this.dim, this.start, this.end, this.options).shape;
  }

  /**
   * Where the output begins in the input, in elements. Undefined where it is not contiguous there.
   *
   * @internal
   */
  viewOffset(input: Shape): number | undefined {
    const sliced = sliceShape(this.type, input, this.dim, this.start, this.end, this.options);
    const { axis, start, step } = sliced;
    if (this.forward !== Slice.prototype.forward) return undefined;
    if (step > 1 || elements(input.slice(0, axis)) > 1) return undefined;
    return start * elements(input.slice(axis + 1));
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options);
    const y = slice(x, this.dim, this.start, this.end, { ...this.options, out });
    this.saveShape(x);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    const shape = this.recallShape();
    return sliceBackward(dy, shape, this.dim, this.start, this.end, this.options);
  }
}
