/** The tables of the page. */

/// <reference lib="dom" />

import { type Inputs, pooledLength, type Results } from "./compute.ts";
import { digitsOf, fixed, short, signOf } from "./format.ts";
import type { Kind } from "./link.ts";
import { element, fit, MatrixTable, type Product } from "./matrix.ts";

/** The element with an id, which the page has. */
export const byId = <T extends HTMLElement = HTMLElement>(id: string) =>
  document.getElementById(id) as T;

const range = (length: number) => Array.from({ length }, (_, i) => i);

/** Which elements belong together: the windows of convolution and pooling. */
export class Windows {
  readonly #n: number;
  readonly #K: number;
  readonly #size: number;
  readonly #stride: number;
  readonly #pooled: number;

  constructor(inputs: Inputs) {
    this.#n = inputs.x.length;
    this.#K = inputs.w.length;
    this.#size = inputs.size;
    this.#stride = inputs.stride;
    this.#pooled = pooledLength(inputs);
  }

  /** The index k of the weight that takes x[j] to y[i]; undefined if there is none. */
  weight(i: number, j: number): number | undefined {
    const k = j - i + (this.#K - 1) / 2;
    return k >= 0 && k < this.#K && i >= 0 && i < this.#n && j >= 0 && j < this.#n ? k : undefined;
  }

  /** The outputs that have x[j] in their window, or the inputs in the window of y[i]: it is the same. */
  around(i: number): number[] {
    return range(this.#n).filter((j) => this.weight(i, j) !== undefined);
  }

  /** Whether x[j] is in window i of pooling. */
  pools(i: number, j: number): boolean {
    return j >= i * this.#stride && j < i * this.#stride + this.#size;
  }

  /** Tokens of x[j]. */
  readonly x = (j: number): string => {
    const pooled = range(this.#pooled).filter((i) => this.pools(i, j)).map((i) => ` p${i}`);
    return `x${j} q${j}${this.around(j).map((i) => ` y${i}`).join("")}${pooled.join("")}`;
  };

  /** Tokens of y[i] and dy[i]. */
  readonly y = (i: number): string => `y${i}${this.around(i).map((j) => ` x${j}`).join("")}`;

  /** Tokens of w[k]. */
  readonly w = (k: number): string => {
    const j = (i: number) => i + k - (this.#K - 1) / 2;
    const outputs = range(this.#n).filter((i) => this.weight(i, j(i)) === k);
    return `w${k}${outputs.map((i) => ` y${i} x${j(i)}`).join("")}`;
  };

  /** Tokens of W[i][j]. */
  readonly matrix = (i: number, j: number): string => {
    const k = this.weight(i, j);
    return `y${i} x${j}${k === undefined ? "" : ` w${k}`}`;
  };
}

const transposed = (matrix: readonly (readonly number[])[]) =>
  matrix[0].map((_, j) => matrix.map((row) => row[j]));

const names = ["forward", "dx", "dw", "pool", "dxPool"] as const;

/** All tables, which show results. */
export class Tables {
  readonly #matrices = Object.fromEntries(
    names.map((name) => [name, new MatrixTable(byId<HTMLTableElement>(`${name}-table`))]),
  ) as Record<typeof names[number], MatrixTable>;

  /** Shows results. */
  show(inputs: Inputs, results: Results): void {
    const { x, w, g } = inputs, { W, y, dy, dx, dw, p, chosen, dxPool } = results;
    const windows = new Windows(inputs), P = (w.length - 1) / 2;
    const isEmpty = (i: number, j: number) => windows.weight(i, j) === undefined;
    const R = chosen.map((at) => x.map((_, j) => Number(j === at)));
    const products: Record<typeof names[number], Product> = {
      forward: {
        ...{ matrix: W, vector: x, product: y, vectorName: "x", productName: "y" },
        ...{ isEmpty, selects: "y", vectorSelects: "x" },
        ...{ litBy: windows.matrix, vectorLitBy: windows.x },
      },
      dx: {
        ...{ matrix: transposed(W), vector: dy, product: dx, vectorName: "dy", productName: "dx" },
        ...{ isEmpty, selects: "x", vectorSelects: "y" },
        ...{ litBy: (j, i) => windows.matrix(i, j), vectorLitBy: windows.y },
      },
      dw: {
        matrix: w.map((_, k) => dy.map((_, i) => x[i + k - P] ?? 0)),
        ...{ vector: dy, product: dw, vectorName: "dy", productName: "dw" },
        ...{ isEmpty: (k, i) => x[i + k - P] === undefined, selects: "w", vectorSelects: "y" },
        ...{ litBy: (k, i) => `w${k} y${i} x${i + k - P}`, vectorLitBy: windows.y },
      },
      pool: {
        ...{ matrix: R, vector: x, product: p, vectorName: "x", productName: "p" },
        ...{ isEmpty: (i, j) => !windows.pools(i, j), selects: "p", vectorSelects: "q" },
        ...{ litBy: (i, j) => `p${i} q${j}`, vectorLitBy: windows.x },
      },
      dxPool: {
        ...{ matrix: transposed(R), vector: g.slice(0, p.length), product: dxPool },
        ...{ vectorName: "dp", productName: "dx", selects: "q", vectorSelects: "p" },
        ...{ isEmpty: (j, i) => !windows.pools(i, j) },
        ...{ litBy: (j, i) => `p${i} q${j}`, vectorLitBy: (i) => `p${i} q${chosen[i]}` },
      },
    };
    for (const name of names) this.#matrices[name].show(products[name]);
    showPadding(inputs, results, windows);
    showStep(inputs, results);
  }

  /** Makes the selected product of each table the one that the Tab key reaches. */
  select(selected: Record<Kind, number>): void {
    const { y, x, w, p, q } = selected;
    const rows = { forward: y, dx: x, dw: w, pool: p, dxPool: q };
    for (const name of names) this.#matrices[name].select(rows[name]);
  }
}

/** A cell with a number. */
function cell(value: number | undefined, digits: number, on = ""): string {
  if (value === undefined) return '<td class="none"><span aria-label="none">–</span></td>';
  return `<td class="${signOf(value)}" data-on="${on}">${fixed(value, digits)}</td>`;
}

function showPadding({ x, w }: Inputs, results: Results, windows: Windows): void {
  const { y, unpadded, meets, meetsUnpadded } = results, P = (w.length - 1) / 2;
  const inner = (i: number) => i >= P && i < x.length - P;
  const digits = digitsOf([...y, ...unpadded]);
  const row = (title: string, cells: readonly string[]) =>
    `<tr><th scope="row">${title}</th>${cells.join("")}</tr>`;
  const table = byId<HTMLTableElement>("padding-table");
  table.tHead?.remove();
  for (const body of [...table.tBodies]) body.remove();
  table.insertAdjacentHTML(
    "beforeend",
    `<thead><tr><td></td>${x.map((_, i) => `<th scope="col">${i}</th>`).join("")}</tr></thead>
    <tbody>
      ${row(`<i>y</i>, <i>P</i> = ${P}`, y.map((v, i) => cell(v, digits, `y${i}`)))}
      ${
      row(
        "<i>y</i>, <i>P</i> = 0",
        y.map((_, i) => cell(inner(i) ? unpadded[i - P] : undefined, digits, `y${i}`)),
      )
    }
    </tbody>
    <tbody>
      ${row(`uses, <i>P</i> = ${P}`, meets.map((v, j) => cell(v, 0, windows.x(j))))}
      ${row("uses, <i>P</i> = 0", meetsUnpadded.map((v, j) => cell(v, 0, windows.x(j))))}
    </tbody>`,
  );
  fit(table, x.length);
  byId("padding-length").textContent = `${x.length} − ${w.length} + 1 = ${unpadded.length}`;
}

function showStep({ w, rate }: Inputs, { dw, stepped, cost, costAfter }: Results): void {
  const rows = w.map((value, k) => {
    const numbers = [value, dw[k], -rate * dw[k], stepped[k]];
    const cells = numbers.map((v) => `<td class="${signOf(v)}">${fixed(v, 3)}</td>`);
    return `<tr data-select="w${k}" data-on="w${k}"><th scope="row">${element("w", k)}</th>${
      cells.join("")
    }</tr>`;
  });
  byId("step-table").querySelector("tbody")!.innerHTML = rows.join("");
  byId("cost").textContent = short(cost);
  byId("cost-after").textContent = short(costAfter);
  byId("cost-change").textContent = costAfter <= cost ? "falls" : "rises: η is too large";
}
