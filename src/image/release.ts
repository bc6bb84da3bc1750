/**
 * Giving memory back.
 *
 * @module
 */

/**
 * Gives the memory behind an array back at once, where the engine can: an edge isolate has 128 MB, of
 * which pictures that nobody needs any more would fill 64 before they are collected. The array is
 * empty afterwards.
 */
export function release({ buffer, byteLength }: ArrayBufferView): void {
  // a part of a buffer is not alone there, and what is empty may have been given away before
  const whole = byteLength > 0 && byteLength === buffer.byteLength;
  if (whole && buffer instanceof ArrayBuffer) buffer.transfer?.(0);
}
