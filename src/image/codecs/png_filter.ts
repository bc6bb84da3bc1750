/** PNG's row filters: each byte is stored as its difference from a prediction by its neighbours. */

/**
 * Undoes the filters in place.
 *
 * @param rows For each row the filter's number, then its bytes.
 * @param above The row above the first, whose filter is undone.
 * @param step Distance in bytes to the left neighbour: the size of a pixel, at least 1.
 * @returns False if a row uses an unknown filter.
 */
export function unfilter(rows: Uint8Array, above: Uint8Array, step: number): boolean {
  const { length } = above;
  for (let at = 0; at < rows.length; at += 1 + length) {
    const row = rows.subarray(at + 1, at + 1 + length) as Uint8Array<ArrayBuffer>;
    switch (rows[at]) {
      case 0:
        break;
      case 1: // left
        for (let i = step; i < length; i++) row[i] += row[i - step];
        break;
      case 2: // above
        for (let i = 0; i < length; i++) row[i] += above[i];
        break;
      case 3: // mean of left and above
        for (let i = 0; i < step && i < length; i++) row[i] += above[i] >> 1;
        for (let i = step; i < length; i++) row[i] += row[i - step] + above[i] >> 1;
        break;
      case 4: // Paeth
        for (let i = 0; i < step && i < length; i++) row[i] += above[i];
        for (let i = step; i < length; i++) {
          row[i] += paeth(row[i - step], above[i], above[i - step]);
        }
        break;
      default:
        return false;
    }
    above = row;
  }
  return true;
}

/** Whichever of left, above and above left is nearest to left + above − above left. */
function paeth(left: number, above: number, aboveLeft: number): number {
  const toLeft = Math.abs(above - aboveLeft);
  const toAbove = Math.abs(left - aboveLeft);
  const toAboveLeft = Math.abs(left + above - 2 * aboveLeft);
  if (toLeft <= toAbove && toLeft <= toAboveLeft) return left;
  return toAbove <= toAboveLeft ? above : aboveLeft;
}
