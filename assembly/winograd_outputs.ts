// The end of Winograd's convolution (winograd.ts), y = Aᵀ M A: products at the positions of a tile become its
// outputs. The lanes are four tiles.
//
// Whole tiles are stored in y at once. Tiles at the edge of the plane stay in this thread's memory first, and
// then finishTile() copies what lies inside. So do all tiles if a residual or SiLU follows.

import { FusedConv2dGeometry } from "./geometry";
import { activate, activate4, inlinedPart, NONE, SILU } from "./inline/activate";
import { highHalves, interleaveHigh, interleaveLow, lowHalves } from "./inline/transpose";
import {
  output6At0, output6At1, output6At2, output6At3, output8At0, output8At1, output8At2, output8At3,
} from "./inline/winograd";
import { silu } from "./silu";
import { HALF_TILE, threadMemory } from "./threads";
import { inputSide, TARGET, TILE, tiles } from "./winograd_tiles";

/** y = activation(Aᵀ M A + bias + residual) for one channel. Outputs beyond the edge are dropped. */
export function outputTiles(
  y: usize, products: usize, step: usize, targets: usize, bias: f32, g: FusedConv2dGeometry,
): void {
  const biases = f32x4.splat(bias);
  const late: bool = g.addsResidual || g.activation == SILU, activation = late ? NONE : g.activation;
  const half = threadMemory + HALF_TILE, line = (inputSide as usize) << 4, row = (inputSide as usize) * step;
  const rowY: usize = g.ow << 2;
  for (let j = 0; j < tiles; j += 4, products += 16, targets += 4 * TARGET) {
    for (let h = half, q = products; h < half + line; h += 16, q += step) {
      const p0 = v128.load(q), p1 = v128.load(q + row), p2 = v128.load(q + 2 * row);
      const p3 = v128.load(q + 3 * row), p4 = v128.load(q + 4 * row), p5 = v128.load(q + 5 * row);
      const sum1 = f32x4.add(p1, p2), diff1 = f32x4.sub(p1, p2);
      const sum2 = f32x4.add(p3, p4), diff2 = f32x4.sub(p3, p4);
      if (inputSide == 6) {
        v128.store(h, output6At0(p0, sum1, sum2));
        v128.store(h + line, output6At1(diff1, diff2));
        v128.store(h + 2 * line, output6At2(sum1, sum2));
        v128.store(h + 3 * line, output6At3(p5, diff1, diff2));
        continue;
      }
      const p6 = v128.load(q + 6 * row), p7 = v128.load(q + 7 * row);
      const sumHalf = f32x4.add(p5, p6), diffHalf = f32x4.sub(p5, p6);
      v128.store(h, output8At0(p0, sum1, sum2, sumHalf));
      v128.store(h + line, output8At1(diff1, diff2, diffHalf));
      v128.store(h + 2 * line, output8At2(sum1, sum2, sumHalf));
      v128.store(h + 3 * line, output8At3(p7, diff1, diff2, diffHalf));
    }
    // where each tile goes: to y if it is whole, otherwise back to where it came from
    const count = late ? 0 : tiles - j;
    let to0 = half, to1 = half + 16, to2 = half + 32, to3 = half + 48;
    let step0 = line, step1 = line, step2 = line, step3 = line;
    if (count > 0 && isWhole(targets)) {
      to0 = y + load<i32>(targets);
      step0 = rowY;
    }
    if (count > 1 && isWhole(targets + TARGET)) {
      to1 = y + load<i32>(targets, TARGET);
      step1 = rowY;
    }
    if (count > 2 && isWhole(targets + 2 * TARGET)) {
      to2 = y + load<i32>(targets, 2 * TARGET);
      step2 = rowY;
    }
    if (count > 3 && isWhole(targets + 3 * TARGET)) {
      to3 = y + load<i32>(targets, 3 * TARGET);
      step3 = rowY;
    }
    for (let h = half; h < half + 4 * line; h += line) {
      const p0 = v128.load(h), p1 = v128.load(h, 16), p2 = v128.load(h, 32), p3 = v128.load(h, 48);
      const p4 = v128.load(h, 64), p5 = v128.load(h, 80);
      const sum1 = f32x4.add(p1, p2), diff1 = f32x4.sub(p1, p2);
      const sum2 = f32x4.add(p3, p4), diff2 = f32x4.sub(p3, p4);
      let c0: v128, c1: v128, c2: v128, c3: v128;
      if (inputSide == 6) {
        c0 = output6At0(p0, sum1, sum2);
        c1 = output6At1(diff1, diff2);
        c2 = output6At2(sum1, sum2);
        c3 = output6At3(p5, diff1, diff2);
      } else {
        const p6 = v128.load(h, 96), p7 = v128.load(h, 112);
        const sumHalf = f32x4.add(p5, p6), diffHalf = f32x4.sub(p5, p6);
        c0 = output8At0(p0, sum1, sum2, sumHalf);
        c1 = output8At1(diff1, diff2, diffHalf);
        c2 = output8At2(sum1, sum2, sumHalf);
        c3 = output8At3(p7, diff1, diff2, diffHalf);
      }
      c0 = finish(c0, biases, activation);
      c1 = finish(c1, biases, activation);
      c2 = finish(c2, biases, activation);
      c3 = finish(c3, biases, activation);
      // from a column of each tile to a row of each
      const low01 = interleaveLow(c0, c1), high01 = interleaveHigh(c0, c1);
      const low23 = interleaveLow(c2, c3), high23 = interleaveHigh(c2, c3);
      v128.store(to0, lowHalves(low01, low23));
      v128.store(to1, highHalves(low01, low23));
      v128.store(to2, lowHalves(high01, high23));
      v128.store(to3, highHalves(high01, high23));
      to0 += step0;
      to1 += step1;
      to2 += step2;
      to3 += step3;
    }
    const end = half + (min(4, tiles - j) << 4);
    for (let h = half, target = targets; h < end; h += 16, target += TARGET) {
      if (late || !isWhole(target)) finishTile(h, y, target, late, g);
    }
  }
}

/** Whether a tile lies inside the plane: 4 & 4 is 4, and less with fewer rows or columns. */
// @ts-ignore: decorator
@inline
function isWhole(target: usize): bool {
  return (load<i32>(target, 4) & load<i32>(target, 8)) == TILE;
}

/** Copies the part of a tile that lies inside the plane; first adds the residual and applies SiLU, if it is late. */
function finishTile(h: usize, y: usize, target: usize, late: bool, g: FusedConv2dGeometry): void {
  const rows = load<i32>(target, 4), columns = load<i32>(target, 8), line = (inputSide as usize) << 4;
  let to = y + load<i32>(target);
  for (let r = 0; r < rows; r++, to += g.ow << 2, h += line) {
    if (late) finishLate(h, to, columns, g);
    if (columns == TILE) {
      v128.store(to, v128.load(h));
    } else {
      for (let i = 0; i < columns; i++) store<f32>(to + (i << 2), load<f32>(h + (i << 2)));
    }
  }
}

/** row = activation(row + residual) for one row of a tile, which is stored at `to` afterwards. */
function finishLate(row: usize, to: usize, columns: i32, g: FusedConv2dGeometry): void {
  if (g.addsResidual) addResidual(row, to + g.residual, columns, inlinedPart(g.activation));
  if (g.activation == SILU) silu(row, TILE);
}

/** row = activation(row + residual). */
// @ts-ignore: decorator
@inline
function addResidual(row: usize, residual: usize, columns: i32, activation: i32): void {
  if (columns == TILE) {
    v128.store(row, activate4(f32x4.add(v128.load(row), v128.load(residual)), activation));
    return;
  }
  for (const end = row + (columns << 2); row < end; row += 4, residual += 4) {
    store<f32>(row, activate(load<f32>(row) + load<f32>(residual), activation));
  }
}

/** activation(v + bias) */
// @ts-ignore: decorator
@inline
function finish(v: v128, bias: v128, activation: i32): v128 {
  return activate4(f32x4.add(v, bias), activation);
}
