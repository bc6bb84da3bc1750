/**
 * Frees the memory of typed arrays early.
 *
 * @module
 */

/** Buffers of which only one view is in use. */
const owned = new WeakSet<ArrayBufferLike>();

/** Lets `release()` free the whole buffer of a view of its part. The buffer must have no other view. */
export function markOwned({ buffer }: ArrayBufferView): void {
  owned.add(buffer);
}

/**
 * Frees an array's memory at once, if the engine supports it. The array is empty afterwards.
 *
 * An edge isolate has 128 MB. Unused images would fill half of it before they are garbage collected.
 */
export function release({ buffer, byteLength }: ArrayBufferView): void {
  // Skip views of a part of a buffer, which others may use, and arrays that were freed before.
  const whole = byteLength > 0 && (byteLength === buffer.byteLength || owned.has(buffer));
  if (whole && buffer instanceof ArrayBuffer) buffer.transfer?.(0);
}
