/** One line that overwrites itself; nothing where stderr is a file or a pipe. */
export function progress(text: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}
