/** Colours for terminals, without a package: the command also starts where none can be downloaded. */

/** Makes text bold. */
export function bold(text: string): string {
  return styled(1, text, 22);
}

/** Makes text faint. */
export function dim(text: string): string {
  return styled(2, text, 22);
}

/** Makes text red. */
export function red(text: string): string {
  return styled(31, text, 39);
}

/** Makes text yellow. */
export function yellow(text: string): string {
  return styled(33, text, 39);
}

/** Makes text cyan. */
export function cyan(text: string): string {
  return styled(36, text, 39);
}

/** Text without the styles of these functions. */
export function withoutStyles(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/\x1b\[\d+m/g, "");
}

/** Text between the codes that begin and end a style. */
function styled(begin: number, text: string, end: number): string {
  return `\x1b[${begin}m${text}\x1b[${end}m`;
}
