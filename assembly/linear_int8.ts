// y[n, o] = x[n, :] · w[o, :] + b[o] with weights in 8 bits, a quarter of the memory traffic of float32.
//
//   w[o, i] ≈ scales[o] · q[o, i],  q an integer of ±127, scales[o] = max |w[o, :]| / 127
//   x[s, i] ≈ steps[s] · k[s, i],   k an integer of ±32767, computed for each sample
//
// Inputs are small beside the weights, so they can have 16 bits.
//
// Integer products are added in int32 for as long as it can hold the sums, then in float32. So every
// build, every batch size and any number of threads give the same sums. If a sample holds NaN or
// infinity, its step and all of its outputs are NaN; so are the outputs of such a row of weights.

import { LinearGeometry } from "./geometry";
import { activate, activate4, inlinedPart, SILU } from "./inline/activate";
import { TINY } from "./quantize";
import { siluPhase } from "./silu";
import { bytesForThreads, ceilDiv, claim, join, threadScratch } from "./threads";

/**
 * Rows of w are packed in panels of 8, in the order in which they are read:
 * packed[panel][i / 8][8 rows][8 columns]. Zeros fill up the columns to a multiple of 16.
 */
const ROWS: i32 = 8;
/** Panels that make an item. */
const PANELS: i32 = 8;
/** Columns whose products fit in int32: 2048 / 4 lanes · 32767 · 128 < 2³¹. */
const COLUMNS: i32 = 2048;

/** Columns of a packed row. */
// @ts-ignore: decorator
@inline
function packedColumns(inF: i32): i32 {
  return (inF + 15) & ~15;
}

/** Bytes that linearInt8Pack writes, in float64. */
export function linearInt8PackedSize(g: LinearGeometry): f64 {
  return (packedColumns(g.inF) as f64) * ((ceilDiv(g.outF, ROWS) * ROWS) as f64);
}

/**
 * Quantises weights and lays them out for linearInt8.
 * @param packed linearInt8PackedSize bytes
 * @param scales outF floats
 * @param w [outF, inF]
 */
export function linearInt8Pack(packed: usize, scales: usize, w: usize, g: LinearGeometry): void {
  const inF = g.inF, outF = g.outF;
  const row = (inF as usize) << 2, panel = (packedColumns(inF) * ROWS) as usize;
  const items = ceilDiv(outF, ROWS);
  for (let p = claim(items); p >= 0; p = claim(items)) {
    const to = packed + (p as usize) * panel;
    memory.fill(to, 0, panel);
    for (let o = p * ROWS, end = min(o + ROWS, outF); o < end; o++) {
      const from = w + (o as usize) * row, top = maxMagnitude(from, inF);
      store<f32>(scales + (o << 2), top / 127);
      packRow(to + ((o % ROWS) << 3), from, inF, 127 / top);
    }
  }
  join(items);
}

/** Packs one row of a panel: 8 bytes of every 64. */
function packRow(to: usize, w: usize, n: i32, factor: f32): void {
  const by = f32x4.splat(factor);
  const end = w + (n << 2);
  for (const whole = w + ((n & ~7) << 2); w < whole; w += 32, to += 64) {
    const low = nearest4(w, by), high = nearest4(w + 16, by), both = i16x8.narrow_i32x4_s(low, high);
    v128.store64_lane(to, i8x16.narrow_i16x8_s(both, both), 0);
  }
  for (; w < end; w += 4, to++) store<i8>(to, nearest1(w, factor) as i8);
}

/**
 * Lays out rows of integers for linearInt8, from row `first` on. They must come in order, because the
 * first row of a panel clears it.
 * @param w [g.outF, inF]
 */
export function linearInt8PackIntegers(packed: usize, w: usize, g: LinearGeometry, first: i32): void {
  const inF = g.inF, panel = (packedColumns(inF) * ROWS) as usize;
  for (let o = first, end = first + g.outF; o < end; o++) {
    const start = packed + ((o / ROWS) as usize) * panel;
    if (o % ROWS == 0) memory.fill(start, 0, panel);
    let to = start + ((o % ROWS) << 3);
    const last = w + inF;
    for (const whole = w + (inF & ~7); w < whole; w += 8, to += 64) store<i64>(to, load<i64>(w));
    for (; w < last; w++, to++) store<i8>(to, load<i8>(w));
  }
}

/** Copies the integers of packed weights back to rows, [outF, inF]. */
export function linearInt8Unpack(w: usize, packed: usize, g: LinearGeometry): void {
  const inF = g.inF, outF = g.outF;
  const wide = packedColumns(inF) as usize;
  for (let o = claim(outF); o >= 0; o = claim(outF)) {
    const from = packed + ((o & ~(ROWS - 1)) as usize) * wide + ((o % ROWS) << 3);
    const to = w + (o as usize) * (inF as usize);
    for (let i = 0; i < inF; i++) store<i8>(to + i, load<i8>(from + ((i & ~7) << 3) + (i & 7)));
  }
  join(outF);
}

/** Four floats · by, rounded to integers; NaN becomes 0. */
// @ts-ignore: decorator
@inline
function nearest4(p: usize, by: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(p), by)));
}

/** The same for one float. */
// @ts-ignore: decorator
@inline
function nearest1(p: usize, factor: f32): i32 {
  const v = nearest<f32>(load<f32>(p) * factor);
  return isNaN(v) ? 0 : v as i32;
}

/** The largest magnitude; NaN if a value is NaN or infinite. */
function maxMagnitude(p: usize, n: i32): f32 {
  let v = f32x4.splat(TINY as f32);
  const end = p + (n << 2);
  for (const whole = p + ((n & ~3) << 2); p < whole; p += 16) v = f32x4.max(v, f32x4.abs(v128.load(p)));
  for (; p < end; p += 4) v = f32x4.max(v, f32x4.abs(v128.load32_splat(p)));
  const top = max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
  return top < Infinity ? top : NaN;
}

/** Bytes of scratch memory that linearInt8 needs, in float64: integers, steps, and sums of each thread. */
export function linearInt8ScratchSize(g: LinearGeometry): f64 {
  const n = g.n as f64;
  return n * ((packedColumns(g.inF) * 2 + 4) as f64) + 16 + bytesForThreads(n * ROWS * 4);
}

/**
 * @param y [n, outF], written
 * @param x [n, inF]
 * @param packed weights from linearInt8Pack
 * @param scales outF floats from linearInt8Pack
 * @param bias outF floats, or 0 for none
 * @param scratch linearInt8ScratchSize bytes
 * @param activation a code of inline/activate.ts
 */
export function linearInt8(
  y: usize, x: usize, packed: usize, scales: usize, bias: usize, scratch: usize, g: LinearGeometry,
  activation: i32,
): void {
  const n = g.n, inF = g.inF, outF = g.outF;
  const wide = packedColumns(inF), sample = (wide as usize) << 1;
  const integers = scratch, steps = integers + (n as usize) * sample;
  const sums = threadScratch((steps + (n << 2) + 15) & ~15, (n as f64) * ROWS * 4);

  for (let s = claim(n); s >= 0; s = claim(n)) {
    const from = x + ((s as usize) * (inF as usize) << 2), top = maxMagnitude(from, inF);
    store<f32>(steps + (s << 2), top / 32767);
    toInt16(integers + (s as usize) * sample, from, inF, 32767 / top);
  }
  join(n);

  const inlined = inlinedPart(activation);
  const panels = ceilDiv(outF, ROWS), items = ceilDiv(panels, PANELS);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    for (let p = i * PANELS, end = min(p + PANELS, panels); p < end; p++) {
      const o = p * ROWS, w = packed + (o as usize) * (wide as usize);
      for (let c = 0; c < wide; c += COLUMNS) {
        addColumns(sums, integers + (c << 1), w + c * ROWS, n, sample, min(COLUMNS, wide - c), c > 0);
      }
      const b = bias ? bias + (o << 2) : 0;
      finish(y + (o << 2), sums, scales + (o << 2), steps, b, min(ROWS, outF - o), g, inlined);
    }
  }
  join(items);
  if (activation == SILU) siluPhase(y, n * outF, false);
}

/** A sample · factor as 16-bit integers. Zeros fill it up to the columns of a packed row. */
function toInt16(to: usize, x: usize, n: i32, factor: f32): void {
  const by = f32x4.splat(factor);
  const end = x + (n << 2), last = to + (packedColumns(n) << 1);
  for (const whole = x + ((n & ~7) << 2); x < whole; x += 32, to += 16) {
    v128.store(to, i16x8.narrow_i32x4_s(nearest4(x, by), nearest4(x + 16, by)));
  }
  for (; x < end; x += 4, to += 2) store<i16>(to, nearest1(x, factor) as i16);
  memory.fill(to, 0, last - to);
}

/** sums[n][8] (+)= the samples · a panel, over at most COLUMNS columns. */
function addColumns(
  sums: usize, x: usize, w: usize, n: i32, sample: usize, columns: i32, adds: bool,
): void {
  let s = 0;
  for (; s + 2 <= n; s += 2, sums += 64, x += 2 * sample) {
    rows4x2(sums, x, sample, w, columns, adds);
    rows4x2(sums + 16, x, sample, w + 32, columns, adds);
  }
  if (s < n) rows8(sums, x, w, columns, adds);
}

/** One sample · eight rows, 16 columns at a time. */
function rows8(sums: usize, x: usize, w: usize, columns: i32, adds: bool): void {
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  for (const end = x + (columns << 1); x < end; x += 32, w += 128) {
    let u = v128.load(x);
    a0 = dot(a0, v128.load8x8_s(w), u);
    a1 = dot(a1, v128.load8x8_s(w, 8), u);
    a2 = dot(a2, v128.load8x8_s(w, 16), u);
    a3 = dot(a3, v128.load8x8_s(w, 24), u);
    a4 = dot(a4, v128.load8x8_s(w, 32), u);
    a5 = dot(a5, v128.load8x8_s(w, 40), u);
    a6 = dot(a6, v128.load8x8_s(w, 48), u);
    a7 = dot(a7, v128.load8x8_s(w, 56), u);
    u = v128.load(x, 16);
    a0 = dot(a0, v128.load8x8_s(w, 64), u);
    a1 = dot(a1, v128.load8x8_s(w, 72), u);
    a2 = dot(a2, v128.load8x8_s(w, 80), u);
    a3 = dot(a3, v128.load8x8_s(w, 88), u);
    a4 = dot(a4, v128.load8x8_s(w, 96), u);
    a5 = dot(a5, v128.load8x8_s(w, 104), u);
    a6 = dot(a6, v128.load8x8_s(w, 112), u);
    a7 = dot(a7, v128.load8x8_s(w, 120), u);
  }
  storeSums(sums, laneSumsOfInt32(a0, a1, a2, a3), adds);
  storeSums(sums + 16, laneSumsOfInt32(a4, a5, a6, a7), adds);
}

/** Two samples · half a panel, 16 columns at a time. */
function rows4x2(sums: usize, x: usize, sample: usize, w: usize, columns: i32, adds: bool): void {
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, c0 = a0, c1 = a0, c2 = a0, c3 = a0;
  for (const end = x + (columns << 1); x < end; x += 32, w += 128) {
    let u = v128.load(x), v = v128.load(x + sample), t: v128;
    t = v128.load8x8_s(w), a0 = dot(a0, t, u), c0 = dot(c0, t, v);
    t = v128.load8x8_s(w, 8), a1 = dot(a1, t, u), c1 = dot(c1, t, v);
    t = v128.load8x8_s(w, 16), a2 = dot(a2, t, u), c2 = dot(c2, t, v);
    t = v128.load8x8_s(w, 24), a3 = dot(a3, t, u), c3 = dot(c3, t, v);
    u = v128.load(x, 16), v = v128.load(x + sample, 16);
    t = v128.load8x8_s(w, 64), a0 = dot(a0, t, u), c0 = dot(c0, t, v);
    t = v128.load8x8_s(w, 72), a1 = dot(a1, t, u), c1 = dot(c1, t, v);
    t = v128.load8x8_s(w, 80), a2 = dot(a2, t, u), c2 = dot(c2, t, v);
    t = v128.load8x8_s(w, 88), a3 = dot(a3, t, u), c3 = dot(c3, t, v);
  }
  storeSums(sums, laneSumsOfInt32(a0, a1, a2, a3), adds);
  storeSums(sums + 32, laneSumsOfInt32(c0, c1, c2, c3), adds);
}

/** acc + the products of eight integers of w and of x, two in each lane. */
// @ts-ignore: decorator
@inline
function dot(acc: v128, w: v128, x: v128): v128 {
  return i32x4.add(acc, i32x4.dot_i16x8_s(w, x));
}

/** The sums of the lanes of four vectors, as floats: int32 could overflow. */
// @ts-ignore: decorator
@inline
function laneSumsOfInt32(a: v128, b: v128, c: v128, d: v128): v128 {
  a = f32x4.convert_i32x4_s(a);
  b = f32x4.convert_i32x4_s(b);
  c = f32x4.convert_i32x4_s(c);
  d = f32x4.convert_i32x4_s(d);
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** Stores four sums, or adds them to those that are there. */
// @ts-ignore: decorator
@inline
function storeSums(to: usize, v: v128, adds: bool): void {
  v128.store(to, adds ? f32x4.add(v, v128.load(to)) : v);
}

/** Scales a panel's sums, adds the bias, activates and stores them in y. */
function finish(
  y: usize, sums: usize, scales: usize, steps: usize, bias: usize, rows: i32, g: LinearGeometry,
  activation: i32,
): void {
  const n = g.n, outF = g.outF;
  for (let s = 0; s < n; s++, sums += ROWS * 4, y += outF << 2) {
    const step = load<f32>(steps + (s << 2));
    let r: usize = 0;
    for (const whole = ((rows as usize) & ~3) << 2; r < whole; r += 16) {
      let v = f32x4.mul(f32x4.mul(v128.load(sums + r), v128.load(scales + r)), f32x4.splat(step));
      if (bias) v = f32x4.add(v, v128.load(bias + r));
      v128.store(y + r, activate4(v, activation));
    }
    for (; r < (rows as usize) << 2; r += 4) {
      let v = load<f32>(sums + r) * load<f32>(scales + r) * step;
      if (bias) v += load<f32>(bias + r);
      store<f32>(y + r, activate(v, activation));
    }
  }
}
