// Measures the machine for the benchmark: arithmetic on data in the first-level cache, and reading from
// memory. It uses the micro-kernel of the library.

import { FIRST, gemmPanels, MR, NR, ROW, TALL, threadProduct } from "../../../assembly/gemm";

/** Depth of the tiles. */
const DEPTH: i32 = 256;
/** The operands of five tiles: A[5][DEPTH][4], B[DEPTH][8] and C[20][8], 29 KB. */
const a: usize = memory.data((DEPTH * TALL + DEPTH * NR + TALL * NR) * 4, 64);
const b: usize = a + ((DEPTH * TALL) << 2);
const c: usize = b + ((DEPTH * NR) << 2);

/** Fills the operands with numbers that are neither zero nor tiny. */
export function prepare(): void {
  for (let i = a; i < c; i += 4) store<f32>(i, ((i & 63) as f32) / 64 + 0.5);
}

/** Computes the tiles `times` times. */
export function multiply(times: i32): void {
  const product = threadProduct();
  product.m = TALL;
  product.n = NR;
  product.k = DEPTH;
  product.ldc = NR;
  product.aPanel = (DEPTH * MR) << 2;
  product.bPanel = (DEPTH * NR) << 2;
  product.bRow = ROW;
  product.flags = FIRST;
  for (let i = 0; i < times; i++) gemmPanels(c, a, b, product);
}

/** Floating-point operations of the tiles. */
export function operations(): f64 {
  return 2 * TALL * NR * (DEPTH as f64);
}

/** The first free byte. */
export function heapBase(): usize {
  return __heap_base;
}

/** Writes to memory so that the system really allocates it: untouched pages are one shared page. */
export function touch(p: usize, bytes: i32): void {
  memory.fill(p, 1, bytes);
}

/** Reads memory once and returns its sum; `bytes` is a multiple of 128. */
export function sum(p: usize, bytes: i32): f32 {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
  for (const end = p + (bytes as usize); p < end; p += 128) {
    s0 = f32x4.add(s0, v128.load(p));
    s1 = f32x4.add(s1, v128.load(p, 16));
    s2 = f32x4.add(s2, v128.load(p, 32));
    s3 = f32x4.add(s3, v128.load(p, 48));
    s4 = f32x4.add(s4, v128.load(p, 64));
    s5 = f32x4.add(s5, v128.load(p, 80));
    s6 = f32x4.add(s6, v128.load(p, 96));
    s7 = f32x4.add(s7, v128.load(p, 112));
  }
  s0 = f32x4.add(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)),
    f32x4.add(f32x4.add(s4, s5), f32x4.add(s6, s7)));
  return f32x4.extract_lane(s0, 0) + f32x4.extract_lane(s0, 1) + f32x4.extract_lane(s0, 2) +
    f32x4.extract_lane(s0, 3);
}
