/** PNG's row filters: each byte is stored as the difference from a guess made of its neighbours. */

/**
 * Undoes the filters in place.
 *
 * @param rows Each row's filter number, then its `length` bytes.
 * @param length Bytes of a row.
 * @param step Bytes from a sample to its left neighbour: a pixel, at least 1.
 * @returns Whether every filter exists.
 */
export function unfilter(rows: Uint8Array, length: number, step: number): boolean {
  // The row above the first counts as zeros.
  let above = new Uint8Array(length);
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
      case 3: // their mean
        for (let i = 0; i < step && i < length; i++) row[i] += above[i] >> 1;
        for (let i = step; i < length; i++) row[i] += row[i - step] + above[i] >> 1;
        break;
      case 4:
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

/** Of left, above and above left: the one nearest to left + above − above left. */
function paeth(left: number, above: number, aboveLeft: number): number {
  const toLeft = Math.abs(above - aboveLeft);
  const toAbove = Math.abs(left - aboveLeft);
  const toAboveLeft = Math.abs(left + above - 2 * aboveLeft);
  if (toLeft <= toAbove && toLeft <= toAboveLeft) return left;
  return toAbove <= toAboveLeft ? above : aboveLeft;
}
