/**
 * The base class of layers that resample planes.
 *
 * @module
 */

import {
  planesOf,
  resample,
  resampleBackward,
  ResampleTables,
  type Resampling,
} from "../ops/resample.ts";
import { checkTensor } from "../ops/checks.ts";
import { type Backend, sameShape, type Shape, type Tensor } from "../tensor.ts";
import { checkForward, type ForwardOptions, Layer } from "./layer.ts";

/** Tables, and what they were made for. */
interface KeptTables {
  readonly backend: Backend;
  /** The sizes of the planes, before and after. */
  readonly plane: Shape;
  readonly tables: ResampleTables;
}

/**
 * The base class of layers that resample planes. They keep the tables for the last size.
 *
 * @internal
 */
export abstract class ResampleLayer extends Layer {
  #forward: KeptTables | undefined;
  #backward: KeptTables | undefined;

  /** The resampling of an input. */
  protected abstract resampling(input: Shape): Resampling;

  /** See {@linkcode Layer.outputShape}. */
  override outputShape(input: Shape): Shape {
    return this.resampling(input).output;
  }

  /** See {@linkcode Layer.forward}. */
  override forward(x: Tensor, options: ForwardOptions = {}): Tensor {
    const out = checkForward(this.type, x, options), resampling = this.resampling(x.shape);
    const kept = this.#forward = tablesFor(this.#forward, x.backend, resampling, false);
    const y = resample(this.type, x, resampling, out, kept.tables);
    this.saveShape(x);
    return y;
  }

  /** See {@linkcode Layer.backward}. */
  override backward(dy: Tensor): Tensor {
    checkTensor(this.type, "dy", dy, dy);
    const resampling = this.resampling(this.recallShape());
    checkTensor(this.type, "dy", dy, dy, resampling.output);
    const kept = this.#backward = tablesFor(this.#backward, dy.backend, resampling, true);
    return resampleBackward(this.type, dy, resampling, undefined, kept.tables);
  }

  /** See {@linkcode Layer.forget}. */
  override forget(): void {
    this.#backward?.tables[Symbol.dispose]();
    this.#backward = undefined;
    super.forget();
  }

  /** See {@linkcode Layer.dispose}. */
  override dispose(): void {
    super.dispose();
    this.#forward?.tables[Symbol.dispose]();
    this.#forward = undefined;
  }
}

/** Returns the old tables if they fit, or else new ones in their place. */
function tablesFor(
  old: KeptTables | undefined,
  backend: Backend,
  resampling: Resampling,
  gradient: boolean,
): KeptTables {
  const { input, output, axis } = resampling;
  const plane = [input, output].flatMap((shape) => planesOf(shape, axis).slice(1));
  if (old?.backend === backend && sameShape(old.plane, plane)) return old;
  const tables = new ResampleTables(backend, resampling, gradient);
  old?.tables[Symbol.dispose]();
  return { backend, plane, tables };
}
