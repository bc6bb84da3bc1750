// Sums and products of a tensor and a smaller one, b, which is repeated. See BroadcastGeometry. PReLU is a
// product, too: with b where x is not positive.

import { BroadcastGeometry } from "./geometry";
import { madd, sum4 } from "./inline/lanes";
import { ceilDiv, CHUNK, claim, EDGE_TILE, join, rowsPerItem, threadMemory } from "./threads";

/** y = a + alpha · b, written. y may be a, or b if that is not repeated. */
export function add(y: usize, a: usize, b: usize, g: BroadcastGeometry, alpha: f32): void {
  combine(ADD, y, a, b, 0, g, alpha);
}

/** y = a · b, written. y may be a, or b if that is not repeated. */
export function mul(y: usize, a: usize, b: usize, g: BroadcastGeometry): void {
  combine(MUL, y, a, b, 0, g, 0);
}

/** y = a where x > 0, a · b elsewhere; written. With a = x it is PReLU, with a = dy its gradient. y may be a. */
export function prelu(y: usize, a: usize, b: usize, x: usize, g: BroadcastGeometry): void {
  combine(PRELU, y, a, b, x, g, 0);
}

/** What combine() computes. */
const ADD = 0, MUL = 1, PRELU = 2;

/** y = a op b. An item is some rows, or a piece of a long one. */
function combine(
  op: i32, y: usize, a: usize, b: usize, x: usize, g: BroadcastGeometry, alpha: f32,
): void {
  const size = g.size, inner = g.inner, rows = g.outer * size;
  const rowsEach = rowsPerItem(inner), pieces = ceilDiv(inner, CHUNK);
  const items = ceilDiv(rows, rowsEach) * pieces;
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const first = i / pieces * rowsEach, last = min(rows, first + rowsEach);
    const column = i % pieces * CHUNK, n = min(CHUNK, inner - column);
    for (let r = first; r < last; r++) {
      const at: usize = (r * inner + column) << 2;
      const from = b + ((r / size * g.outerStep + r % size * g.step + column * g.innerStep) << 2);
      if (g.innerStep) combineRow(op, y + at, a + at, from, x + at, n, 4, alpha);
      else combineRow(op, y + at, a + at, fourTimes(load<f32>(from)), x + at, n, 0, alpha);
    }
  }
  join(items);
}

/** The address of a number that is there four times. With a step of 0, it is read as a tensor is. */
function fourTimes(value: f32): usize {
  const at = threadMemory + EDGE_TILE;
  v128.store(at, f32x4.splat(value));
  return at;
}

/** One row, or a part of it. It has two callers, so that the compiler keeps it out of their loops. */
function combineRow(
  op: i32, y: usize, a: usize, b: usize, x: usize, n: i32, step: usize, alpha: f32,
): void {
  const zero = f32x4.splat(0), alpha4 = f32x4.splat(alpha), step4 = step << 2;
  if (op == ADD) {
    for (; n >= 4; n -= 4, y += 16, a += 16, b += step4) {
      v128.store(y, madd(v128.load(a), v128.load(b), alpha4));
    }
    for (; n > 0; n--, y += 4, a += 4, b += step) store<f32>(y, load<f32>(a) + alpha * load<f32>(b));
  } else if (op == MUL) {
    for (; n >= 4; n -= 4, y += 16, a += 16, b += step4) {
      v128.store(y, f32x4.mul(v128.load(a), v128.load(b)));
    }
    for (; n > 0; n--, y += 4, a += 4, b += step) store<f32>(y, load<f32>(a) * load<f32>(b));
  } else {
    for (; n >= 4; n -= 4, y += 16, a += 16, x += 16, b += step4) {
      const v = v128.load(a), positive = f32x4.gt(v128.load(x), zero);
      v128.store(y, v128.bitselect(v, f32x4.mul(v, v128.load(b)), positive));
    }
    for (; n > 0; n--, y += 4, a += 4, x += 4, b += step) {
      const v = load<f32>(a);
      store<f32>(y, load<f32>(x) > 0 ? v : v * load<f32>(b));
    }
  }
}

/**
 * db += Σ dy·f over all elements for which b is repeated: the gradient of b. One thread adds all
 * of an element of db, in the same order on any number of threads.
 *
 * @param a f is a; 0 for f = 1
 * @param most f is 0 where a is above it: 0 for the gradient of PReLU, otherwise ∞
 */
export function sumProducts(
  db: usize, dy: usize, a: usize, g: BroadcastGeometry, most: f32,
): void {
  const outer = g.outerStep ? g.outer : 1, size = g.step ? g.size : 1, inner = g.inner;
  const rows = outer * size, length = g.innerStep ? inner : 1;
  const repeats = g.outer / outer * (g.size / size);
  const rowsEach = rowsPerItem(repeats * inner), items = ceilDiv(rows, rowsEach);
  const step: usize = a ? 4 : 0;
  if (!a) a = fourTimes(1);
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const last = min(rows, (i + 1) * rowsEach);
    for (let r = i * rowsEach; r < last; r++) {
      const to = db + ((r * length) << 2);
      let total: f64 = 0;
      for (let o = g.outerStep ? r / size : 0; o < g.outer; o += outer) {
        for (let m = g.step ? r % size : 0; m < g.size; m += size) {
          const at: usize = ((o * g.size + m) * inner) << 2, from = step ? a + at : a;
          if (g.innerStep) addProducts(to, dy + at, from, step, inner, most);
          else total += productSum(dy + at, from, step, inner, most);
        }
      }
      if (!g.innerStep) store<f32>(to, load<f32>(to) + (total as f32));
    }
  }
  join(items);
}

/** db += dy·f, element by element */
function addProducts(db: usize, dy: usize, a: usize, step: usize, n: i32, most: f32): void {
  const most4 = f32x4.splat(most), step4 = step << 2;
  for (; n >= 4; n -= 4, db += 16, dy += 16, a += step4) {
    const f = v128.load(a);
    v128.store(db, madd(v128.load(db), v128.load(dy), v128.andnot(f, f32x4.gt(f, most4))));
  }
  for (; n > 0; n--, db += 4, dy += 4, a += step) {
    const f = load<f32>(a);
    store<f32>(db, load<f32>(db) + load<f32>(dy) * (f > most ? 0 : f));
  }
}

/** Σ dy·f: float32 sums of CHUNK elements, added in float64 */
function productSum(dy: usize, a: usize, step: usize, n: i32, most: f32): f64 {
  const most4 = f32x4.splat(most), step4 = step << 2;
  let total: f64 = 0;
  for (; n > 0; n -= CHUNK) {
    let sum4s = f32x4.splat(0), left = min(n, CHUNK);
    for (; left >= 4; left -= 4, dy += 16, a += step4) {
      const f = v128.load(a);
      sum4s = madd(sum4s, v128.load(dy), v128.andnot(f, f32x4.gt(f, most4)));
    }
    let sum = sum4(sum4s);
    for (; left > 0; left--, dy += 4, a += step) {
      const f = load<f32>(a);
      sum += load<f32>(dy) * (f > most ? 0 : f);
    }
    total += sum as f64;
  }
  return total;
}
