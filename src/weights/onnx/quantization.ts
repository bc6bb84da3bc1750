/**
 * Folds QuantizeLinear and DequantizeLinear of the tensors in an ONNX file.
 *
 * Source: https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { elements } from "../../tensor.ts";
import { type DType, isFloat, itemSize, toFloat32 } from "../dtype.ts";
import { type ByteSource, readBytes } from "../io/source.ts";
import { escapeText, formatShape } from "../io/quote.ts";
import type { StoredTensor } from "../layout.ts";
import type { OnnxNode } from "./graph.ts";
import type { ProtoReader } from "./protobuf.ts";
import {
  integersOf,
  type OnnxTensor,
  type Quantization,
  readNumbers,
  smallIntegersOf,
} from "./tensor.ts";

/** The names of both operations. */
export const quantizeOps: readonly string[] = ["QuantizeLinear", "DequantizeLinear"];

/** The least and the largest integer of each type that QuantizeLinear may round to. */
export const integerRanges: ReadonlyMap<DType, readonly [low: number, high: number]> = new Map<
  DType,
  readonly [number, number]
>([
  ["U8", [0, 255]],
  ["I8", [-128, 127]],
]);

/** The types of integers that DequantizeLinear may read. */
const integerTypes: readonly DType[] = ["U8", "I8", "U16", "I16", "I32"];

/** The types that the attribute `output_dtype` may name, by TensorProto.DataType. */
const outputTypes: ReadonlyMap<unknown, DType> = new Map<unknown, DType>([[2, "U8"], [3, "I8"]]);

/** Creates an error that names a node, or its output. */
function nodeError(reader: ProtoReader, node: OnnxNode, reason: string): FileError {
  const name = escapeText(node.name || (node.outputs[0] ?? ""));
  return reader.bad(`node ${name} (${node.op}): ${reason}`);
}

/**
 * Returns the tensor that QuantizeLinear or DequantizeLinear makes of one in the file. Its elements
 * are computed when they are read. Undefined if an input is not constant.
 *
 * @param known The scales that were read before, by the names of their tensors.
 * @throws {FileError} When the scales or zero points do not fit the tensor.
 */
export async function foldQuantization(
  reader: ProtoReader,
  node: OnnxNode,
  tensors: ReadonlyMap<string, OnnxTensor>,
  known: Map<string, Float32Array>,
): Promise<OnnxTensor | undefined> {
  const { op, inputs, outputs: [name] } = node, [xName, scaleName, zeroName = ""] = inputs;
  const x = tensors.get(xName), scale = tensors.get(scaleName), zero = tensors.get(zeroName);
  if (!x || !scale || zeroName !== "" && !zero) return undefined;
  const bad = (reason: string) => nodeError(reader, node, reason);
  const quantizes = op === "QuantizeLinear";
  const dtype = quantizes ? zero?.dtype ?? outputType(node) : x.dtype;
  const isKnown = quantizes
    ? isFloat(x.dtype) && integerRanges.has(dtype)
    : integerTypes.includes(dtype);
  if (!isKnown) {
    const types = quantizes ? `${x.dtype} to ${dtype}` : `from ${dtype}`;
    throw bad(`it converts ${types}: not supported`);
  }
  // Each rounding adds a source that reads from another one. A file may not stack any number of them.
  if (quantizes && x.computedFrom) throw bad("it rounds integers again: not supported");
  const axis = axisOf(node, x.shape, scale, bad);
  const scales = known.get(scaleName) ?? await readScales(reader, scale, bad);
  known.set(scaleName, scales);
  reader.budget.spend(8 * scales.length);
  const zeros = zero ? await readZeros(reader, zero, scale, dtype, bad) : [...scales].fill(0);
  if (dtype === "I32" && zeros.some((value) => value !== 0)) {
    throw bad("its zero point must be 0 for I32: damaged");
  }
  const quantization = { dtype, scales, zeros, axis };
  const source = x.source ?? reader.source, bytes = quantizes ? itemSize(dtype) : 4;
  const { count, start, shape } = x, span = count * bytes;
  const folded = {
    name,
    dtype: quantizes ? dtype : "F32" as const,
    shape,
    count,
    start,
    span,
    source: new ConvertedSource(x, source, quantization, quantizes),
    computedFrom: x.computedFrom ?? xName,
  };
  if (quantizes) return folded;
  return { ...folded, quantization, integers: dtype, numbers: await readNumbers(reader, folded) };
}

/** The type that QuantizeLinear rounds to if it has no zero points, which have that type. */
function outputType({ attributes }: OnnxNode): DType {
  const type = attributes.get("output_dtype") ?? 0;
  return type === 0 ? "U8" : outputTypes.get(type) ?? "F32";
}

/** Finds the axis of the scales, and checks that there is one for each index. */
function axisOf(
  { attributes }: OnnxNode,
  shape: readonly number[],
  scale: OnnxTensor,
  bad: (reason: string) => FileError,
): number {
  const blocks = attributes.get("block_size") ?? 0;
  if (blocks !== 0) throw bad("a scale for each block is not supported");
  if (scale.shape.length === 0 || scale.shape.length === 1 && scale.count === 1) return 0;
  const given = attributes.get("axis") ?? 1, rank = shape.length;
  const axis = typeof given === "number" && given < 0 ? given + rank : Number(given);
  if (!(Number.isInteger(axis) && axis >= 0 && axis < rank)) {
    throw bad(`it has no axis ${given} of ${rank}: damaged`);
  }
  if (scale.shape.length === 1 && scale.count === shape[axis]) return axis;
  throw bad(
    `its scale ${formatShape(scale.shape)} does not fit axis ${axis} of ` +
      `${formatShape(shape)}: damaged`,
  );
}

/** Reads the scales, which must be positive floats. */
async function readScales(
  reader: ProtoReader,
  scale: OnnxTensor,
  bad: (reason: string) => FileError,
): Promise<Float32Array> {
  const { dtype, count, start, span, source = reader.source } = scale;
  if (!isFloat(dtype)) throw bad(`its scale is ${dtype}, must be floats: damaged`);
  reader.budget.spend(8 * count);
  const { buffer } = await readBytes(source, start, span);
  const scales = toFloat32(dtype, buffer, count, new Float32Array(count));
  const wrong = scales.find((value) => !(value > 0 && value < Infinity));
  if (wrong !== undefined) throw bad(`its scale is ${wrong}, must be positive: damaged`);
  return scales;
}

/** Reads the zero points, which must be as many as the scales and of the type of the integers. */
async function readZeros(
  reader: ProtoReader,
  zero: OnnxTensor,
  scale: OnnxTensor,
  dtype: DType,
  bad: (reason: string) => FileError,
): Promise<readonly number[]> {
  if (zero.dtype !== dtype) {
    throw bad(`its zero point is ${zero.dtype}, but its integers are ${dtype}: damaged`);
  }
  if (zero.count !== scale.count) {
    const shapes = `${formatShape(zero.shape)}, but its scale ${formatShape(scale.shape)}`;
    throw bad(`its zero point is ${shapes}: damaged`);
  }
  const { start, span, source = reader.source } = zero;
  return integersOf(dtype, (await readBytes(source, start, span)).buffer) ?? [];
}

/**
 * The elements that QuantizeLinear or DequantizeLinear makes of a contiguous tensor. They begin at
 * the tensor's own offset, so that tensors stay in the order of the file.
 */
class ConvertedSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #tensor: StoredTensor;
  readonly #source: ByteSource;
  readonly #quantization: Quantization;
  readonly #quantizes: boolean;

  constructor(tensor: StoredTensor, source: ByteSource, by: Quantization, quantizes: boolean) {
    this.name = source.name;
    this.size = tensor.start + tensor.count * (quantizes ? itemSize(by.dtype) : 4);
    this.#tensor = tensor;
    this.#source = source;
    this.#quantization = by;
    this.#quantizes = quantizes;
  }

  async read(offset: number, into: Uint8Array<ArrayBuffer>): Promise<void> {
    const { dtype, start, shape } = this.#tensor, { scales, zeros, axis } = this.#quantization;
    const to = this.#quantizes ? this.#quantization.dtype : "F32", bytes = itemSize(dtype);
    const count = into.length / itemSize(to), first = (offset - start) / itemSize(to);
    const raw = await readBytes(this.#source, start + first * bytes, count * bytes);
    const inner = elements(shape.slice(axis + 1));
    const channel = (i: number) =>
      scales.length === 1 ? 0 : Math.floor((first + i) / inner) % scales.length;
    if (!this.#quantizes) {
      const values = new Float32Array(count), integers = smallIntegersOf(dtype, raw.buffer);
      for (let i = 0; i < count; i++) {
        const c = channel(i);
        values[i] = (integers[i] - zeros[c]) * scales[c];
        if (!Number.isFinite(values[i])) {
          const name = escapeText(this.#tensor.name);
          throw new FileError(
            this.name,
            `${name}: ${integers[i] - zeros[c]} · ${scales[c]} is too large for float32`,
          );
        }
      }
      into.set(new Uint8Array(values.buffer));
    } else if (isFloat(dtype)) {
      const floats = toFloat32(dtype, raw.buffer, count, new Float32Array(count));
      const [low, high] = integerRanges.get(to)!;
      for (let i = 0; i < count; i++) {
        const c = channel(i), nearest = roundEven(Math.fround(floats[i] / scales[c])) + zeros[c];
        into[i] = Math.min(Math.max(nearest, low), high); // a byte, as two's complement
      }
    }
  }

  close(): void {}
}

/** Rounds to the nearest integer, halves to even ones. */
function roundEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
