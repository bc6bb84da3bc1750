import { type NumArray, type NumArray64, zeros } from "./array.ts";
import { type Conv2d, conv2d } from "./conv.ts";

const f = Math.fround;

/** Rounds to the nearest integer, ties to even. */
function nearestEven(v: number): number {
  return v - (v % 2) +
    (Math.abs(v % 2) <= 0.5 ? 0 : Math.sign(v) * (Math.abs(v % 2) < 1.5 ? 1 : 2));
}

/** Rows of weights as integers of ±127, and the step of each, with 16 significant bits. */
export function roundWeights({ shape, data }: NumArray) {
  const size = data.length / shape[0], integers = zeros(shape), steps: number[] = [];
  for (let o = 0; o < shape[0]; o++) {
    const row = Array.from({ length: size }, (_, i) => data[o * size + i]);
    if (!row.every(Number.isFinite)) {
      steps.push(NaN);
      continue;
    }
    const step = weightStep(row);
    steps.push(step);
    const rounded = row.map((v) => nearestEven(f(v / step)));
    const errors = row.map((v, i) => f(f(v / step) - rounded[i]));
    const taps = shape.slice(2).reduce((a, b) => a * b, 1), group = taps > 1 ? taps : size;
    for (let at = 0; at < size; at += group) {
      const part = rounded.slice(at, at + group);
      correct(errors.slice(at, at + group), part);
      integers.data.set(part, o * size + at);
    }
  }
  return { integers, steps };
}

/**
 * The step of a row of weights: its largest is 127, 126 … or 112 steps, those with the least error.
 */
function weightStep(row: readonly number[]): number {
  const top = row.reduce((top, v) => Math.max(top, Math.abs(v)), 2 ** -100);
  const steps = Array.from({ length: 16 }, (_, i) => significant16(f(f(top) / (127 - i))));
  const errors = steps.map((step) => {
    const sums = [0, 0, 0, 0]; // in float32, as the lanes of a vector
    for (const [i, w] of row.entries()) {
      const v = f(w / step), off = f(v - nearestEven(v));
      sums[i % 4] = f(sums[i % 4] + f(off * off));
    }
    return (sums[0] + sums[2] + (sums[1] + sums[3])) * step * step;
  });
  return steps[errors.indexOf(Math.min(...errors))];
}

/** Rounds to 16 significant bits. */
function significant16(v: number): number {
  const bits = new Uint32Array(Float32Array.of(v).buffer);
  bits[0] = (bits[0] + 0x80) & ~0xff;
  return new Float32Array(bits.buffer)[0];
}

/**
 * Rounds the weights in the middle of two integers the other way, until the errors add up to 0:
 * those of a channel, or of all channels if there is one pixel.
 */
function correct(errors: readonly number[], rounded: number[]): void {
  const sum = errors.reduce((a, b) => a + b, 0), way = sum > 0 ? 1 : -1;
  const candidates = errors.flatMap((error, i) => {
    const isPossible = error * way > 0 && Math.abs(rounded[i] + way) <= 127;
    return isPossible ? [{ i, bucket: Math.min(63, Math.floor(error * way * 128)) }] : [];
  });
  candidates.sort((a, b) => b.bucket - a.bucket || a.i - b.i);
  const count = nearestEven(Math.abs(sum));
  for (const { i } of candidates.slice(0, count)) rounded[i] += way;
}

/** Samples as integers around 0, of 7 bits or another number of levels, and the step of each. */
function roundInputs(
  { shape, data }: NumArray,
  range?: readonly [number, number],
  top = 127,
) {
  const size = data.length / shape[0], integers = zeros(shape), steps: number[] = [];
  for (let s = 0; s < shape[0]; s++) {
    const sample = Array.from({ length: size }, (_, i) => data[s * size + i]);
    const isFinite = sample.every(Number.isFinite), values = isFinite ? sample : [];
    const [low, high] = range?.map(f) ??
      [values.reduce((a, b) => Math.min(a, b), 0), values.reduce((a, b) => Math.max(a, b), 0)];
    const width = Math.max(Math.max(high, 0) - Math.min(low, 0), 2 ** -100);
    const inverse = f(top / width), zero = nearestEven(-Math.min(low, 0) * top / width);
    steps.push(isFinite ? f(width / top) : NaN);
    values.forEach((v, i) => {
      const q = nearestEven(f(f(v) * inverse) + zero);
      integers.data[s * size + i] = Math.min(Math.max(q, 0), top) - zero;
    });
  }
  return { integers, steps };
}

/** What follows the sums. */
export interface Int8Options extends Conv2d {
  readonly range?: readonly [number, number];
  readonly residual?: NumArray | null;
  readonly relu?: boolean;
}

/**
 * The convolution in 8 bits: exact sums of integers, scaled in float32. Inputs of few channels have
 * 14 bits: at most 4, or 16 if the kernel has several taps, with at most 256 weights for an output.
 * If there is one pixel to an output, it has a step of its own.
 */
export function conv2dInt8(
  x: NumArray,
  w: NumArray,
  b: NumArray | null,
  options: Int8Options = {},
) {
  const fewChannels = w.shape[2] * w.shape[3] > 1 ? 16 : 4;
  const isWide = x.shape[1] <= fewChannels && w.data.length / w.shape[0] <= 256;
  const isPointwise = w.shape[2] * w.shape[3] * (options.groups ?? 1) === 1 &&
    !options.padding?.some((size) => size > 0);
  if (isPointwise && !isWide && !options.range) return pointwise(x, w, b, options);
  const inputs = roundInputs(x, options.range, isWide ? 16383 : 127), weights = roundWeights(w);
  const sums = conv2d(inputs.integers, weights.integers, null, options);
  return finish(sums, (i) => inputs.steps[i], weights.steps, b, options);
}

/** The same, with a step for each pixel: every pixel is a sample of its own. */
function pointwise(x: NumArray, w: NumArray, b: NumArray | null, options: Int8Options) {
  const [n, c, height, width] = x.shape, [strideH, strideW] = options.stride ?? [1, 1];
  const oh = Math.ceil(height / strideH), ow = Math.ceil(width / strideW);
  const samples = zeros([n * oh * ow, c, 1, 1]);
  for (let i = 0; i < samples.data.length; i++) {
    const pixel = Math.floor(i / c), s = Math.floor(pixel / (oh * ow));
    const row = Math.floor(pixel / ow) % oh * strideH, column = pixel % ow * strideW;
    samples.data[i] = x.data[((s * c + i % c) * height + row) * width + column];
  }
  const inputs = roundInputs(samples), weights = roundWeights(w);
  const each = conv2d(inputs.integers, weights.integers, null);
  const outC = w.shape[0], sums = zeros([n, outC, oh, ow]);
  for (let i = 0; i < sums.data.length; i++) {
    const [plane, pixel] = [Math.floor(i / (oh * ow)), i % (oh * ow)];
    const s = Math.floor(plane / outC) * oh * ow + pixel;
    sums.data[i] = each.data[s * outC + plane % outC];
  }
  return finish(sums, (s, pixel) => inputs.steps[s * oh * ow + pixel], weights.steps, b, options);
}

/** Scales the sums. `stepOf` returns the step of a pixel of a sample. */
function finish(
  sums: NumArray64,
  stepOf: (sample: number, pixel: number) => number,
  steps: readonly number[],
  b: NumArray | null,
  options: Int8Options,
) {
  const [, outC, oh, ow] = sums.shape;
  for (let i = 0; i < sums.data.length; i++) {
    const channel = Math.floor(i / (oh * ow)), o = channel % outC;
    const scale = f(stepOf(Math.floor(channel / outC), i % (oh * ow)) * steps[o]);
    let v = f(f(f(sums.data[i]) * scale) + (b ? b.data[o] : 0));
    if (options.residual) v = f(v + options.residual.data[i]);
    sums.data[i] = options.relu && v < 0 ? 0 : v;
  }
  return sums;
}
