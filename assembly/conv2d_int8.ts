// 2-D convolution with weights in 8 bits. Weights are rounded once (conv2d_int8_weights.ts), with a step for
// each output channel, and the input in every pass (quantize.ts), with a step for each sample. Words hold several
// channels of a pixel; the convolution of words is that of conv2d.ts, with fewer channels, and packs its columns
// with the same functions, as if words were floats. Its sums are exact (gemm_int8.ts).
//
// - In convolutions of single pixels, each pixel has a step of its own. That halves their error.
// - Inputs of few channels are rounded to 14 bits in twice as many words: images, and those of small layers
//   such as SqueezeNet's first. Few products make up an output there, so that errors cancel less, and they
//   take little time. Not with large kernels, such as AlexNet's first.
//
// A batch gives the same results as single images, and so do any number of threads and every build. If a
// sample holds NaN or infinity, all of its outputs are NaN, or those of its pixel if each has a step. So are
// the outputs of such a row of weights.

import { fillOffsets, packColumns } from "./columns";
import { sumsBytes, wordsOf } from "./conv2d_int8_weights";
import { MR, NR } from "./gemm";
import { gemmInt8, LANES, threadIntProduct } from "./gemm_int8";
import { packedColumns, packedRows } from "./gemm_pack";
import { Conv2dGeometry, Int8Conv2dGeometry } from "./geometry";
import { HARDSWISH, highest, lowest, SILU } from "./inline/activate";
import {
  choosePixels, chooseSteps, chooseStepsFrom, fillWords, quantizePixels, quantizeWide, quantizeWords,
  repeated, step, widenRange, zero,
} from "./quantize";
import { exactSilu, hardswish } from "./silu";
import { bytesForThreads, ceilDiv, CHUNK, claim, join, threads, threadScratch } from "./threads";

/** Bytes of a block of columns. It has all of the depth, because integers are not added to C. */
const BLOCK_BYTES: i32 = 1 << 19;
/** The most columns in a block, as in conv2d.ts. */
const NC: i32 = 736;
/** Bytes of the samples that are rounded at a time, unless one sample takes more: 4 MB. */
const SAMPLES_BYTES: f64 = 4 * 1024 * 1024;

/** This call: whether the range of inputs is given, they are rounded to 14 bits, or pixels have their own steps. */
let isKnown: bool = false, wide: bool = false, perPixel: bool = false;
/** Pairs of extremes from one sample to the next, and how many of them this call fills. */
let stride: i32 = 0, used: i32 = 0;

/** Whether inputs are rounded to 14 bits. 1024 products of them fit in 32 bits. */
// @ts-ignore: decorator
@inline
function isWide(g: Conv2dGeometry): bool {
  return g.filterSize <= 256 && g.inC <= (g.kh * g.kw > 1 ? 16 : 4);
}

/**
 * Whether each pixel has its own step: without a known range, in convolutions of single pixels. Two more
 * words of a pixel are its step and what stands for 0.
 */
function hasPixelSteps(g: Int8Conv2dGeometry): bool {
  const isPointwise = g.kh * g.kw * g.groups == 1 && !g.isPadded;
  return isPointwise && g.high <= g.low && g.h * g.w > 1 && !isWide(g);
}

/** Words of a group of inputs for each pixel. */
function inputWords(g: Int8Conv2dGeometry): i32 {
  if (hasPixelSteps(g)) return wordsOf(g.inC) + 2;
  return wordsOf(g.groupInC) << (isWide(g) as i32);
}

/** Words of a rounded sample, in float64. */
function sampleWords(g: Int8Conv2dGeometry): f64 {
  const h = (g.h as f64) + (g.top as f64) + (g.bottom as f64);
  const w = (g.w as f64) + (g.left as f64) + (g.right as f64);
  return (g.groups as f64) * (inputWords(g) as f64) * h * w;
}

/** Samples that are rounded at a time. */
function samplesAtOnce(g: Int8Conv2dGeometry): i32 {
  return max(1, min(g.n as f64, SAMPLES_BYTES / (sampleWords(g) * 4)) as i32);
}

/** Planes of words that make an item, while samples are rounded. */
function rowsPerItem(g: Conv2dGeometry): i32 {
  return max(1, 2048 / (g.h * g.w));
}

/** Such items of a sample. */
function roundItems(g: Conv2dGeometry): i32 {
  return ceilDiv(g.groups * wordsOf(g.groupInC), rowsPerItem(g));
}

/** Pairs of extremes of a sample: for each item that finds some. */
function pairs(g: Conv2dGeometry): i32 {
  return max(ceilDiv(g.inC * g.h * g.w, CHUNK), roundItems(g));
}

/** The most columns of a block of this depth. */
function columnsOf(depth: i32): i32 {
  return max(NR, min(NC, (BLOCK_BYTES / (depth << 2)) & ~(NR - 1)));
}

/** Bytes for each thread: a geometry, the offsets of words, steps, a block of columns. */
function threadBytes(g: Int8Conv2dGeometry): f64 {
  const depth = (inputWords(g) as f64) * (g.kh as f64) * (g.kw as f64);
  return (offsetof<Int8Conv2dGeometry>() as f64) + depth * 4 + 16 + 64 +
    max(BLOCK_BYTES as f64, depth * NR * 4);
}

/** Bytes of scratch memory that conv2dInt8 needs, in float64. */
export function conv2dInt8ScratchSize(g: Int8Conv2dGeometry): f64 {
  const each = (pairs(g) as f64) * 8 + sampleWords(g) * 4;
  return (samplesAtOnce(g) as f64) * each + 64 + bytesForThreads(threadBytes(g));
}

/**
 * y[n, outC, oh, ow] = activation(x[n, inC, h, w] ⋆ w + b + residual), written.
 * @param packed weights from conv2dInt8Pack
 * @param scales outC floats
 * @param bias outC floats, or 0 for none
 * @param scratch conv2dInt8ScratchSize bytes
 */
export function conv2dInt8(
  y: usize, x: usize, packed: usize, scales: usize, bias: usize, scratch: usize, g: Int8Conv2dGeometry,
): void {
  const n = g.n, most = samplesAtOnce(g), input: usize = (g.inC * g.h * g.w) << 2;
  const output: usize = (g.outC * g.oh * g.ow) << 2;
  const extremes = scratch, images = extremes + ((most * pairs(g)) << 3);
  const own = threadScratch(
    (images + ((sampleWords(g) as usize) * (most as usize) << 2) + 63) & ~63, threadBytes(g),
  );

  // the convolution of words
  const words = changetype<Int8Conv2dGeometry>(own);
  memory.copy(own, changetype<usize>(g), offsetof<Int8Conv2dGeometry>());
  words.inC = g.groups * inputWords(g);
  wide = isWide(g);
  perPixel = hasPixelSteps(g);
  const offsets = own + offsetof<Int8Conv2dGeometry>();
  fillOffsets(offsets, words);

  isKnown = g.high > g.low;
  stride = pairs(g);
  used = isKnown ? roundItems(g) : ceilDiv(g.inC * g.h * g.w, CHUNK);
  for (let first = 0; first < n; first += most) {
    const count = min(most, n - first);
    const samples = x + (first as usize) * input;
    if (perPixel) {
      roundPixels(images, samples, blockAt(words), count, g);
    } else {
      if (!isKnown) measure(extremes, samples, count, g);
      roundSamples(images, extremes, samples, count, g);
    }
    multiply(y + (first as usize) * output, images, extremes, packed, scales, bias, count, words);
  }
}

/** Address of this thread's block of columns, behind the geometry of words, the offsets and the steps. */
function blockAt(words: Int8Conv2dGeometry): usize {
  const offsets = changetype<usize>(words) + offsetof<Int8Conv2dGeometry>();
  return ((offsets + (words.filterSize << 2) + 15) & ~15) + 64;
}

/** Rounds samples whose pixels have their own steps, images[count][words + 2][plane]. */
function roundPixels(images: usize, x: usize, block: usize, count: i32, g: Int8Conv2dGeometry): void {
  const c = g.inC, words = wordsOf(c), pixels = g.h * g.w, plane: usize = pixels << 2;
  const most = max(16, min(512, 32768 / c & ~15)), chunks = ceilDiv(pixels, most), items = count * chunks;
  const offset: usize = most << 2;
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const s = item / chunks, first = item % chunks * most, n = min(most, pixels - first);
    const from = x + ((s * c) as usize) * plane + (first << 2);
    let to = images + ((s * (words + 2)) as usize) * plane + (first << 2);
    const steps = to + (words as usize) * plane;
    choosePixels(steps, steps + plane, block, offset, from, c, plane, n);
    for (let i = 0; i < c; i += LANES, to += plane) {
      const p = from + (i as usize) * plane, last: usize = min(LANES, c - i) - 1;
      const p1 = p + min(1, last) * plane, p2 = p + min(2, last) * plane;
      quantizePixels(to, p, p1, p2, p + min(3, last) * plane, n, block, offset);
    }
  }
  join(items);
}

/** Finds the extremes of each sample. */
function measure(extremes: usize, x: usize, count: i32, g: Int8Conv2dGeometry): void {
  const size = g.inC * g.h * g.w, chunks = used, items = count * chunks;
  for (let i = claim(items); i >= 0; i = claim(items)) {
    const s = i / chunks, chunk = i % chunks, to = extremes + ((s * stride + chunk) << 3);
    store<i64>(to, 0);
    const from = x + (((s * size + chunk * CHUNK) as usize) << 2);
    widenRange(to, from, min(CHUNK, size - chunk * CHUNK));
  }
  join(items);
}

/** Chooses how sample s is rounded. */
function choose(extremes: usize, s: i32, g: Int8Conv2dGeometry): void {
  if (isKnown) chooseSteps(g.low, g.high, wide);
  chooseStepsFrom(extremes + ((s * stride) << 3), used, isKnown, wide);
}

/** Rounds samples to words, images[count][groups][words of a group][padded plane]. */
function roundSamples(
  images: usize, extremes: usize, x: usize, count: i32, g: Int8Conv2dGeometry,
): void {
  const c = g.groupInC, words = wordsOf(c), rows = g.groups * words, plane = g.h * g.w;
  const each = rowsPerItem(g), perSample = roundItems(g), items = count * perSample;
  const padded: usize = (g.paddedH * g.paddedW) << 2, low: usize = wide ? (words as usize) * padded : 0;
  let chosen = -1;
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const s = item / perSample, begin = item % perSample * each, end = min(rows, begin + each);
    if (isKnown) {
      const to = extremes + ((s * stride + item % perSample) << 3);
      store<i64>(to, 0);
      for (let r = begin; r < end; r++) {
        const channel = r / words * c + r % words * LANES, channels = min(LANES, c - r % words * LANES);
        widenRange(to, x + (((s * g.inC + channel) * plane) << 2), channels * plane);
      }
      if (s != chosen) chooseSteps(g.low, g.high, wide);
    } else if (s != chosen) {
      choose(extremes, s, g);
    }
    chosen = s;
    for (let r = begin; r < end; r++) {
      const channel = r / words * c + r % words * LANES, last = min(LANES, c - r % words * LANES) - 1;
      const from = x + (((s * g.inC + channel) * plane) << 2);
      const word = s * rows + r, at = wide ? word / words * words + word : word;
      roundPlane(images + (at as usize) * padded, low, from, last, g);
    }
  }
  join(items);
}

/**
 * Rounds the planes of the channels of a word, padded. The last channel stands in for missing ones.
 * @param low bytes from words of high bits to those of low bits, for inputs of 14 bits, else 0
 */
function roundPlane(to: usize, low: usize, x: usize, last: i32, g: Int8Conv2dGeometry): void {
  const w = g.w, plane = (g.h * w) << 2;
  const x1 = x + min(1, last) * plane, x2 = x + min(2, last) * plane, x3 = x + min(3, last) * plane;
  if (!g.isPadded) {
    if (low) quantizeWide(to, low, x, x1, x2, x3, g.h * w);
    else quantizeWords(to, x, x1, x2, x3, g.h * w);
    return;
  }
  const left = g.left, right = g.right;
  to = pad(to, low, g.top * g.paddedW);
  for (let r = 0, i: usize = 0; r < g.h; r++, i += w << 2) {
    to = pad(to, low, left);
    if (low) quantizeWide(to, low, x + i, x1 + i, x2 + i, x3 + i, w);
    else quantizeWords(to, x + i, x1 + i, x2 + i, x3 + i, w);
    to = pad(to + (w << 2), low, right);
  }
  pad(to, low, g.bottom * g.paddedW);
}

/** Writes n words that stand for zeros, and returns the address behind them. */
function pad(to: usize, low: usize, n: i32): usize {
  if (low) fillWords(to + low, n, repeated(zero & 127));
  return fillWords(to, n, repeated(low ? zero >> 7 : zero));
}

/** y = the product of the weights and the columns of rounded samples, as in conv2d.ts. */
function multiply(
  y: usize, images: usize, extremes: usize, packed: usize, scales: usize, bias: usize, count: i32,
  g: Int8Conv2dGeometry,
): void {
  // as in the caller, but g is the geometry of words
  const groups = g.groups, m = g.groupOutC, k = g.filterSize, pixels = g.oh * g.ow;
  const imageSize = (g.groupInC * g.paddedH * g.paddedW) << 2;
  const offsets = changetype<usize>(g) + offsetof<Int8Conv2dGeometry>();
  const block = blockAt(g), same = block - 64;
  const aWords = perPixel ? k - 2 : wide ? k >> 1 : k;
  const product = threadIntProduct(), activation = g.activation;
  product.k = aWords;
  product.panel = (k * NR) << 2;
  product.columns = perPixel ? block + ((aWords * NR) << 2) : same;
  product.columnStep = perPixel ? product.panel : 0;
  product.isWide = wide as i32;
  product.ldc = pixels;
  product.addsResidual = g.addsResidual;
  product.residual = g.residual;
  product.low = lowest(activation);
  product.high = highest(activation);

  const planes = count * groups, most = columnsOf(k);
  let blockColumns = most;
  if (threads > 1) {
    const each = ceilDiv(pixels, ceilDiv(4 * threads, planes));
    blockColumns = min(most, max(8 * NR, packedColumns(each)));
  }
  const blocks = ceilDiv(pixels, blockColumns), columnItems = planes * blocks;
  let blockRows = m;
  if (threads > 1 && columnItems < 4 * threads) {
    blockRows = max(8 * MR, packedRows(ceilDiv(m, ceilDiv(4 * threads, columnItems))));
  }
  const rowBlocks = ceilDiv(m, blockRows), items = columnItems * rowBlocks;
  let packedItem = -1, chosen = -1;
  for (let item = claim(items); item >= 0; item = claim(items)) {
    const columnItem = item / rowBlocks, row = item % rowBlocks * blockRows;
    const image = columnItem / blocks, j = columnItem % blocks * blockColumns;
    const columns = min(blockColumns, pixels - j), rows = min(blockRows, m - row);
    const group = image % groups, s = image / groups;
    if (s != chosen && !perPixel) {
      choose(extremes, s, g);
      for (let i: usize = 0; i < 32; i += 4) {
        store<f32>(same + i, step);
        store<i32>(same + i, zero, 32);
      }
    }
    chosen = s;
    if (columnItem != packedItem) {
      packColumns(block, images + (image as usize) * (imageSize as usize), offsets, k, j, columns, g);
    }
    packedItem = columnItem;
    const o = group * m + row;
    product.m = rows;
    product.n = columns;
    product.sums = packed + (o << 2);
    product.scales = scales + (o << 2);
    product.bias = bias ? bias + (o << 2) : 0;
    const aRow = (group * packedRows(m) + row) as usize;
    const a = packed + sumsBytes(g.outC) + aRow * ((aWords * LANES) as usize);
    const out = y + ((((image * m + row) as usize) * (pixels as usize) + (j as usize)) << 2);
    gemmInt8(out, a, block, product);
    if (activation != SILU && activation != HARDSWISH) continue;
    for (let r = 0, at = out; r < rows; r++, at += pixels << 2) {
      if (activation == SILU) exactSilu(at, columns);
      else hardswish(at, columns);
    }
  }
  join(items);
}
