/**
 * A line of progress on a terminal.
 *
 * @module
 */

/** Shows a line that overwrites the previous one. Does nothing if stderr is not a terminal. */
export function progress(text: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}
