import { type NumArray, type NumArray64, zeros } from "./array.ts";

/** An interpolation of planes. */
export interface Interpolation {
  /** Height and width of the output. */
  readonly size: readonly [number, number];
  /** The scale factors of the positions. Default: those of the sizes. */
  readonly scale?: readonly [number, number];
  readonly mode: "nearest" | "nearest-exact" | "bilinear";
  readonly alignCorners?: boolean;
}

/** Input positions and weights of an output position. */
function sources(
  i: number,
  size: number,
  out: number,
  scale: number,
  { mode, alignCorners }: Interpolation,
): [position: number, weight: number][] {
  if (mode === "nearest") return [[Math.min(Math.floor(i / scale), size - 1), 1]];
  if (mode === "nearest-exact") return [[Math.min(Math.floor((i + 0.5) / scale), size - 1), 1]];
  let position = Math.max(0, (i + 0.5) / scale - 0.5);
  if (alignCorners) position = out > 1 ? i * (size - 1) / (out - 1) : 0;
  if (size === out) position = i;
  const low = Math.min(Math.floor(position), size - 1), share = low < size - 1 ? position - low : 0;
  return [[low, 1 - share], [Math.min(low + 1, size - 1), share]];
}

/** Calls `visit` for every output and each input that it is computed from. */
function forEachSource(
  [n, c, h, w]: readonly number[],
  o: Interpolation,
  visit: (at: number, from: number, weight: number) => void,
): void {
  const [oh, ow] = o.size, [scaleH, scaleW] = o.scale ?? [oh / h, ow / w];
  let at = 0;
  for (let p = 0; p < n * c; p++) {
    for (let i = 0; i < oh; i++) {
      for (let j = 0; j < ow; j++, at++) {
        for (const [iy, rowWeight] of sources(i, h, oh, scaleH, o)) {
          for (const [ix, weight] of sources(j, w, ow, scaleW, o)) {
            if (rowWeight * weight > 0) visit(at, (p * h + iy) * w + ix, rowWeight * weight);
          }
        }
      }
    }
  }
}

/** y = the sum of the nearest values, or of the four around the position, with their weights. */
export function interpolate(x: NumArray, o: Interpolation): NumArray64 {
  const y = zeros([x.shape[0], x.shape[1], ...o.size]);
  forEachSource(x.shape, o, (at, from, weight) => y.data[at] += weight * x.data[from]);
  return y;
}

/** Adds each dy, times its weights, to the inputs that it was computed from. */
export function interpolateBackward(
  dy: NumArray,
  inputShape: readonly number[],
  o: Interpolation,
): NumArray64 {
  const dx = zeros(inputShape);
  forEachSource(inputShape, o, (at, from, weight) => dx.data[from] += weight * dy.data[at]);
  return dx;
}
