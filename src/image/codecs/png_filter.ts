/**
 * PNG's row filters (W3C PNG 3, section 9): each byte is stored as its difference from a prediction by
 * its neighbours.
 *
 * @module
 */

import { paeth } from "../paeth.ts";

/**
 * Undoes the filters in place. It makes no object for a row: an image may have millions of them.
 *
 * @param rows The row above the first, whose filter is undone, then the rows. Each has the number of
 * its filter before its bytes.
 * @param stride The bytes of a row, with the number of its filter.
 * @param step Distance in bytes to the left neighbour: the size of a pixel, at least 1.
 * @returns False if a row uses an unknown filter.
 */
export function unfilter(rows: Uint8Array<ArrayBuffer>, stride: number, step: number): boolean {
  for (let at = stride; at < rows.length; at += stride) {
    const start = at + 1, end = at + stride, first = Math.min(start + step, end);
    switch (rows[at]) {
      case 0:
        break;
      case 1: // left
        for (let i = first; i < end; i++) rows[i] += rows[i - step];
        break;
      case 2: // above
        for (let i = start; i < end; i++) rows[i] += rows[i - stride];
        break;
      case 3: // mean of left and above
        for (let i = start; i < first; i++) rows[i] += rows[i - stride] >> 1;
        for (let i = first; i < end; i++) rows[i] += rows[i - step] + rows[i - stride] >> 1;
        break;
      case 4: // Paeth
        for (let i = start; i < first; i++) rows[i] += rows[i - stride];
        for (let i = first; i < end; i++) {
          rows[i] += paeth(rows[i - step], rows[i - stride], rows[i - stride - step]);
        }
        break;
      default:
        return false;
    }
  }
  return true;
}
