/** Tables as text. */

/** A table that fits into the terminal, if it can be made to. */
interface FittedTable {
  /** The first one is the head. */
  readonly lines: readonly string[];
  /** The headings of the columns that are left out. */
  readonly leftOut: readonly string[];
}

/** Which columns align right, and which may be left out. */
interface TableOptions {
  /** The indices of the columns with numbers. */
  readonly numbers: readonly number[];
  /** The indices of the columns that may be left out, the least important first. */
  readonly optional?: readonly number[];
  /** The width of the terminal. */
  readonly columns?: number;
}

/**
 * Formats rows as lines with aligned columns; numbers align right. Columns are left out until the
 * lines fit into the terminal.
 *
 * @param rows The first one is the head.
 */
export function tableOf(
  rows: readonly (readonly string[])[],
  { numbers, optional = [], columns = Infinity }: TableOptions,
): FittedTable {
  const [head] = rows;
  for (let count = 0;; count++) {
    const leftOut = optional.slice(0, count);
    const shown = [...head.keys()].filter((column) => !leftOut.includes(column));
    const lines = aligned(rows, shown, numbers);
    if (count === optional.length || lines.every(({ length }) => length <= columns)) {
      return { lines, leftOut: leftOut.map((column) => head[column]) };
    }
  }
}

/** The cells of some columns, aligned. */
function aligned(
  rows: readonly (readonly string[])[],
  shown: readonly number[],
  numbers: readonly number[],
): string[] {
  const widths = shown.map((column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    shown.map((column, i) =>
      numbers.includes(column) ? row[column].padStart(widths[i]) : row[column].padEnd(widths[i])
    ).join("  ").trimEnd()
  );
}
