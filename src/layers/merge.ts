/**
 * Layers that add or multiply their inputs.
 *
 * @module
 */

import { ArgumentError } from "../errors.ts";
import { add, addBackward, mul, mulBackward } from "../ops/arithmetic.ts";
import { broadcastGeometry } from "../ops/broadcast.ts";
import { checkAnyShape, checkTensor, produce } from "../ops/checks.ts";
import { elements, sameShape, type Shape, type Tensor } from "../tensor.ts";
import { checkNotInPlace, type Repeatable } from "./forward.ts";
import { checkForward, type ForwardOptions } from "./layer.ts";
import { gradientsOf, isOwnMerge, MergeLayer } from "./merge_layer.ts";

/**
 * The base class of {@linkcode Add} and {@linkcode Mul}. The output has the shape of the largest input;
 * the others have its shape, too, or size 1 along the axes where they are repeated.
 *
 * @internal
 */
export abstract class ElementwiseMerge extends MergeLayer implements Repeatable {
  /** The forward pass may overwrite its first input, if that has the shape of the output. */
  override readonly inPlace = true;

  /** See {@linkcode MergeLayer.outputShape}. */
  override outputShapeOf(inputs: readonly Shape[]): Shape {
    this.checkCount(inputs.length);
    for (const shape of inputs) checkAnyShape(this.type, shape);
    const largest = inputs.reduce((a, b) => isLarger(b, a) ? b : a);
    for (const shape of inputs) broadcastGeometry(this.type, "an input", largest, shape);
    return largest;
  }

  /** See {@linkcode Repeatable}. */
  get kernelVersion(): number | undefined {
    return isOwnMerge(this, ElementwiseMerge) ? 0 : undefined;
  }

  /** See {@linkcode MergeLayer.forward}. */
  override forwardFrom(inputs: readonly Tensor[], options: ForwardOptions = {}): Tensor {
    this.checkCount(inputs.length);
    const out = checkForward(this.type, inputs[0], options);
    for (const input of inputs) checkTensor(this.type, "an input", input, inputs[0]);
    const shape = this.outputShapeOf(inputs.map((input) => input.shape));
    const largest = inputs.findIndex((input) => sameShape(input.shape, shape));
    return this.combine([inputs[largest], ...inputs.toSpliced(largest, 1)], inputs, out);
  }

  /** Throws unless the layer takes this number of inputs. */
  protected abstract checkCount(count: number): void;

  /**
   * Computes the output, and saves what the backward pass needs.
   *
   * @param terms The inputs, one with the shape of the output first.
   * @param inputs The inputs in order.
   */
  protected abstract combine(
    terms: readonly Tensor[],
    inputs: readonly Tensor[],
    out: Tensor | undefined,
  ): Tensor;
}

/**
 * The sum of two or more inputs. Smaller ones are repeated, as by {@linkcode add}. Use it in a
 * {@linkcode Graph}.
 */
export class Add extends ElementwiseMerge {
  /** The name in `torch`. */
  override readonly type = "Add";
  /** See {@linkcode Layer.addsTwo}. */
  override readonly addsTwo = true;
  #shapes: readonly Shape[] = [];

  /** See {@linkcode MergeLayer.backwardInto}. The gradient is dy itself for inputs of its shape. */
  override backwardInto(dy: Tensor): readonly Tensor[] {
    checkTensor(this.type, "dy", dy, dy);
    this.recall();
    const shapes = this.#shapes;
    checkTensor(this.type, "dy", dy, dy, this.outputShapeOf(shapes));
    return gradientsOf(
      shapes,
      dy,
      (shape) => sameShape(shape, dy.shape) ? dy : addBackward(dy, shape),
    );
  }

  /** See {@linkcode ElementwiseMerge.checkCount}. */
  protected override checkCount(count: number): void {
    if (count >= 2) return;
    throw new ArgumentError(this.type, "the number of inputs", count, "at least 2");
  }

  /** See {@linkcode ElementwiseMerge.combine}. */
  protected override combine(
    [first, ...terms]: readonly Tensor[],
    inputs: readonly Tensor[],
    out: Tensor | undefined,
  ): Tensor {
    const { shape } = first, last = terms.length - 1;
    const sum = produce(this.type, first, { shape, out, inPlace: true }, (y) => {
      // a term that is added later may lie in y
      const later = terms.slice(1).some(({ storage }) => storage === y.storage);
      using scratch = later ? y.backend.empty(shape) : undefined;
      terms.reduce((sum, term, i) => add(sum, term, { out: i < last ? scratch ?? y : y }), first);
    });
    this.#shapes = inputs.map((input) => input.shape);
    this.save(); // nothing: the backward pass needs only the shapes
    return sum;
  }
}

/**
 * The product of two inputs. The smaller one is repeated, as by {@linkcode mul}: the gates of a
 * squeeze-and-excitation are [N, C, 1, 1]. Use it in a {@linkcode Graph}.
 */
export class Mul extends ElementwiseMerge {
  /** The name in `torch`. */
  override readonly type = "Mul";

  /** See {@linkcode MergeLayer.backwardInto}. */
  override backwardInto(dy: Tensor): readonly Tensor[] {
    const inputs = this.recall();
    checkTensor(this.type, "dy", dy, dy, this.outputShapeOf(inputs.map(({ shape }) => shape)));
    return gradientsOf(inputs, dy, ({ shape }, i) => {
      const other = inputs[1 - i];
      return sameShape(shape, dy.shape) ? mul(dy, other) : mulBackward(dy, other, shape);
    });
  }

  /** See {@linkcode ElementwiseMerge.checkCount}. */
  protected override checkCount(count: number): void {
    if (count === 2) return;
    throw new ArgumentError(this.type, "the number of inputs", count, "2");
  }

  /** See {@linkcode ElementwiseMerge.combine}. */
  protected override combine(
    [first, second]: readonly Tensor[],
    inputs: readonly Tensor[],
    out: Tensor | undefined,
  ): Tensor {
    if (this.training) checkNotInPlace(this.type, out, ...inputs);
    const y = mul(first, second, { out });
    this.save(...inputs);
    return y;
  }
}

/** Whether a has more elements than b, or more axes. */
function isLarger(a: Shape, b: Shape): boolean {
  return elements(a) > elements(b) || (elements(a) === elements(b) && a.length > b.length);
}
