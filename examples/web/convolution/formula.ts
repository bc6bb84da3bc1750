/** Formulas of single elements, as MathML with the numbers in it. */

import { short } from "./format.ts";

/** A term of a sum: a product, or one factor. */
export interface Term {
  /** Names and values of the factors. */
  readonly factors: readonly (readonly [name: string, index: number, value: number])[];
  /** The tokens that light it up (link.ts). */
  readonly litBy: string;
}

/** An indexed letter, or "d" and a letter. */
function symbol(name: string, index: number): string {
  const base = [...name].map((letter) => `<mi>${letter}</mi>`).join("");
  return `<msub><mrow>${base}</mrow>${number(index)}</msub>`;
}

/** A number; a minus sign is an operator. */
function number(value: number, parentheses = false): string {
  const text = short(value);
  if (!text.startsWith("−")) return `<mn>${text}</mn>`;
  const negative = `<mrow><mo>−</mo><mn>${text.slice(1)}</mn></mrow>`;
  return parentheses ? `<mrow><mo>(</mo>${negative}<mo>)</mo></mrow>` : negative;
}

/** Pieces between which a line may break. */
function pieces(all: readonly string[], litBy: readonly string[] = []): string {
  return all.map((piece, i) => {
    const on = litBy[i] ? ` data-on="${litBy[i]}"` : "";
    return `<math${on}><mrow>${piece}</mrow></math>`;
  }).join(" ");
}

/** An operator between two operands, even at the start of a line. */
const operator = (text: string, space: number) =>
  `<mo form="infix" lspace="${space}em" rspace="${space}em">${text}</mo>`;
const equals = operator("=", 0.28), plus = operator("+", 0.22), times = operator("·", 0.15);

/** The sum of an element: its terms as symbols, then as numbers, then the result. */
export function sum(name: string, index: number, terms: readonly Term[], result: number): string {
  const left = symbol(name, index) + equals;
  if (terms.length === 0) return pieces([left + number(result)]);
  const write = (factor: (name: string, index: number, value: number) => string) =>
    terms.map(({ factors }, i) =>
      (i > 0 ? plus : "") + factors.map((each) => factor(...each)).join(times)
    );
  const litBy = ["", ...terms.map((term) => term.litBy)];
  const isValue = terms.length === 1 && terms[0].factors.length === 1; // and so the result
  const numbers = isValue ? [] : [equals, ...write((_, __, value) => number(value, true))];
  return `<p>${pieces([left, ...write(symbol)], litBy)}</p>
    <p>${pieces(numbers, litBy)} ${pieces([equals + number(result)])}</p>`;
}

/** The maximum of a window. */
export function maximum(index: number, terms: readonly Term[], result: number): string {
  // of normal height: the next larger parentheses of some fonts are much too large
  const parenthesis = (text: string) => `<mo stretchy="false">${text}</mo>`;
  const list = (items: readonly string[]) =>
    `<mi>max</mi>${parenthesis("(")}${items.join("<mo>,</mo>")}${parenthesis(")")}`;
  const factors = terms.map((term) => term.factors[0]);
  return `<p>${
    pieces([symbol("p", index) + equals + list(factors.map(([n, i]) => symbol(n, i)))])
  }</p>
    <p>${
    pieces([equals + list(factors.map(([, , value]) => number(value))), equals + number(result)])
  }</p>`;
}

/** The sum as a sentence, for the live region. */
export function spoken(name: string, terms: readonly Term[], result: number): string {
  const products = terms.map(({ factors }) =>
    factors.map(([, , value]) => short(value)).join(" times ")
  ).join(" plus ");
  const value = short(result), isValue = products === "" || products === value;
  return `${name} = ${isValue ? "" : `${products} = `}${value}.`;
}
