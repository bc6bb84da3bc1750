import { type NumArray, type NumArray64, zeros } from "./array.ts";

/** Where the rows and channels of [n, groups, channels, plane] are. */
export interface Rows {
  readonly groups: number;
  /** Channels of a group. */
  readonly channels: number;
  readonly plane: number;
}

export interface RowStatistics {
  readonly mean: NumArray64;
  readonly variance: NumArray64;
}

const rowOf = (at: number, { channels, plane }: Rows) => Math.floor(at / (channels * plane));
const channelOf = (at: number, { groups, channels, plane }: Rows) =>
  Math.floor(at / plane) % (groups * channels);

/** The mean and the biased variance of each row. */
export function rowStatistics(x: NumArray, rows: Rows): RowStatistics {
  const size = rows.channels * rows.plane, shape = [x.data.length / size];
  const mean = zeros(shape), variance = zeros(shape);
  for (let at = 0; at < x.data.length; at++) mean.data[rowOf(at, rows)] += x.data[at] / size;
  for (let at = 0; at < x.data.length; at++) {
    const r = rowOf(at, rows);
    variance.data[r] += (x.data[at] - mean.data[r]) ** 2 / size;
  }
  return { mean, variance };
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias, statistics of the row, the rest of the
 * channel.
 */
export function rowNorm(
  x: NumArray,
  weight: NumArray | null,
  bias: NumArray | null,
  rows: Rows,
  eps: number,
): NumArray64 {
  const { mean, variance } = rowStatistics(x, rows), y = zeros(x.shape);
  for (let at = 0; at < y.data.length; at++) {
    const r = rowOf(at, rows), c = channelOf(at, rows);
    const normal = (x.data[at] - mean.data[r]) / Math.sqrt(variance.data[r] + eps);
    y.data[at] = normal * (weight?.data[c] ?? 1) + (bias?.data[c] ?? 0);
  }
  return y;
}

/**
 * With x̂ = (x − mean) / √(variance + eps) and g = dy · weight: dbias = Σ dy, dweight = Σ dy·x̂,
 * and dx = (g − mean of g − x̂ · mean of g·x̂) / √(variance + eps), means over the row.
 */
export function rowNormBackward(
  dy: NumArray,
  x: NumArray,
  weight: NumArray | null,
  rows: Rows,
  eps: number,
): Record<"dx" | "dweight" | "dbias", NumArray64> {
  const { mean, variance } = rowStatistics(x, rows), size = rows.channels * rows.plane;
  const deviation = variance.data.map((v) => Math.sqrt(v + eps));
  const channels = [rows.groups * rows.channels];
  const dx = zeros(x.shape), dweight = zeros(channels), dbias = zeros(channels);
  const g = dx.data.map((_, at) => dy.data[at] * (weight?.data[channelOf(at, rows)] ?? 1));
  const normal = dx.data.map((_, at) => {
    const r = rowOf(at, rows);
    return (x.data[at] - mean.data[r]) / deviation[r];
  });
  const sums = zeros(mean.shape), dots = zeros(mean.shape);
  for (let at = 0; at < g.length; at++) {
    const r = rowOf(at, rows), c = channelOf(at, rows);
    sums.data[r] += g[at] / size;
    dots.data[r] += g[at] * normal[at] / size;
    dbias.data[c] += dy.data[at];
    dweight.data[c] += dy.data[at] * normal[at];
  }
  for (let at = 0; at < g.length; at++) {
    const r = rowOf(at, rows);
    dx.data[at] = (g[at] - sums.data[r] - normal[at] * dots.data[r]) / deviation[r];
  }
  return { dx, dweight, dbias };
}
