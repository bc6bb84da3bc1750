/**
 * The element types of stored tensors, and their conversion to and from float32.
 *
 * @module
 */

/** An element type, by its safetensors name. */
export type DType =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U64"
  | "U32"
  | "U16"
  | "U8"
  | "BOOL"
  | "C64"
  | "C128"
  | "F8_E4M3"
  | "F8_E5M2";

/** Bytes per element, by type. */
export const itemSizes: ReadonlyMap<string, number> = new Map<DType, number>([
  ["F64", 8],
  ["F32", 4],
  ["F16", 2],
  ["BF16", 2],
  ["I64", 8],
  ["I32", 4],
  ["I16", 2],
  ["I8", 1],
  ["U64", 8],
  ["U32", 4],
  ["U16", 2],
  ["U8", 1],
  ["BOOL", 1],
  ["C64", 8],
  ["C128", 16],
  ["F8_E4M3", 1],
  ["F8_E5M2", 1],
]);

/** Bytes per element. */
export function itemSize(dtype: DType): number {
  return itemSizes.get(dtype)!;
}

/** The types that can be read as float32. */
export type FloatDType = "F32" | "F16" | "BF16" | "F64" | "F8_E4M3" | "F8_E5M2";

/** Whether elements of this type can be read as float32. */
export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype === "F32" || dtype === "F16" || dtype === "BF16" || dtype === "F64" ||
    dtype === "F8_E4M3" || dtype === "F8_E5M2";
}

/**
 * Converts the first `count` little-endian elements of `raw` to float32. F32 is returned in the
 * same memory; other types are written to `out`. F64 is rounded to nearest, and to infinity where
 * it is too large.
 *
 * Typed arrays can read the bytes because every machine that runs WebAssembly is little-endian.
 */
export function toFloat32(
  dtype: FloatDType,
  raw: ArrayBuffer,
  count: number,
  out: Float32Array,
): Float32Array {
  if (dtype === "F32") return new Float32Array(raw, 0, count);
  if (dtype === "F64") out.set(new Float64Array(raw, 0, count));
  else if (dtype === "F16") {
    const halves = new Uint16Array(raw, 0, count), table = halfTable();
    for (let i = 0; i < count; i++) out[i] = table[halves[i]];
  } else if (dtype === "F8_E4M3") {
    const bytes = new Uint8Array(raw, 0, count), table = e4m3Table();
    for (let i = 0; i < count; i++) out[i] = table[bytes[i]];
  } else if (dtype === "F8_E5M2") {
    // E5M2 is the upper half of a float16.
    const bytes = new Uint8Array(raw, 0, count), table = halfTable();
    for (let i = 0; i < count; i++) out[i] = table[bytes[i] << 8];
  } else {
    // bfloat16 is the upper half of a float32.
    const halves = new Uint16Array(raw, 0, count);
    const bits = new Uint32Array(out.buffer, out.byteOffset, count);
    for (let i = 0; i < count; i++) bits[i] = halves[i] << 16;
  }
  return out.subarray(0, count);
}

let halfValues: Float32Array | undefined;

/** All half-precision numbers as float32, indexed by their bits: 256 KiB, created on first use. */
function halfTable(): Float32Array {
  if (halfValues) return halfValues;
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 32768; bits++) {
    const exponent = bits >> 10, fraction = bits & 1023;
    const value = exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
      ? (fraction ? NaN : Infinity)
      : (1024 + fraction) * 2 ** (exponent - 25);
    table[bits] = value;
    table[bits + 32768] = -value;
  }
  return halfValues = table;
}

let e4m3Values: Float32Array | undefined;

/**
 * All E4M3 numbers as float32, indexed by their bits: an exponent of 4 bits with bias 7, and 3 bits
 * of fraction. There is no infinity; all ones are NaN.
 *
 * Source: Micikevicius et al., FP8 Formats for Deep Learning, https://arxiv.org/abs/2209.05433
 */
function e4m3Table(): Float32Array {
  if (e4m3Values) return e4m3Values;
  const table = new Float32Array(256);
  for (let bits = 0; bits < 128; bits++) {
    const exponent = bits >> 3, fraction = bits & 7;
    const value = exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10);
    table[bits] = bits === 127 ? NaN : value;
    table[bits + 128] = -table[bits];
  }
  return e4m3Values = table;
}

/** Reverses the bytes of `count` elements in place. */
export function swapBytes(raw: ArrayBuffer, count: number, itemSize: number): void {
  const bytes = new Uint8Array(raw);
  for (let at = 0, end = count * itemSize; at < end; at += itemSize) {
    for (let low = at, high = at + itemSize - 1; low < high; low++, high--) {
      const byte = bytes[low];
      bytes[low] = bytes[high];
      bytes[high] = byte;
    }
  }
}

/**
 * Writes float32 values as little-endian `dtype`, rounded to nearest even.
 *
 * @returns The first finite value that became infinite, if there is one.
 */
export function fromFloat32(
  dtype: "F16" | "BF16",
  values: Float32Array,
  into: DataView,
): number | undefined {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const [round, infinity] = dtype === "F16" ? [toHalf, 0x7c00] : [toBFloat16, 0x7f80];
  let tooLarge: number | undefined;
  for (let i = 0; i < bits.length; i++) {
    const rounded = round(bits[i]);
    into.setUint16(2 * i, rounded, true);
    if ((rounded & 0x7fff) === infinity && Number.isFinite(values[i])) tooLarge ??= values[i];
  }
  return tooLarge;
}

function toBFloat16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return bits >>> 16 | 0x40; // NaN stays NaN
  return (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16;
}

function toHalf(bits: number): number {
  const sign = bits >>> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 2^16 and more: infinity
  const exponent = magnitude >>> 23;
  if (exponent < 102) return sign; // less than half of the smallest subnormal
  // Below 2^-14 a half has no hidden bit and a fixed scale: shift the whole significand instead.
  const normal = exponent > 112;
  const significand = normal ? magnitude - (112 << 23) : magnitude & 0x7fffff | 0x800000;
  const shift = normal ? 13 : 126 - exponent;
  const half = significand >>> shift, rest = significand & (1 << shift) - 1;
  const tie = 1 << shift - 1;
  // A carry out of the fraction increments the exponent, as rounding up should.
  return sign | half + (rest > tie || rest === tie && half & 1 ? 1 : 0);
}
