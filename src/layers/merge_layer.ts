/**
 * The base class of layers with several inputs.
 *
 * @module
 */

import { ArgumentError, PembrokeError } from "../errors.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { type ForwardOptions, Layer } from "./layer.ts";

/**
 * The base class of layers with several inputs, such as {@linkcode Add}. They take a list of
 * tensors. Use them in a {@linkcode Graph}.
 */
export abstract class MergeLayer extends Layer {
  /** See {@linkcode Layer.outputShape}. It takes the shapes of all inputs. */
  override outputShape(inputs: Shape | readonly Shape[]): Shape {
    return this.outputShapeOf(listOf<Shape>(this.type, "shapes", inputs));
  }

  /** See {@linkcode Layer.forward}. It takes all inputs. */
  override forward(inputs: Tensor | readonly Tensor[], options: ForwardOptions = {}): Tensor {
    return this.forwardFrom(listOf<Tensor>(this.type, "inputs", inputs), options);
  }

  /**
   * Not supported, because there is one gradient for each input. A `Graph` calls
   * {@linkcode MergeLayer.backwardInto} instead.
   *
   * @throws {PembrokeError} Always.
   */
  override backward(_dy: Tensor): Tensor {
    const why = "cannot return a gradient for each input";
    throw new PembrokeError(`${this.type}: backward() ${why}; put the layer into a Graph`);
  }

  /** Returns the shape of the output for the shapes of all inputs. */
  abstract override outputShapeOf(inputs: readonly Shape[]): Shape;

  /** Computes the output from all inputs, in `out` if there is one. The caller disposes of it. */
  abstract override forwardFrom(inputs: readonly Tensor[], options?: ForwardOptions): Tensor;

  /**
   * Computes the gradient of each input, and adds the gradients of the parameters to their `grad`.
   * Where a gradient equals dy, the entry may be dy itself. The caller disposes of the others.
   */
  abstract override backwardInto(dy: Tensor): readonly Tensor[];

  /** See {@linkcode Layer.macs}. */
  override macsOf(_inputs: readonly Shape[]): number {
    return 0;
  }
}

/** Whether a layer computes as its base class of this library does: nothing is overridden. */
export function isOwnMerge(
  { forward, forwardFrom }: MergeLayer,
  { prototype }: { readonly prototype: MergeLayer },
): boolean {
  return forward === prototype.forward && forwardFrom === prototype.forwardFrom;
}

/**
 * Computes the gradient of each input, or none of them if one fails.
 *
 * @param gradientOf Returns a new tensor, or dy itself.
 */
export function gradientsOf<T>(
  inputs: readonly T[],
  dy: Tensor,
  gradientOf: (input: T, index: number) => Tensor,
): Tensor[] {
  const gradients: Tensor[] = [];
  try {
    for (const [i, input] of inputs.entries()) gradients.push(gradientOf(input, i));
    return gradients;
  } catch (error) {
    for (const gradient of gradients) if (gradient !== dy) gradient.dispose();
    throw error;
  }
}

function listOf<T>(type: string, what: string, inputs: unknown): readonly T[] {
  if (Array.isArray(inputs)) return inputs as T[];
  throw new ArgumentError(type, what, inputs, "a list, one for each input");
}
