/**
 * How a text carries a binary: as base64. Bundles do it another way, which compresses better
 * (tools/dist.ts).
 */

/** The binary; decoded by the engine where it can: Node 20 cannot. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const { fromBase64 } = Uint8Array as { fromBase64?(text: string): Uint8Array<ArrayBuffer> };
  return fromBase64 ? fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
