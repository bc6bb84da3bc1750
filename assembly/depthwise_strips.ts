// How depthwise kernels cut their work. A strip is some rows of one plane of the output, with the rows of
// the input that it needs: a copy of them, padded with zeros, that stays in the first-level cache.
//
// A stride s is turned into phases: a row of the strip holds every s-th value from the first on, then every
// s-th value from the second on, and so forth. So a tap of the kernel reads neighbouring values for
// neighbouring outputs. A tap is an offset from an output's first tap.

import { Conv2dGeometry } from "./geometry";
import { copyFloats, copyStrided, zeros } from "./rows";
import { ceilDiv } from "./threads";

/** Rows of outputs that are computed together, and the most columns. */
export const ROWS: i32 = 4, COLUMNS: i32 = 8;

/** Floats of a strip's inputs: 16 KB. */
const STRIP_FLOATS: i32 = 4096;

/** Outputs that are worth a claim. */
const ITEM_OUTPUTS: i32 = 2048;

// plan() sets the variables that all other functions read.

/** Rows of outputs in a strip, strips in a plane, and strips that make an item. */
export let stripRows: i32 = 0, strips: i32 = 0, stripsPerItem: i32 = 0;
/** Rows of a strip's inputs. */
let inputRows: i32 = 0;
/** Phases of a row, and floats of each. */
let phases: i32 = 0, phaseColumns: i32 = 0;
/** Distance between neighbouring outputs of a row. */
let stepW: i32 = 0;
/** Bytes from one row of inputs to the next, and to the row of the next output. */
export let inputRow: usize = 0, outputStep: usize = 0;
/** Taps of a kernel. */
export let taps: i32 = 0;

/**
 * Cuts planes of oh × ow outputs, and returns the bytes of scratch memory for each thread: a strip, the
 * offsets of taps, and a kernel. In float64, because geometries can be too large for any memory.
 * @param strideH 1 for the gradient of the input, and so is strideW
 */
export function plan(g: Conv2dGeometry, oh: i32, ow: i32, strideH: i32, strideW: i32): f64 {
  const spanH = g.dilationH * (g.kh - 1) + 1, spanW = g.dilationW * (g.kw - 1) + 1;
  const stepH = oh > 1 ? strideH : 1; // the stride of a single output can be anything
  stepW = ow > 1 ? strideW : 1;
  phases = min(stepW, spanW);
  phaseColumns = ceilDiv(ow, COLUMNS) * COLUMNS + (spanW - 1) / stepW;
  const row = phases * phaseColumns;
  // at least as many rows as kernels overlap
  const fit = max((STRIP_FLOATS / max(1, row) - spanH) / stepH + 1, ceilDiv(spanH, stepH));
  stripRows = min(ceilDiv(oh, ROWS), ceilDiv(fit, ROWS)) * ROWS;
  strips = ceilDiv(oh, stripRows);
  stripsPerItem = max(1, ITEM_OUTPUTS / (stripRows * ow));
  inputRows = (stripRows - 1) * stepH + spanH;
  inputRow = (row as usize) << 2;
  outputStep = inputRow * stepH;
  taps = g.kh * g.kw;
  const floats = (phases as f64) * (phaseColumns as f64);
  return (floats * ((stripRows - 1) as f64 * (stepH as f64) + (spanH as f64)) + (taps as f64) * 2) * 4;
}

/** Offset of each tap in a strip, in bytes from the first tap of an output. */
export function fillTaps(to: usize, g: Conv2dGeometry): void {
  const kh = g.kh, kw = g.kw, dilationH = g.dilationH, dilationW = g.dilationW;
  for (let ky = 0; ky < kh; ky++) {
    for (let kx = 0; kx < kw; kx++, to += 4) {
      const x = kx * dilationW;
      const at = x % stepW * phaseColumns + x / stepW;
      store<i32>(to, ky * dilationH * (inputRow as i32) + (at << 2));
    }
  }
}

/** Makes all of a strip zero. The functions below rely on it: they only write where there are inputs. */
export function clearStrip(strip: usize): void {
  memory.fill(strip, 0, (inputRows as usize) * inputRow);
}

/** Copies the inputs of the strip that begins at output row `first`. */
export function fillStrip(to: usize, plane: usize, first: i32, g: Conv2dGeometry): void {
  const h = g.h, w = g.w, left = g.left, row: usize = w << 2;
  const y = first * g.strideH - g.top;
  for (let p = 0; p < phases; p++) {
    const begin = min(phaseColumns, p < left ? ceilDiv(left - p, stepW) : 0);
    const end = max(begin, min(phaseColumns, ceilDiv(max(0, w + left - p), stepW))), count = end - begin;
    let start = to + ((p * phaseColumns + begin) << 2);
    let from = plane + ((y * w + begin * stepW + p - left) << 2);
    for (let r = y; r < y + inputRows; r++, start += inputRow, from += row) {
      if ((r as u32) >= (h as u32)) zeros(start, count);
      else if (stepW == 1) copyFloats(start, from, count);
      else if (stepW == 2) copyStrided(start, from, count, 8);
      else copyStrided(start, from, count, stepW << 2);
    }
  }
}

/**
 * Copies the gradients of the strip of the input that begins at row `first`. Their rows and columns are
 * strideH and strideW apart, with zeros between them.
 */
export function fillGradientStrip(to: usize, plane: usize, first: i32, g: Conv2dGeometry): void {
  const oh = g.oh, ow = g.ow, strideH = g.strideH, strideW = g.strideW, row: usize = ow << 2;
  const before = g.dilationW * (g.kw - 1) - g.left; // columns in front of the first gradient
  const begin = before < 0 ? ceilDiv(-before, strideW) : 0; // the first gradient that is read
  const column = min(phaseColumns, begin * strideW + before);
  const count = max(0, min(ow - begin, ceilDiv(phaseColumns - column, strideW)));
  plane += begin << 2;
  to += column << 2;
  let y = first + g.top - g.dilationH * (g.kh - 1);
  for (let r = 0; r < inputRows; r++, y++, to += inputRow) {
    const from = plane + ((y / strideH) as usize) * row;
    if (y < 0 || y % strideH || y / strideH >= oh) {
      zeros(to, phaseColumns - column);
    } else if (strideW == 1) {
      copyFloats(to, from, count);
    } else {
      for (let i = 0; i < count; i++) store<f32>(to + ((i * strideW) << 2), load<f32>(from + (i << 2)));
    }
  }
}
