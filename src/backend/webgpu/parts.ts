/** Parts of tensors: a dispatch sees at most so many bytes of a buffer, from a round address on. */

/** Bindings begin at multiples of this. */
const ROUND = 256;

/** Neighbouring things. */
export interface Part {
  readonly start: number;
  readonly count: number;
}

/**
 * `count` things, of which each operand has `bytes` bytes each, in parts that fit a binding of
 * `limit` bytes in every operand; undefined if there is no such part.
 */
export function partsOf(
  count: number,
  bytes: readonly number[],
  limit: number,
): Part[] | undefined {
  const largest = Math.max(...bytes);
  if (count * largest <= limit) return [{ start: 0, count }];
  // things until all operands are at a round address again
  const step = bytes.reduce((step, b) => leastCommonMultiple(step, ROUND / divisor(b, ROUND)), 1);
  const most = Math.floor(limit / largest / step) * step;
  if (most === 0) return undefined;
  return Array.from({ length: Math.ceil(count / most) }, (_, i) => {
    const start = i * most;
    return { start, count: Math.min(most, count - start) };
  });
}

function leastCommonMultiple(a: number, b: number): number {
  return a / divisor(a, b) * b;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
