/**
 * Decodes binaries that are embedded in source text as base64. Bundles embed them in another way,
 * which compresses better (tools/builds.ts).
 */

/** Decodes base64, with the engine's decoder if it has one: Node 20 does not. */
export function decodeBinary(text: string): Uint8Array<ArrayBuffer> {
  const { fromBase64 } = Uint8Array as { fromBase64?(text: string): Uint8Array<ArrayBuffer> };
  return fromBase64 ? fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
