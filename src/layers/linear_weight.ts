/**
 * The weights of fully connected layers, in 32, 16 or 8 bits.
 *
 * @module
 */

import { kernelsOf } from "../backend/interface.ts";
import type { Backend } from "../backend/mod.ts";
import { ArgumentError, PembrokeError } from "../errors.ts";
import { checkBackend } from "../ops/checks.ts";
import { emptyQuantized, type QuantizedWeight, quantizeLinear } from "../ops/quantize.ts";
import type { Tensor } from "../tensor.ts";
import { Parameter } from "./parameter.ts";
import { type Precision, precisions } from "./precision.ts";

/** Rows rounded at a time while weights are written: a panel of the int8 kernel. */
const ROWS = 8;

/** Rows on their way to a rounded weight. */
interface PendingRows {
  /** The rows of the panel that is not complete yet. */
  readonly rows: Tensor;
  /** The number of values written so far, of all rows. */
  written: number;
}

/**
 * The weights of a fully connected layer, [out, in]. The precision decides where the values are:
 * float32 in `tensor`, float16 in {@linkcode LinearWeight.half}, int8 with a scale for each row in
 * {@linkcode LinearWeight.quantized}.
 */
export class LinearWeight extends Parameter {
  #precision: Precision;
  #quantized: QuantizedWeight | undefined;
  #half: Tensor<Uint16Array> | undefined;
  #pending: PendingRows | undefined;

  /**
   * Creates weights without memory.
   *
   * @param fill Writes initial values to a chunk.
   * @param precision How the values will be stored.
   * @throws {ArgumentError} When the precision is unknown.
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

  /** How the values are stored, or will be. */
  get precision(): Precision {
    return this.#precision;
  }

  /** The int8 values, if the precision is "int8". `tensor` is undefined then. */
  get quantized(): QuantizedWeight | undefined {
    return this.#quantized;
  }

  /** The float16 values, if the precision is "f16" on WebGPU. `tensor` is undefined then. */
  get half(): Tensor<Uint16Array> | undefined {
    return this.#half;
  }

  /** See {@linkcode Parameter.backend}. */
  override get backend(): Backend | undefined {
    return (this.#quantized ?? this.#half)?.backend ?? super.backend;
  }

  /** See {@linkcode Parameter.allocate}. */
  override allocate(backend: Backend): void {
    checkBackend("allocate", backend);
    this.dispose();
    if (this.#precision === "int8") this.#quantized = emptyQuantized(backend, this.shape);
    else if (this.#precision === "f16") this.#half = kernelsOf(backend).emptyHalf?.(this.shape);
    if (!this.#quantized && !this.#half) super.allocate(backend);
  }

  /**
   * See {@linkcode Parameter.write}. Weights in fewer than 32 bits must be written in order, from
   * the first value on.
   *
   * @throws {ArgumentError} When they are not.
   */
  override write(values: Float32Array, offset = 0): void {
    const rounded = this.#quantized ?? this.#half;
    if (!rounded) return super.write(values, offset);
    const { backend } = rounded, [outF, inF] = this.shape, total = outF * inF;
    if (offset === 0) this.#disposePending();
    this.#pending ??= { rows: backend.empty([Math.min(ROWS, outF), inF]), written: 0 };
    const { rows, written } = this.#pending;
    if (offset !== written || offset + values.length > total) {
      const range = `${offset} … ${offset + values.length}`, precision = this.#precision;
      const expected = `${written} … at most ${total}: ${precision} weights are written in order`;
      throw new ArgumentError("write", "the range", range, expected);
    }
    for (let at = 0; at < values.length;) {
      const start = this.#pending.written, inPanel = start % rows.size;
      const chunk = values.subarray(at, at + rows.size - inPanel);
      backend.write(rows, chunk, inPanel);
      at += chunk.length;
      this.#pending.written += chunk.length;
      this.#roundRows(rows, start - inPanel);
    }
    if (this.#pending.written === total) this.#disposePending();
  }

  /**
   * Rounds the values to 8 bits: the present ones, and all that are written later.
   *
   * @throws {PembrokeError} When they are stored in float16.
   */
  quantize(): void {
    if (this.#half) {
      throw new PembrokeError(`quantize: the weights are f16 already; ${advice("int8")}`);
    }
    const quantized = this.tensor && quantizeLinear(this.tensor);
    this.#precision = "int8";
    if (!quantized) return;
    super.dispose();
    this.#quantized = quantized;
  }

  /** See {@linkcode Parameter.gradient}. */
  override gradient(): Tensor {
    this.checkTrainable();
    return super.gradient();
  }

  /**
   * Checks that the values are stored in float32.
   *
   * @throws {PembrokeError} When they are not.
   */
  checkTrainable(): void {
    if (this.#precision === "f32") return;
    throw new PembrokeError(
      `Linear: its weights are ${this.#precision}, which cannot be trained; ${advice("f32")}`,
    );
  }

  /** See {@linkcode Parameter.dispose}. */
  override dispose(): void {
    super.dispose();
    this.#disposePending();
    this.#quantized?.dispose();
    this.#half?.dispose();
    this.#quantized = this.#half = undefined;
  }

  /** Rounds the pending rows if they are complete. Their first value has the index `start`. */
  #roundRows(rows: Tensor, start: number): void {
    const { written } = this.#pending!, [outF, inF] = this.shape;
    const count = written - start;
    if (count < rows.size && written < outF * inF) return;
    const { backend } = rows, whole = rows.view([count / inF, inF]);
    if (this.#half) return kernelsOf(backend).packHalf!(this.#half, whole, start);
    const { packed, scale } = this.#quantized!;
    kernelsOf(backend).packLinearInt8(packed, scale, whole, start / inF);
  }

  #disposePending(): void {
    this.#pending?.rows.dispose();
    this.#pending = undefined;
  }
}

function advice(precision: Precision): string {
  return `create or load the network with precision "${precision}"`;
}
