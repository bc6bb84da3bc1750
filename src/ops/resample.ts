/**
 * Planes of another size, computed from tables for their rows and columns.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import { type Backend, elements, type Shape, type Tensor } from "../tensor.ts";
import { checkTensor, disposeOnError, produce } from "./checks.ts";
import { tableOf, type Taps, tapsAt, transposedTaps } from "./taps.ts";

/**
 * A resampling of the planes of [N, C, L] or [N, C, H, W], or of one axis of any shape.
 *
 * @internal
 */
export interface Resampling {
  /** The shape of the input. */
  readonly input: Shape;
  /** The shape of the output. */
  readonly output: Shape;
  /** The axis that is resampled. The axes behind it are the rows of its planes. Default: those of planes. */
  readonly axis?: number;
  /** Computes the taps of each axis of a plane. */
  readonly taps: () => readonly Taps[];
}

/** The tables of a resampling, or of its gradient, on a backend. */
export class ResampleTables implements Disposable {
  readonly #rows: Tensor<Int32Array>;
  readonly #columns: Tensor<Int32Array>;
  readonly #axis?: number;

  /** @param gradient Whether the tables are those of the gradient. */
  constructor(backend: Backend, { taps, axis }: Resampling, gradient: boolean) {
    this.#axis = axis;
    const axes = gradient ? taps().map(transposedTaps) : taps();
    const [columns, rows = tapsAt(1, 1, () => 0)] = axes.toReversed();
    this.#rows = upload(backend, rows);
    this.#columns = disposeOnError(
      { [Symbol.dispose]: () => this.#rows.dispose() },
      () => upload(backend, columns),
    );
  }

  /** Computes y from x. */
  apply(y: Tensor, x: Tensor): void {
    const [[planes, h, w], [, oh, ow]] = [x, y].map(({ shape }) => planesOf(shape, this.#axis));
    kernelsOf(x).resample(y, x, this.#rows, this.#columns, { n: planes, c: 1, h, w, oh, ow });
  }

  /** Frees the tables. */
  [Symbol.dispose](): void {
    this.#rows.dispose();
    this.#columns.dispose();
  }
}

function upload(backend: Backend, taps: Taps): Tensor<Int32Array> {
  const table = tableOf(taps);
  return backend.uploadIndices(table, [table.length]);
}

/** The number of planes, their height and width. */
export function planesOf(shape: Shape, axis = 2): readonly number[] {
  const inner = shape.slice(axis + 1), plane = [shape[axis], elements(inner)];
  return [elements(shape.slice(0, axis)), ...(inner.length > 0 ? plane : [1, shape[axis]])];
}

/**
 * Computes a resampling.
 *
 * @param tables Its tables on the backend of x. Default: new ones, for this call.
 */
export function resample(
  op: string,
  x: Tensor,
  resampling: Resampling,
  out?: Tensor,
  tables?: ResampleTables,
): Tensor {
  return produce(op, x, { shape: resampling.output, out }, (y) => {
    if (tables) return tables.apply(y, x);
    using own = new ResampleTables(x.backend, resampling, false);
    own.apply(y, x);
  });
}

/** Computes the gradient of a resampling, like {@linkcode resample}. */
export function resampleBackward(
  op: string,
  dy: Tensor,
  resampling: Resampling,
  out?: Tensor,
  tables?: ResampleTables,
): Tensor {
  checkTensor(op, "dy", dy, dy, resampling.output);
  return produce(op, dy, { shape: resampling.input, out }, (dx) => {
    if (tables) return tables.apply(dx, dy);
    using own = new ResampleTables(dy.backend, resampling, true);
    own.apply(dx, dy);
  });
}
