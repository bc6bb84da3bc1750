/**
 * The weights of fully connected layers, in 32, 16 or 8 bits.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { Backend } from "../backend/mod.ts";
import { ArgumentError, PembrokeError } from "../errors.ts";
import { emptyQuantized, type QuantizedWeight, quantizeLinear } from "../ops/quantize.ts";
import type { Tensor } from "../tensor.ts";
import { Parameter } from "./layer.ts";
import { type Precision, precisions } from "./precision.ts";

/** Rows that are rounded at a time, on their way from a file: a panel of the int8 kernel, and even. */
const ROWS = 8;

/**
 * The weights of a fully connected layer, [out, in]: float32 in `tensor`, float16 in
 * {@linkcode LinearWeight.half}, or int8 with a scale for each row in
 * {@linkcode LinearWeight.quantized}. Name and shape are the same.
 */
export class LinearWeight extends Parameter {
  #precision: Precision;
  #quantized: QuantizedWeight | undefined;
  #half: Tensor<Uint16Array> | undefined;
  /** Rows that are not complete, or not a whole panel yet, and how many values were written. */
  #waiting: { readonly rows: Tensor; written: number } | undefined;

  /**
   * Describes the weights; they have no memory yet.
   *
   * @param fill Writes initial values to a piece.
   * @param precision How they will be held.
   */
  constructor(
    override readonly shape: readonly [number, number],
    fill: Parameter["fill"],
    precision: Precision,
  ) {
    super(shape, fill);
    if (!precisions.includes(precision)) {
      throw new ArgumentError("Linear", "precision", precision, '"f32", "f16" or "int8"');
    }
    this.#precision = precision;
  }

  /** How the values are held, or will be. */
  get precision(): Precision {
    return this.#precision;
  }

  /** The values as int8, if that is how they are held; `tensor` is undefined then. */
  get quantized(): QuantizedWeight | undefined {
    return this.#quantized;
  }

  /** The values as float16, if that is how they are held; `tensor` is undefined then. */
  get half(): Tensor<Uint16Array> | undefined {
    return this.#half;
  }

  /** See {@linkcode Parameter.backend}. */
  override get backend(): Backend | undefined {
    return (this.#quantized ?? this.#half)?.backend ?? super.backend;
  }

  /** See {@linkcode Parameter.allocate}. */
  override allocate(backend: Backend): void {
    this.dispose();
    if (this.#precision === "int8") this.#quantized = emptyQuantized(backend, this.shape);
    else if (this.#precision === "f16") this.#half = kernelsOf(backend).emptyHalf?.(this.shape);
    if (!this.#quantized && !this.#half) super.allocate(backend);
  }

  /** See {@linkcode Parameter.write}. What is rounded must come in order, from the first value on. */
  override write(values: Float32Array, offset = 0): void {
    const rounded = this.#quantized ?? this.#half;
    if (!rounded) return super.write(values, offset);
    const { backend } = rounded, [outF, inF] = this.shape, all = outF * inF;
    if (offset === 0) this.#stopWaiting();
    this.#waiting ??= { rows: backend.empty([Math.min(ROWS, outF), inF]), written: 0 };
    const { rows, written } = this.#waiting;
    if (offset !== written || offset + values.length > all) {
      const range = `${offset} … ${offset + values.length}`, precision = this.#precision;
      const takes = `from ${written} on, of ${all}: ${precision} weights are written in order`;
      throw new ArgumentError("write", "the range", range, takes);
    }
    for (let at = 0; at < values.length;) {
      const start = this.#waiting.written, inPanel = start % rows.size;
      const piece = values.subarray(at, at + rows.size - inPanel);
      backend.write(rows, piece, inPanel);
      at += piece.length;
      this.#waiting.written += piece.length;
      this.#roundWhole(rows, start - inPanel);
    }
    if (this.#waiting.written === all) this.#stopWaiting();
  }

  /** Rounds the values to 8 bits, now if there are any, and whatever is loaded later. */
  quantize(): void {
    if (this.#half) {
      throw new PembrokeError(`quantize: the weights are f16 already; ${reload("int8")}`);
    }
    this.#precision = "int8";
    if (!this.tensor) return;
    const quantized = quantizeLinear(this.tensor);
    super.dispose();
    this.#quantized = quantized;
  }

  /** See {@linkcode Parameter.gradient}. */
  override gradient(): Tensor {
    this.checkTrainable();
    return super.gradient();
  }

  /** Throws unless the values are those of training. */
  checkTrainable(): void {
    if (this.#precision === "f32") return;
    const why = `its weights are ${this.#precision}, which cannot be trained`;
    throw new PembrokeError(`Linear: ${why}; ${reload("f32")}`);
  }

  /** See {@linkcode Parameter.dispose}. */
  override dispose(): void {
    super.dispose();
    this.#stopWaiting();
    this.#quantized?.dispose();
    this.#half?.dispose();
    this.#quantized = this.#half = undefined;
  }

  /** Rounds the waiting rows, of which the first value is number `start`, if they are all there. */
  #roundWhole(rows: Tensor, start: number): void {
    const { written } = this.#waiting!, [outF, inF] = this.shape;
    const there = written - start;
    if (there < rows.size && written < outF * inF) return;
    const { backend } = rows, whole = rows.view([there / inF, inF]);
    if (this.#half) return kernelsOf(backend).packHalf!(this.#half, whole, start);
    const { packed, scale } = this.#quantized!;
    kernelsOf(backend).packLinearInt8(packed, scale, whole, start / inF);
  }

  #stopWaiting(): void {
    this.#waiting?.rows.dispose();
    this.#waiting = undefined;
  }
}

function reload(precision: Precision): string {
  return `make or load the network with precision "${precision}"`;
}
