/**
 * Decodes the many short names in a file.
 *
 * @module
 */

/** ASCII of up to so many bytes is decoded without a TextDecoder, which is faster. */
const maxShortText = 64;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Decodes text, by default as UTF-8.
 *
 * @param decoder Decodes what is not short ASCII.
 * @throws {TypeError} When the text is not UTF-8.
 */
export function decodeText(bytes: Uint8Array, decoder = utf8): string {
  const isShort = bytes.length <= maxShortText && bytes.every((byte) => byte < 0x80);
  return isShort ? String.fromCharCode(...bytes) : decoder.decode(bytes);
}
