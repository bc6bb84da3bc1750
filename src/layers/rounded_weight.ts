/**
 * Weights in 32, 16 or 8 bits.
 *
 * @module
 */

import { kernelsOf, partOf } from "../backend/interface.ts";
import type { Backend } from "../backend/mod.ts";
import { ArgumentError, PembrokeError } from "../errors.ts";
import { kindOf } from "../kinds.ts";
import { checkBackend, checkInteger } from "../ops/checks.ts";
import { emptyQuantized, fromHalf, type QuantizedLinear, quantizeLinear } from "../ops/quantize.ts";
import {
  emptyQuantizedConv,
  quantizeConv,
  type QuantizedConv,
  quantizesConv,
} from "../ops/quantize_conv.ts";
import { elements, type Shape, type Tensor, type TensorStorage } from "../tensor.ts";
import { Parameter } from "./parameter.ts";
import { type Precision, precisions } from "./precision.ts";

/** Rows rounded at a time while weights are written: a panel of the int8 kernel. */
const panelRows = 8;

/** Rows on their way to a rounded weight. */
interface PendingRows {
  /** The rows of the panel that is not complete yet. */
  readonly rows: Tensor;
  /** The number of values written so far, of all rows. */
  written: number;
}

/** Weights of a kind of layer in 8 bits. */
type Quantized = QuantizedLinear | QuantizedConv;

/**
 * Weights of rows, one for each output. The precision decides where the values are: float32 in
 * `tensor`, float16 in {@linkcode RoundedWeight.half}, int8 with a scale for each row in
 * {@linkcode RoundedWeight.quantized}. Where a backend has no kernel for a precision, the values
 * stay in float32.
 */
export abstract class RoundedWeight<Q extends Quantized = Quantized> extends Parameter {
  #precision: Precision;
  #quantized: Q | undefined;
  #half: Tensor<Uint16Array> | undefined;
  #pending: PendingRows | undefined;

  /**
   * Creates weights without memory.
   *
   * @param type The name of the layer in error messages.
   * @param fill Writes initial values to a chunk.
   * @param precision How the values will be stored.
   * @throws {ArgumentError} When the precision is unknown.
   */
  constructor(
    readonly type: string,
    shape: Shape,
    fill: Parameter["fill"],
    precision: Precision,
  ) {
    super(shape, fill);
    if (!precisions.includes(precision)) {
      throw new ArgumentError(type, "precision", precision, '"f32", "f16" or "int8"');
    }
    this.#precision = precision;
  }

  /** Allocates memory for int8 values; returns undefined if they stay in float32. */
  protected abstract emptyInt8(backend: Backend): Q | undefined;

  /** Rounds rows, from row `row` on. */
  protected abstract pack(quantized: Q, rows: Tensor, row: number): void;

  /** Packs rows of integers, from row `row` on. */
  protected abstract packIntegers(quantized: Q, integers: Int8Array, row: number): void;

  /** Rounds all values; returns undefined if they stay in float32. */
  protected abstract round(tensor: Tensor): Q | undefined;

  /** Allocates memory for float16 values; returns undefined if they stay in float32. */
  protected emptyHalf(_backend: Backend): Tensor<Uint16Array> | undefined {
    return undefined;
  }

  /** How the values are stored, or will be. */
  get precision(): Precision {
    return this.#precision;
  }

  /** The int8 values, if the precision is "int8". `tensor` is undefined then. */
  get quantized(): Q | undefined {
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

  /** See {@linkcode Parameter.storage}. Of int8 values that of their scales, which are written with them. */
  override get storage(): TensorStorage | undefined {
    return (this.#quantized?.scale ?? this.#half)?.storage ?? super.storage;
  }

  /** See {@linkcode Parameter.allocate}. */
  override allocate(backend: Backend): void {
    checkBackend("allocate", backend);
    this.dispose();
    if (this.#precision === "int8") this.#quantized = this.emptyInt8(backend);
    else if (this.#precision === "f16") this.#half = this.emptyHalf(backend);
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
    if (kindOf(values) !== "Float32Array") {
      throw new ArgumentError("write", "values", values, "a Float32Array");
    }
    checkInteger("write", "offset", offset, 0);
    const { backend } = rounded, [out, ...row] = this.shape, total = elements(this.shape);
    if (offset === 0) this.#disposePending();
    this.#pending ??= { rows: backend.empty([Math.min(panelRows, out), ...row]), written: 0 };
    const { rows, written } = this.#pending;
    if (offset !== written || offset + values.length > total) {
      const end = offset + values.length, precision = this.#precision;
      const expected = `${written} … at most ${total}: ${precision} weights are written in order`;
      throw new ArgumentError("write", "the range", [offset, end], expected, `${offset} … ${end}`);
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

  /** Whether {@linkcode RoundedWeight.writeIntegers} can be called. */
  get takesIntegers(): boolean {
    const { backend } = this.#quantized ?? {};
    return backend !== undefined && kernelsOf(backend).packLinearIntegers !== undefined;
  }

  /**
   * Overwrites rows by values in 8 bits, which need no rounding. Rows must be written in order.
   *
   * @param integers Whole rows.
   * @param offset The index of their first value.
   * @param scale The factor of each row's integers, of all rows.
   */
  writeIntegers(integers: Int8Array, offset: number, scale: Float32Array): void {
    const quantized = this.#quantized!;
    if (offset === 0) quantized.backend.write(quantized.scale, scale);
    this.packIntegers(quantized, integers, offset / elements(this.shape.slice(1)));
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
    const quantized = this.tensor && this.round(this.tensor);
    this.#precision = "int8";
    if (!quantized) return;
    super.dispose();
    this.#quantized = quantized;
  }

  /** See {@linkcode Parameter.read}. */
  override async read(): Promise<Float32Array> {
    // without values in 8 or 16 bits, this reads before it waits, so that later writes do not count
    if (this.#quantized) return await this.#quantized.readFloats();
    if (!this.#half) return await super.read();
    const halves = await this.#half.read(), floats = new Float32Array(halves.length);
    for (let i = 0; i < floats.length; i++) floats[i] = fromHalf(halves[i]);
    return floats;
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
      `${this.type}: its weights are ${this.#precision}, which cannot be trained; ${advice("f32")}`,
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
    const { written } = this.#pending!, row = this.shape.slice(1), size = elements(row);
    const count = written - start;
    if (count < rows.size && written < elements(this.shape)) return;
    const whole = partOf(rows, 0, [count / size, ...row]);
    if (this.#half) kernelsOf(rows.backend).packHalf!(this.#half, whole, start);
    else this.pack(this.#quantized!, whole, start / size);
  }

  #disposePending(): void {
    this.#pending?.rows.dispose();
    this.#pending = undefined;
  }
}

/** The weights of a fully connected layer, [out, in]. */
export class LinearWeight extends RoundedWeight<QuantizedLinear> {
  /** See {@linkcode RoundedWeight}. */
  constructor(shape: readonly [number, number], fill: Parameter["fill"], precision: Precision) {
    super("Linear", shape, fill, precision);
  }

  protected override emptyInt8(backend: Backend): QuantizedLinear {
    return emptyQuantized(backend, this.shape);
  }

  protected override pack({ packed, scale }: QuantizedLinear, rows: Tensor, row: number): void {
    kernelsOf(rows).packLinearInt8(packed, scale, rows, row);
  }

  protected override packIntegers(
    { packed, shape }: QuantizedLinear,
    integers: Int8Array,
    row: number,
  ): void {
    kernelsOf(packed).packLinearIntegers!(packed, integers, row, shape);
  }

  protected override round(tensor: Tensor): QuantizedLinear {
    return quantizeLinear(tensor);
  }

  protected override emptyHalf(backend: Backend): Tensor<Uint16Array> | undefined {
    return kernelsOf(backend).emptyHalf?.(this.shape);
  }
}

/**
 * The weights of a convolution, [outC, inC/groups, (kH,) kW]. In 16 bits they stay in float32. In 8
 * bits, those of depthwise convolutions do, and all on WebGPU.
 */
export class ConvWeight extends RoundedWeight<QuantizedConv> {
  /** The scale of each output channel. Undefined: chosen from its weights. */
  scales: Float32Array | undefined;

  /**
   * See {@linkcode RoundedWeight}.
   *
   * @param groups Number of groups that the channels are split into.
   */
  constructor(
    type: string,
    shape: Shape,
    readonly groups: number,
    fill: Parameter["fill"],
    precision: Precision,
  ) {
    super(type, shape, fill, precision);
  }

  /** See {@linkcode RoundedWeight.checkTrainable}. */
  override checkTrainable(): void {
    if (this.precision === "int8") super.checkTrainable();
  }

  /** See {@linkcode RoundedWeight.takesIntegers}. Given scales round other values. */
  override get takesIntegers(): boolean {
    return this.scales === undefined && super.takesIntegers;
  }

  protected override emptyInt8(backend: Backend): QuantizedConv | undefined {
    return quantizesConv(backend, this)
      ? emptyQuantizedConv(backend, this, this.scales)
      : undefined;
  }

  protected override pack(quantized: QuantizedConv, rows: Tensor, row: number): void {
    const { packed, scale } = quantized;
    kernelsOf(rows).packConv2dInt8!(packed, scale, rows, row, quantized, this.scales !== undefined);
  }

  protected override packIntegers(
    quantized: QuantizedConv,
    integers: Int8Array,
    row: number,
  ): void {
    const { packed, scale } = quantized;
    kernelsOf(packed).packConv2dIntegers!(packed, scale, integers, row, quantized);
  }

  protected override round(tensor: Tensor): QuantizedConv | undefined {
    const { groups, scales } = this;
    return quantizesConv(tensor.backend, this)
      ? quantizeConv(tensor, { groups, scales })
      : undefined;
  }
}

function advice(precision: Precision): string {
  return `create or load the network with precision "${precision}"`;
}
