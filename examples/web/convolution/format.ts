/** Numbers as text. */

/** A number with a true minus sign and so many digits after the point, but no negative zero. */
export function fixed(value: number, digits: number): string {
  const size = Math.abs(value); // large where training diverges
  const text = size < 1e5 ? size.toFixed(digits) : size.toExponential(1).replace("e+", "e");
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** The number of digits after the point that show all values exactly, at most 2. */
export function digitsOf(values: readonly number[]): number {
  const exact = (digits: number) =>
    values.every((v) => Math.abs(Math.round(v * 10 ** digits) / 10 ** digits - v) < 1e-5);
  return exact(0) ? 0 : exact(1) ? 1 : 2;
}

/** A number with as few digits as it needs, at most 3. */
export function short(value: number): string {
  return fixed(value, value === Math.round(value) ? 0 : 3).replace(/(\.\d*?)0+$/, "$1")
    .replace(/\.$/, "");
}

/** The colour of a number, for CSS. */
export function signOf(value: number): "positive" | "negative" | "zero" {
  return value > 0 ? "positive" : value < 0 ? "negative" : "zero";
}
