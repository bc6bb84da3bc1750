// The copy behind concatenation, slices, padding and permutations: blocks of elements that lie at other
// places, or in another order, in the output.

import { CopyGeometry } from "./geometry";
import { storeTransposed } from "./inline/transpose";
import { ceilDiv, CHUNK, claim, join } from "./threads";

/** Rows of at least so many floats are copied by memory.copy, whose call costs more for short ones. */
const LONG: i32 = 128;
/** Columns and rows of a block that is transposed: the cache lines that it touches stay in the first level. */
const BLOCK_COLUMNS: i32 = 32;
const BLOCK_ROWS: i32 = 64;

/**
 * y[yAt + Σ iₖ·yₖ] = x[xAt + Σ iₖ·xₖ] for all indices i0 … i4. If y4 and x4 are 1, rows are copied, along the
 * innermost axis. If y4 and x3 are 1, planes are transposed, those of the two innermost axes.
 *
 * @param y written at those places only
 */
export function stridedCopy(y: usize, x: usize, g: CopyGeometry): void {
  const n1 = g.n1, n2 = g.n2, n3 = g.n3, n4 = g.n4, y3 = g.y3, y4 = g.y4, x3 = g.x3, x4 = g.x4;
  const inRows = y4 == 1 && x4 == 1, transposed = y4 == 1 && x3 == 1 && !inRows;
  const columns = min(n4, transposed ? BLOCK_COLUMNS : CHUNK);
  const rows = min(n3, transposed ? BLOCK_ROWS : max(1, CHUNK / columns));
  const down = ceilDiv(n3, rows), across = ceilDiv(n4, columns);
  const blocks = g.n0 * n1 * n2 * down * across;
  const blocksPerItem = max(1, CHUNK / (rows * columns)), items = ceilDiv(blocks, blocksPerItem);
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const last = min(blocks, (item + 1) * blocksPerItem);
    for (let block = item * blocksPerItem; block < last; block++) {
      const i4 = block % across * columns, rest = block / across, i3 = rest % down * rows;
      const plane = rest / down, i2 = plane % n2, i1 = plane / n2 % n1, i0 = plane / n2 / n1;
      const to = y + ((g.yAt + i0 * g.y0 + i1 * g.y1 + i2 * g.y2 + i3 * y3 + i4 * y4) << 2);
      const from = x + ((g.xAt + i0 * g.x0 + i1 * g.x1 + i2 * g.x2 + i3 * x3 + i4 * x4) << 2);
      const m = min(rows, n3 - i3), n = min(columns, n4 - i4);
      if (inRows) copyRows(to, from, m, n, y3 << 2, x3 << 2);
      else if (transposed) transpose(to, from, m, n, y3 << 2, x4 << 2);
      else copyScattered(to, from, m, n, g);
    }
  }
  join(items);
}

/** Copies m rows of n floats. */
function copyRows(y: usize, x: usize, m: i32, n: i32, yStep: usize, xStep: usize): void {
  const bytes = (n as usize) << 2;
  for (; m > 0; m--, y += yStep, x += xStep) {
    if (n >= LONG) {
      memory.copy(y, x, bytes);
      continue;
    }
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) v128.store(y + i, v128.load(x + i));
    for (; i < bytes; i += 4) store<u32>(y + i, load<u32>(x + i));
  }
}

/**
 * y[i, j] = x[j, i] for m rows and n columns of y, four by four, along the rows that lie farther apart:
 * lines at multiples of a power of two push each other out of the cache.
 * @param yStep bytes between rows of y
 * @param xStep bytes between rows of x
 */
function transpose(y: usize, x: usize, m: i32, n: i32, yStep: usize, xStep: usize): void {
  const m4 = m & ~3, n4 = n & ~3, alongY = yStep > xStep;
  const outer = alongY ? m4 : n4, inner = alongY ? n4 : m4;
  const yOuter: usize = alongY ? 4 * yStep : 16, yInner: usize = alongY ? 16 : 4 * yStep;
  const xOuter: usize = alongY ? 16 : 4 * xStep, xInner: usize = alongY ? 4 * xStep : 16;
  for (let o = 0, toRow = y, fromRow = x; o < outer; o += 4, toRow += yOuter, fromRow += xOuter) {
    for (let i = 0, to = toRow, from = fromRow; i < inner; i += 4, to += yInner, from += xInner) {
      const a = v128.load(from), b = v128.load(from + xStep);
      storeTransposed(to, yStep, a, b, v128.load(from + 2 * xStep), v128.load(from + 3 * xStep));
    }
  }
  for (let i = 0; i < m; i++, y += yStep, x += 4) { // what remains of each row
    for (let j = i < m4 ? n4 : 0; j < n; j++) store<u32>(y + (j << 2), load<u32>(x + (j as usize) * xStep));
  }
}

/** Copies m·n floats, none of which need to be neighbours. */
function copyScattered(y: usize, x: usize, m: i32, n: i32, g: CopyGeometry): void {
  const yStep: usize = g.y4 << 2, xStep: usize = g.x4 << 2;
  for (; m > 0; m--, y += g.y3 << 2, x += g.x3 << 2) {
    for (let j = 0, to = y, from = x; j < n; j++, to += yStep, from += xStep) {
      store<u32>(to, load<u32>(from));
    }
  }
}
