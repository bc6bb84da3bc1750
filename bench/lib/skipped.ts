/**
 * The programs that a run skips.
 *
 * @module
 */

/** The programs that were skipped, and why. Equal entries are kept once. */
export class SkippedPrograms {
  readonly entries: { readonly name: string; readonly reason: string }[] = [];

  add(name: string, reason: unknown): void {
    const line = firstLine(reason);
    if (this.entries.some((entry) => entry.name === name && entry.reason === line)) return;
    this.entries.push({ name, reason: line });
  }
}

/** The first line of an error's message. */
export function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split("\n")[0];
}
