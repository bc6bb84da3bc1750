/**
 * How much the outputs of two programs differ.
 *
 * @module
 */

/**
 * The largest difference between two arrays, relative to the largest reference value. Infinity if they
 * cannot be compared.
 */
export function relativeError(values: Float32Array, reference: Float32Array): number {
  if (values.length !== reference.length) return Infinity;
  let difference = 0, largest = 0;
  for (let i = 0; i < reference.length; i++) {
    const d = Math.abs(values[i] - reference[i]);
    // NaN compares false with everything, and must not count as equal.
    if (!Number.isFinite(d)) return Infinity;
    difference = Math.max(difference, d);
    largest = Math.max(largest, Math.abs(reference[i]));
  }
  return largest > 0 ? difference / largest : Infinity;
}
