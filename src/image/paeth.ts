/**
 * The predictor of PNG's fifth filter, which reading and writing share.
 *
 * @module
 */

/**
 * Whichever of left, above and above left is nearest to left + above − above left (Paeth 1991; W3C
 * PNG 3, section 9.4). Of equally near ones, the first.
 */
export function paeth(left: number, above: number, aboveLeft: number): number {
  const toLeft = Math.abs(above - aboveLeft);
  const toAbove = Math.abs(left - aboveLeft);
  const toAboveLeft = Math.abs(left + above - 2 * aboveLeft);
  if (toLeft <= toAbove && toLeft <= toAboveLeft) return left;
  return toAbove <= toAboveLeft ? above : aboveLeft;
}
