/**
 * Rows of features, on which last layers are trained: their statistics, and parts of them.
 *
 * @module
 */

/** Labelled rows of features. */
export interface FeatureRows {
  /** [N, count] */
  readonly values: Float32Array;
  /** Features in a row. */
  readonly count: number;
  /** The class of each row. */
  readonly labels: Int32Array;
}

/** Returns the rows with these indices. */
export function takeRows(
  { values, count, labels }: FeatureRows,
  indices: readonly number[],
): FeatureRows {
  const taken = new Float32Array(indices.length * count);
  for (const [i, index] of indices.entries()) {
    taken.set(values.subarray(index * count, (index + 1) * count), i * count);
  }
  return { values: taken, count, labels: Int32Array.from(indices, (index) => labels[index]) };
}

/** The mean and the deviation of each feature. */
export interface FeatureStatistics {
  readonly mean: Float64Array;
  /** At least {@linkcode leastShare} of the mean deviation. 1 for a constant feature. */
  readonly std: Float64Array;
}

/**
 * The least deviation of a feature, as a share of the mean deviation of all features. Weights are
 * divided by deviations. Without a limit, the weight of a nearly constant feature would exceed float16,
 * and be so much larger than the others that 8 bits could not hold both.
 */
const leastShare = 0.1;

/** Computes the mean and the deviation of each feature. */
export function statisticsOf({ values, count }: FeatureRows): FeatureStatistics {
  const mean = new Float64Array(count), std = new Float64Array(count), rows = values.length / count;
  for (let start = 0; start < values.length; start += count) {
    for (let i = 0; i < count; i++) mean[i] += values[start + i];
  }
  for (let i = 0; i < count; i++) mean[i] /= rows;
  for (let start = 0; start < values.length; start += count) {
    for (let i = 0; i < count; i++) std[i] += (values[start + i] - mean[i]) ** 2;
  }
  for (let i = 0; i < count; i++) std[i] = Math.sqrt(std[i] / rows);
  const least = leastShare * std.reduce((a, b) => a + b) / count;
  for (let i = 0; i < count; i++) {
    std[i] = std[i] > 1e-6 * Math.abs(mean[i]) ? Math.max(std[i], least) : 1;
  }
  return { mean, std };
}

/** Subtracts the means and divides by the deviations. */
export function standardized(
  { values, count, labels }: FeatureRows,
  { mean, std }: FeatureStatistics,
): FeatureRows {
  const result = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += count) {
    for (let i = 0; i < count; i++) result[start + i] = (values[start + i] - mean[i]) / std[i];
  }
  return { values: result, count, labels };
}
