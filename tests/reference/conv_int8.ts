import { type NumArray, zeros } from "./array.ts";
import { type Conv2d, conv2d } from "./conv.ts";

const f = Math.fround;

/** Rounds to the nearest integer, ties to even. */
function nearestEven(v: number): number {
  return v - (v % 2) +
    (Math.abs(v % 2) <= 0.5 ? 0 : Math.sign(v) * (Math.abs(v % 2) < 1.5 ? 1 : 2));
}

/** Rows of weights as integers of ±127, and the step of each: 16 significant bits. */
export function roundWeights({ shape, data }: NumArray) {
  const size = data.length / shape[0], integers = zeros(shape), steps: number[] = [];
  for (let o = 0; o < shape[0]; o++) {
    const row = Array.from({ length: size }, (_, i) => data[o * size + i]);
    if (!row.every(Number.isFinite)) {
      steps.push(NaN);
      continue;
    }
    const top = row.reduce((top, v) => Math.max(top, Math.abs(v)), 2 ** -100);
    const bits = new Uint32Array(Float32Array.of(f(top) / 127).buffer);
    bits[0] = (bits[0] + 0x80) & ~0xff;
    const [step] = new Float32Array(bits.buffer);
    steps.push(step);
    row.forEach((v, i) => integers.data[o * size + i] = nearestEven(f(v / step)));
  }
  return { integers, steps };
}

/** Samples as integers around 0, of 7 bits or another number of levels, and the step of each. */
export function roundInputs(
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
 * The convolution in 8 bits: exact sums of integers, scaled in float32. Images have 14 bits: inputs of
 * at most four channels, with at most 1024 weights for an output.
 */
export function conv2dInt8(
  x: NumArray,
  w: NumArray,
  b: NumArray | null,
  options: Int8Options = {},
) {
  const isImage = x.shape[1] <= 4 && w.data.length / w.shape[0] <= 1024;
  const inputs = roundInputs(x, options.range, isImage ? 16383 : 127), weights = roundWeights(w);
  const sums = conv2d(inputs.integers, weights.integers, null, options);
  const [, outC, oh, ow] = sums.shape;
  for (let i = 0; i < sums.data.length; i++) {
    const channel = Math.floor(i / (oh * ow)), o = channel % outC;
    const scale = f(inputs.steps[Math.floor(channel / outC)] * weights.steps[o]);
    let v = f(f(f(sums.data[i]) * scale) + (b ? b.data[o] : 0));
    if (options.residual) v = f(v + options.residual.data[i]);
    sums.data[i] = options.relu && v < 0 ? 0 : v;
  }
  return sums;
}
