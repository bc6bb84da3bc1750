/** A column of a table: its heading, and to which side its cells go. */
export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
}

/** Lines of equal columns, two spaces between them, headings first. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  const pad = (cell: string, i: number) =>
    columns[i].align === "left" ? cell.padEnd(widths[i]) : cell.padStart(widths[i]);
  return cells.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}
