import {
  type NumArray,
  type NumArray64,
  type Pair,
  plane,
  row,
  type Sides,
  zeros,
} from "./array.ts";

export interface Pool2d {
  readonly kernel: Pair;
  readonly stride?: Pair;
  readonly padding?: Sides;
  readonly dilation?: Pair;
  readonly ceilMode?: boolean;
}

export interface Pool1d {
  readonly kernel: readonly [number];
  readonly stride?: readonly [number];
  readonly padding?: Pair;
  readonly dilation?: readonly [number];
  readonly ceilMode?: boolean;
}

export interface Average {
  readonly countIncludePad?: boolean;
  readonly divisor?: number;
}

/** Maxima and their positions, iy·W + ix. */
export interface Maxima {
  readonly y: NumArray64;
  readonly indices: NumArray64;
}

/**
 * ⌊(L + P − D·(K − 1) − 1) / S⌋ + 1. With ⌈ ⌉, a last window that starts after the input is
 * dropped.
 */
export function pooledSize(
  size: number,
  [before, after]: Pair,
  kernel: number,
  stride: number,
  dilation: number,
  ceilMode: boolean,
): number {
  const steps = (size + before + after - dilation * (kernel - 1) - 1) / stride;
  const out = (ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
  return ceilMode && (out - 1) * stride >= size + before ? out - 1 : out;
}

/**
 * y[n, c, i, j] = max x[n, c, i·S + k·D − P, …] over the taps inside the input. NaN wins over all
 * numbers. Of equal values, the first one row by row wins.
 */
export function maxPool2d(x: NumArray, o: Pool2d): Maxima {
  const g = geometry(x, o);
  const y = zeros([g.n, g.c, g.oh, g.ow]), indices = zeros(y.shape);
  forEachWindow(g, (at, firstOfPlane, taps) => {
    let best = -Infinity, position = -1;
    for (const tap of taps) {
      const v = x.data[firstOfPlane + tap];
      if (position < 0 || v > best || Number.isNaN(v)) [best, position] = [v, tap];
    }
    y.data[at] = best;
    indices.data[at] = position;
  });
  return { y, indices };
}

/** {@linkcode maxPool2d} along one axis. */
export function maxPool1d(x: NumArray, o: Pool1d): Maxima {
  const { y, indices } = maxPool2d(plane(x), to2dOptions(o));
  return { y: row(y), indices: row(indices) };
}

/** Adds each dy to dx at the position of its maximum in the plane. */
export function maxPoolBackward(
  dy: NumArray,
  indices: NumArray,
  inputShape: readonly number[],
): NumArray64 {
  const dx = zeros(inputShape), planes = dy.shape[0] * dy.shape[1];
  for (let at = 0; at < dy.data.length; at++) {
    const p = Math.floor(at / (dy.data.length / planes));
    dx.data[p * (dx.data.length / planes) + indices.data[at]] += dy.data[at];
  }
  return dx;
}

/**
 * y = Σ of the taps inside the input / divisor. The default divisor is the number of taps inside
 * the padded input, or without countIncludePad inside the input.
 */
export function avgPool2d(x: NumArray, o: Pool2d & Average): NumArray64 {
  const { countIncludePad = true, divisor } = o;
  const g = geometry(x, o);
  const y = zeros([g.n, g.c, g.oh, g.ow]);
  forEachWindow(g, (at, firstOfPlane, taps, tapsInPadded) => {
    let sum = 0;
    for (const tap of taps) sum += x.data[firstOfPlane + tap];
    y.data[at] = sum / (divisor ?? (countIncludePad ? tapsInPadded : taps.length));
  });
  return y;
}

/** {@linkcode avgPool2d} along one axis. */
export function avgPool1d(x: NumArray, o: Pool1d & Average): NumArray64 {
  return row(avgPool2d(plane(x), { ...o, ...to2dOptions(o) }));
}

/** Adds each dy, divided by its divisor, to dx at every tap inside the input. */
export function avgPool2dBackward(
  dy: NumArray,
  inputShape: readonly number[],
  o: Pool2d & Average,
): NumArray64 {
  const { countIncludePad = true, divisor } = o;
  const dx = zeros(inputShape);
  forEachWindow(geometry(dx, o), (at, firstOfPlane, taps, tapsInPadded) => {
    const area = divisor ?? (countIncludePad ? tapsInPadded : taps.length);
    for (const tap of taps) dx.data[firstOfPlane + tap] += dy.data[at] / area;
  });
  return dx;
}

/** {@linkcode avgPool2dBackward} along one axis. */
export function avgPool1dBackward(
  dy: NumArray,
  [n, c, l]: readonly number[],
  o: Pool1d & Average,
): NumArray64 {
  return row(avgPool2dBackward(plane(dy), [n, c, 1, l], { ...o, ...to2dOptions(o) }));
}

/** y[i, j] = the mean of the rows ⌊i·h/oh⌋ … ⌈(i+1)·h/oh⌉ − 1 and the same range of columns. */
export function adaptiveAvgPool2d(x: NumArray, [oh, ow]: Pair): NumArray64 {
  const [n, c] = x.shape;
  const y = zeros([n, c, oh, ow]);
  forEachAdaptiveWindow(x.shape, [oh, ow], (at, taps) => {
    for (const tap of taps) y.data[at] += x.data[tap] / taps.length;
  });
  return y;
}

/** The maxima of the windows of {@linkcode adaptiveAvgPool2d}; NaN and ties as in maxPool2d. */
export function adaptiveMaxPool2d(x: NumArray, [oh, ow]: Pair): Maxima {
  const [n, c, h, w] = x.shape;
  const y = zeros([n, c, oh, ow]), indices = zeros(y.shape);
  forEachAdaptiveWindow(x.shape, [oh, ow], (at, taps) => {
    let best = -Infinity, position = -1;
    for (const tap of taps) {
      const v = x.data[tap];
      if (position < 0 || v > best || Number.isNaN(v)) [best, position] = [v, tap];
    }
    y.data[at] = best;
    indices.data[at] = position % (h * w);
  });
  return { y, indices };
}

/** {@linkcode adaptiveAvgPool2d} along one axis. */
export function adaptiveAvgPool1d(x: NumArray, out: number): NumArray64 {
  return row(adaptiveAvgPool2d(plane(x), [1, out]));
}

/** Adds each dy, divided by the area of its window, to dx at every position of the window. */
export function adaptiveAvgPool2dBackward(
  dy: NumArray,
  inputShape: readonly number[],
): NumArray64 {
  const dx = zeros(inputShape), [, , oh, ow] = dy.shape;
  forEachAdaptiveWindow(inputShape, [oh, ow], (at, taps) => {
    for (const tap of taps) dx.data[tap] += dy.data[at] / taps.length;
  });
  return dx;
}

/** {@linkcode adaptiveAvgPool2dBackward} along one axis. */
export function adaptiveAvgPool1dBackward(
  dy: NumArray,
  [n, c, l]: readonly number[],
): NumArray64 {
  return row(adaptiveAvgPool2dBackward(plane(dy), [n, c, 1, l]));
}

/** Calls `visit` for every output, with the positions of its window in x. */
function forEachAdaptiveWindow(
  [n, c, h, w]: readonly number[],
  [oh, ow]: Pair,
  visit: (at: number, taps: number[]) => void,
): void {
  let at = 0;
  for (let p = 0; p < n * c; p++) {
    for (let i = 0; i < oh; i++) {
      for (let j = 0; j < ow; j++, at++) {
        const taps: number[] = [];
        for (let iy = Math.floor(i * h / oh); iy < Math.ceil((i + 1) * h / oh); iy++) {
          for (let ix = Math.floor(j * w / ow); ix < Math.ceil((j + 1) * w / ow); ix++) {
            taps.push((p * h + iy) * w + ix);
          }
        }
        visit(at, taps);
      }
    }
  }
}

type Geometry = ReturnType<typeof geometry>;

function geometry(x: NumArray, o: Pool2d) {
  const { kernel: [kh, kw], stride: [sh, sw] = o.kernel, dilation: [dh, dw] = [1, 1] } = o;
  const [top, left, bottom, right] = o.padding ?? [0, 0, 0, 0];
  const [n, c, h, w] = x.shape;
  const oh = pooledSize(h, [top, bottom], kh, sh, dh, o.ceilMode ?? false);
  const ow = pooledSize(w, [left, right], kw, sw, dw, o.ceilMode ?? false);
  return { n, c, h, w, oh, ow, kh, kw, sh, sw, dh, dw, top, left, bottom, right };
}

/** Calls `visit` for every output, with its taps inside the plane and their number with padding. */
function forEachWindow(
  g: Geometry,
  visit: (at: number, firstOfPlane: number, taps: number[], tapsInPadded: number) => void,
): void {
  let at = 0;
  for (let p = 0; p < g.n * g.c; p++) {
    for (let i = 0; i < g.oh; i++) {
      for (let j = 0; j < g.ow; j++, at++) {
        const taps: number[] = [];
        let padded = 0;
        for (let k = 0; k < g.kh; k++) {
          for (let l = 0; l < g.kw; l++) {
            const iy = i * g.sh + k * g.dh - g.top, ix = j * g.sw + l * g.dw - g.left;
            if (iy < g.h + g.bottom && ix < g.w + g.right) padded++;
            if (iy >= 0 && iy < g.h && ix >= 0 && ix < g.w) taps.push(iy * g.w + ix);
          }
        }
        visit(at, p * g.h * g.w, taps, padded);
      }
    }
  }
}

/** Converts 1-D options to 2-D options of height 1. */
function to2dOptions(
  { kernel, stride = kernel, padding = [0, 0], dilation = [1], ceilMode }: Pool1d,
) {
  return {
    kernel: [1, ...kernel],
    stride: [1, ...stride],
    padding: [0, padding[0], 0, padding[1]],
    dilation: [1, ...dilation],
    ceilMode,
  } as const;
}
