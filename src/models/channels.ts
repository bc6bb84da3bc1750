/**
 * Rounding numbers of channels.
 *
 * @module
 */

/** Rounds to a multiple of 8, but not down by more than 10 %, torchvision's `_make_divisible`. */
export function makeDivisible(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}
