// Packs the operands of a product in the panels that gemm.ts takes.

import { MR, NR } from "./gemm";
import { lanes4 } from "./inline/lanes";

/** Rows of A[m×k] once it is packed, in whole panels. */
// @ts-ignore: decorator
@inline
export function packedRows(m: i32): i32 {
  return ((m + MR - 1) / MR) * MR;
}

/** Columns of B[k×n] once it is packed, in whole panels. */
// @ts-ignore: decorator
@inline
export function packedColumns(n: i32): i32 {
  return (n + NR - 1) & ~(NR - 1);
}

/**
 * Packs A[m×k] into panels of 4 rows. Zeros fill up the last panel.
 *
 * @param rowStep floats from one row to the next
 * @param panel bytes from one panel to the next
 */
export function packA(packed: usize, panel: usize, a: usize, rowStep: i32, m: i32, k: i32): void {
  const step = (rowStep as usize) << 2;
  for (let i = 0; i < m; i += MR, packed += panel, a += 4 * step) {
    const end = packed + ((k * MR) << 2);
    if (i + MR <= m) {
      for (let to = packed, from = a; to < end; to += MR * 4, from += 4) {
        v128.store(to, lanes4(from, from + step, from + 2 * step, from + 3 * step));
      }
      continue;
    }
    for (let to = packed, from = a; to < end; to += MR * 4, from += 4) {
      for (let r = 0; r < MR; r++) {
        store<f32>(to + (r << 2), i + r < m ? load<f32>(from + (r as usize) * step) : 0);
      }
    }
  }
}

/**
 * Packs the transpose of a row-major W[k×m] as A[m×k], in panels of 4 columns of W.
 *
 * @param rowStep floats from one row of W to the next
 */
export function packTransposedA(packed: usize, w: usize, rowStep: i32, m: i32, k: i32): void {
  const step = (rowStep as usize) << 2;
  for (let i = 0; i < m; i += MR, w += MR * 4) {
    for (let l = 0, from = w; l < k; l++, from += step, packed += MR * 4) {
      if (i + MR <= m) {
        v128.store(packed, v128.load(from));
      } else {
        for (let r = 0; r < MR; r++) {
          store<f32>(packed + (r << 2), i + r < m ? load<f32>(from + (r << 2)) : 0);
        }
      }
    }
  }
}

/**
 * Packs B[k×n] into panels of 8 columns. Zeros fill up the last panel.
 *
 * @param rowStep floats from one row to the next
 */
export function packB(packed: usize, b: usize, rowStep: i32, k: i32, n: i32): void {
  const step = (rowStep as usize) << 2;
  for (let j = 0; j < n; j += NR, b += NR * 4) {
    for (let l = 0, from = b; l < k; l++, from += step, packed += NR * 4) {
      if (j + NR <= n) {
        v128.store(packed, v128.load(from));
        v128.store(packed, v128.load(from, 16), 16);
      } else {
        for (let c = 0; c < NR; c++) {
          store<f32>(packed + (c << 2), j + c < n ? load<f32>(from + (c << 2)) : 0);
        }
      }
    }
  }
}

/** Packs the transpose of a row-major W[n×k] as B[k×n], in panels of 8 rows of W. */
export function packTransposedB(packed: usize, w: usize, rowStep: i32, k: i32, n: i32): void {
  const step = (rowStep as usize) << 2, panel = (k * NR) << 2;
  for (let j = 0; j < n; j += NR, w += 8 * step, packed += panel) {
    packTransposedPanel(packed, w, step, min(NR, n - j), k);
  }
}

/**
 * Packs the transpose of up to 8 rows of k floats as a panel, [k][8]. Columns beyond the rows are not used.
 *
 * @param step bytes from one row to the next
 */
export function packTransposedPanel(to: usize, x: usize, step: usize, rows: i32, k: i32): void {
  const last = x + ((rows - 1) as usize) * step, end = (k as usize) << 2;
  const x1 = min(x + step, last), x2 = min(x1 + step, last), x3 = min(x2 + step, last);
  const x4 = min(x3 + step, last), x5 = min(x4 + step, last), x6 = min(x5 + step, last);
  for (let i: usize = 0; i < end; i += 4, to += 32) {
    v128.store(to, lanes4(x + i, x1 + i, x2 + i, x3 + i));
    v128.store(to, lanes4(x4 + i, x5 + i, x6 + i, last + i), 16);
  }
}
