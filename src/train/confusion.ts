/**
 * Measures of a classifier: confusion, and the uncertainty of an accuracy.
 *
 * @module
 */

/** What a classifier made of a labelled sample. */
export interface Judgement {
  /** The index of the sample's class. */
  readonly label: number;
  /** The index of the most probable class. */
  readonly predicted: number;
}

/**
 * The 95 % confidence interval of a share, such as an accuracy (Wilson 1927). It also holds for few
 * samples, and for shares near 0 and 1.
 *
 * @param count Number of samples that count, at most `total`.
 * @param total Number of samples, at least 1.
 */
export function wilsonInterval(count: number, total: number): readonly [low: number, high: number] {
  const z = 1.959963984540054, share = count / total, z2 = z * z / total;
  const center = (share + z2 / 2) / (1 + z2);
  const half = z / (1 + z2) * Math.sqrt(share * (1 - share) / total + z2 / (4 * total));
  return [count === 0 ? 0 : center - half, count === total ? 1 : center + half];
}

/** Returns how many samples of each class (rows) were taken for each class (columns). */
export function confusionMatrix(judgements: Iterable<Judgement>, classes: number): number[][] {
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (const { label, predicted } of judgements) matrix[label][predicted]++;
  return matrix;
}
