/**
 * Tables of text with aligned columns.
 *
 * @module
 */

/** A column of a table. The heading may have several lines. */
export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
}

/** The cells of a row, or a line of text such as a section's heading. */
export type Row = readonly string[] | string;

/** Formats a table with aligned columns, two spaces apart. */
export function table(columns: readonly Column[], rows: readonly Row[]): string {
  const titles = columns.map(({ title }) => title.split("\n"));
  const height = Math.max(...titles.map(({ length }) => length));
  const head = Array.from(
    { length: height },
    (_, line) => titles.map((lines) => lines[line - height + lines.length] ?? ""),
  );
  const cells = [...head, ...rows];
  const widths = columns.map((_, i) =>
    Math.max(...cells.map((row) => typeof row === "string" ? 0 : row[i].length))
  );
  const pad = (cell: string, i: number) =>
    columns[i].align === "left" ? cell.padEnd(widths[i]) : cell.padStart(widths[i]);
  return cells.map((row) => typeof row === "string" ? row : row.map(pad).join("  ").trimEnd())
    .join("\n");
}
