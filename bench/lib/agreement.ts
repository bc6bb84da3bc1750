/**
 * The largest difference of two lists of numbers, as a part of the largest reference value: how far
 * a peer is from computing the same. Infinity where they cannot be compared.
 */
export function relativeError(values: Float32Array, reference: Float32Array): number {
  if (values.length !== reference.length) return Infinity;
  let difference = 0, largest = 0;
  for (let i = 0; i < reference.length; i++) {
    const d = Math.abs(values[i] - reference[i]);
    // NaN compares false with everything and must not pass for agreement.
    if (!Number.isFinite(d)) return Infinity;
    difference = Math.max(difference, d);
    largest = Math.max(largest, Math.abs(reference[i]));
  }
  return largest > 0 ? difference / largest : Infinity;
}
