/** Who did not take part in what, and why: each reason once. */
export class LeftOut {
  readonly entries: { readonly name: string; readonly reason: string }[] = [];

  add(name: string, reason: unknown): void {
    const line = firstLine(reason);
    if (this.entries.some((entry) => entry.name === name && entry.reason === line)) return;
    this.entries.push({ name, reason: line });
  }
}

/** The first line of what an error says. */
export function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split("\n")[0];
}
