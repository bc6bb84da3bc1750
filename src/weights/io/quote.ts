/**
 * Untrusted text and numbers as error messages show them: on one line, and short.
 *
 * @module
 */

/** A name out of a file: what a terminal would obey or hide is escaped, and it is cut to 100 characters. */
export function shown(name: string): string {
  const cut = name.length > 100 ? `${name.slice(0, 99)}…` : name;
  return cut.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`,
  );
}

/** A shape, as `[64, 3, 11, 11]`. */
export function shownShape(shape: readonly number[]): string {
  return `[${shape.slice(0, 9).join(", ")}${shape.length > 9 ? ", …" : ""}]`;
}
