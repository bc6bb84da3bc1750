/**
 * Untrusted text and shapes, made safe for error messages: short and on one line.
 *
 * @module
 */

/** Escapes invisible and control characters of text from a file, and cuts it to 100 characters. */
export function escapeText(text: string): string {
  const short = text.length > 100 ? `${text.slice(0, 99)}…` : text;
  return short.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`,
  );
}

/** Formats a shape, such as `[64, 3, 11, 11]`, or `[N, 3, 224, 224]`. */
export function formatShape(shape: readonly (number | string)[]): string {
  return `[${shape.slice(0, 9).join(", ")}${shape.length > 9 ? ", …" : ""}]`;
}
