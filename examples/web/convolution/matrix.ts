/** Tables that show a matrix times a vector: the vector on top, the product on the right. */

/// <reference lib="dom" />

import { digitsOf, fixed, signOf } from "./format.ts";

/** A matrix times a vector. */
export interface Product {
  readonly matrix: readonly (readonly number[])[];
  readonly vector: readonly number[];
  readonly product: readonly number[];
  /** Letters of the vector and of the product, such as "x" and "y". */
  readonly vectorName: string;
  readonly productName: string;
  /** Whether an element is always 0 because of its place. */
  readonly isEmpty?: (i: number, j: number) => boolean;
  /** The token that a product selects, such as "y" (link.ts). */
  readonly selects: string;
  /** The tokens that light up an element, a vector's element, and a product. */
  readonly litBy: (i: number, j: number) => string;
  readonly vectorLitBy: (j: number) => string;
  /** The token that the vector's elements select. */
  readonly vectorSelects: string;
}

/** The name of an element: a letter and an index. */
export const element = (name: string, index: number) => `<i>${name}</i><sub>${index}</sub>`;

/** Makes a table wide enough for its numbers: on a narrow screen, it then scrolls. */
export function fit(table: HTMLTableElement, columns: number): void {
  const cells = table.querySelectorAll("td:not(.product), thead .number");
  const lengths = Array.from(cells, ({ textContent }) => textContent!.length);
  table.style.setProperty("--columns", String(columns));
  table.style.setProperty("--digits", String(Math.max(...lengths)));
}

/** A table of a matrix product. */
export class MatrixTable {
  readonly #table: HTMLTableElement;
  #shape = "";

  /** Its caption comes from the page. */
  constructor(table: HTMLTableElement) {
    this.#table = table;
    table.classList.add("matrix");
    table.addEventListener("keydown", (event) => this.#press(event));
  }

  /** Shows a product. */
  show(shown: Product): void {
    const { matrix, vector, product } = shown;
    const shape = `${matrix.length} × ${vector.length}`;
    if (shape !== this.#shape) this.#build(shown);
    this.#shape = shape;
    const largest = Math.max(1e-9, ...matrix.flat().map(Math.abs));
    const digits = digitsOf(matrix.flat());
    const vectorDigits = digitsOf(vector), productDigits = digitsOf(product);
    const [head] = this.#table.tHead!.rows;
    for (const [j, value] of vector.entries()) {
      const cell = head.cells[j + 1];
      cell.dataset.on = shown.vectorLitBy(j);
      this.#write(cell.querySelector<HTMLElement>(".number")!, value, vectorDigits);
    }
    for (const [i, row] of matrix.entries()) {
      const { cells } = this.#table.tBodies[0].rows[i];
      cells[0].dataset.on = `${shown.selects}${i}`;
      for (const [j, value] of row.entries()) {
        const cell = cells[j + 1], empty = shown.isEmpty?.(i, j) ?? false;
        cell.dataset.on = shown.litBy(i, j);
        this.#write(cell, value, empty ? 0 : digits);
        cell.classList.toggle("empty", empty);
        cell.style.setProperty("--share", String(Math.round(Math.abs(value) / largest * 100)));
      }
      const cell = cells[row.length + 1], button = cell.firstElementChild as HTMLElement;
      cell.dataset.on = `${shown.selects}${i}`;
      button.dataset.select = `${shown.selects}${i}`;
      this.#write(button, product[i], productDigits);
      button.setAttribute("aria-label", `${shown.productName} ${i} is ${button.textContent}`);
    }
    fit(this.#table, vector.length);
  }

  /** Makes the button of this row the one that the Tab key reaches. */
  select(row: number): void {
    for (const [i, button] of this.#buttons().entries()) button.tabIndex = i === row ? 0 : -1;
  }

  #write(cell: HTMLElement, value: number, digits: number): void {
    cell.textContent = fixed(value, digits);
    cell.classList.remove("positive", "negative", "zero");
    cell.classList.add(signOf(value));
  }

  #build({ matrix, vector, vectorName, productName, selects, vectorSelects }: Product): void {
    const heads = vector.map((_, j) =>
      `<th scope="col" data-select="${vectorSelects}${j}"><span class="index">${
        element(vectorName, j)
      }</span>
        <span class="number"></span></th>`
    );
    const rows = matrix.map((row, i) =>
      `<tr data-select="${selects}${i}"><th scope="row">${element(productName, i)}</th>
        ${row.map(() => "<td></td>").join("")}
        <td class="product"><button type="button"></button></td></tr>`
    );
    this.#table.tHead?.remove();
    for (const body of [...this.#table.tBodies]) body.remove();
    this.#table.insertAdjacentHTML(
      "beforeend",
      `<thead><tr><td></td>${heads.join("")}<th scope="col" class="product">=</th></tr></thead>
      <tbody>${rows.join("")}</tbody>`,
    );
    this.select(0);
  }

  #buttons(): HTMLButtonElement[] {
    return [...this.#table.querySelectorAll("button")];
  }

  /** Arrow keys move between the products. */
  #press(event: KeyboardEvent): void {
    const buttons = this.#buttons(), at = buttons.indexOf(event.target as HTMLButtonElement);
    if (at < 0) return;
    const moves: Record<string, number> = {
      ArrowUp: at - 1,
      ArrowLeft: at - 1,
      ArrowDown: at + 1,
      ArrowRight: at + 1,
      Home: 0,
      End: buttons.length - 1,
    };
    const next = buttons[moves[event.key]];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}
