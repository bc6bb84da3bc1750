/**
 * Samples that are nearly the same, such as a series of photos.
 *
 * @module
 */

import { type FeatureRows, standardized, statisticsOf } from "./feature_rows.ts";

/**
 * The squared distance below which samples are near copies, as a share of the usual distance in their
 * class. With the two bundled networks, no two of 243 photos of ants and bees are that near. But nine of
 * ten photos are that near to a copy of themselves that was moved by 2 %.
 */
const nearShare = 0.1;

/**
 * Finds the samples of each class whose features are nearly the same, or nearly those of a mirror image. A
 * layer that learned one of them knows the others, so either all of them must be held out, or none.
 *
 * @param samples Number of samples. Rows after these are mirror images, in the same order.
 * @returns For each sample, the index of the first of its near copies: its own index, if it is the first
 * one or has none.
 */
export async function nearCopies(
  rows: FeatureRows,
  samples: number,
  pause: () => Promise<void> = async () => {},
): Promise<Int32Array> {
  const { values, count, labels } = standardized(rows, statisticsOf(rows));
  const firsts = Int32Array.from({ length: samples }, (_, i) => i);
  const areNear = (a: number, b: number, limit: number) => {
    let sum = 0, i = a * count, j = b * count;
    for (const end = i + count; i < end && sum <= limit; i++, j++) {
      const difference = values[i] - values[j];
      sum += difference * difference; // most pairs are far apart, so this ends early
    }
    return sum < limit;
  };
  for (const label of new Set(labels)) {
    const all = firsts.filter((i) => labels[i] === label), found: number[] = [];
    // equal rows have the distance 0 and the limit 0: a class is never a single group of copies
    const limit = nearShare * usualDistance(values, count, all);
    for (const i of all) {
      const first = found.find((j) =>
        areNear(i, j, limit) || labels.length > samples && areNear(i, samples + j, limit)
      );
      if (first === undefined) found.push(i);
      else firsts[i] = first;
      await pause();
    }
  }
  return firsts;
}

/**
 * The classes that are a single series: compared with another class, all of their samples are near
 * copies. So none of them can measure a layer that learned the others.
 */
export function seriesOf(rows: FeatureRows): number[] {
  const { values, count, labels } = standardized(rows, statisticsOf(rows));
  const distances = [...new Set(labels)].map((label) => {
    const own = Int32Array.from(labels.keys()).filter((i) => labels[i] === label);
    return { label, own: own.length, distance: usualDistance(values, count, own) };
  });
  const largest = Math.max(...distances.map(({ distance }) => distance));
  return distances.filter(({ own, distance }) => own > 1 && distance < nearShare * largest)
    .map(({ label }) => label);
}

/**
 * The usual squared distance of two rows: twice the median of the squared distances from their mean. A
 * median, so that outliers count little.
 */
function usualDistance(values: Float32Array, count: number, rows: Int32Array): number {
  const mean = new Float64Array(count), { length } = rows;
  for (const row of rows) {
    for (let i = 0; i < count; i++) mean[i] += values[row * count + i];
  }
  const distances = Float64Array.from(rows, (row) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += (values[row * count + i] - mean[i] / length) ** 2;
    return sum;
  });
  return 2 * distances.sort()[(length - 1) >> 1] * length / Math.max(1, length - 1);
}
