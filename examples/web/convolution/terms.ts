/** The formulas of the selected elements, with their numbers. */

/// <reference lib="dom" />

import type { Inputs, Results } from "./compute.ts";
import { maximum, spoken, sum, type Term } from "./formula.ts";
import { short } from "./format.ts";
import type { Kind } from "./link.ts";
import { byId, Windows } from "./tables.ts";

/** The largest heights of the formulas at this width. They stay, so that nothing moves under a pointer. */
const heights = new Map<HTMLElement, number>();
addEventListener("resize", () => {
  for (const host of heights.keys()) host.style.minHeight = "";
  heights.clear();
});

/** Shows the formulas, and returns each as a sentence. */
export function showTerms(
  inputs: Inputs,
  results: Results,
  selected: Record<Kind, number>,
): Record<Kind, string> {
  const { x, w, g } = inputs, { y, dy, dx, dw, p, chosen, dxPool } = results;
  const windows = new Windows(inputs), P = (w.length - 1) / 2;
  const show = (kind: Kind, name: string, terms: Term[], result: number) => {
    const index = selected[kind], host = byId(`${kind}-terms`);
    host.innerHTML = kind === "p" ? maximum(index, terms, result) : sum(name, index, terms, result);
    host.dataset.on = `${kind}${index}`;
    return kind === "p"
      ? `p ${index} = the maximum of ${
        terms.map(({ factors }) => short(factors[0][2])).join(", ")
      } = ${short(result)}.`
      : spoken(`${name} ${index}`, terms, result);
  };

  // Where a window leaves the signal, its terms are 0.
  const tokens = (...all: readonly (readonly [kind: Kind, index: number])[]) =>
    all.map(([kind, index]) => `${kind}${index}`).join(" ");
  const products = (i: number) =>
    w.map((weight, k): Term => {
      const j = i + k - P;
      return {
        factors: [["w", k, weight], ["x", j, x[j] ?? 0]],
        litBy: tokens(["w", k], ["x", j]),
      };
    });
  const gradients = (j: number) =>
    w.map((weight, k): Term => {
      const i = j - k + P, litBy = tokens(["w", k], ["y", i]);
      return { factors: [["w", k, weight], ["dy", i, dy[i] ?? 0]], litBy };
    });
  const weightGradients = (k: number) =>
    dy.map((value, i): Term => {
      const j = i + k - P;
      return {
        factors: [["dy", i, value], ["x", j, x[j] ?? 0]],
        litBy: tokens(["y", i], ["x", j]),
      };
    });
  const window = (i: number) =>
    x.flatMap((value, j): Term[] =>
      windows.pools(i, j) ? [{ factors: [["x", j, value]], litBy: `q${j}` }] : []
    );
  const routed = (j: number) =>
    chosen.flatMap((at, i): Term[] =>
      at === j ? [{ factors: [["dp", i, g[i]]], litBy: `p${i}` }] : []
    );

  const sentences = {
    y: show("y", "y", products(selected.y), y[selected.y]),
    x: show("x", "dx", gradients(selected.x), dx[selected.x]),
    w: show("w", "dw", weightGradients(selected.w), dw[selected.w]),
    p: show("p", "p", window(selected.p), p[selected.p]),
    q: show("q", "dx", routed(selected.q), dxPool[selected.q]),
  };
  for (const kind of Object.keys(sentences)) {
    const host = byId(`${kind}-terms`);
    heights.set(host, Math.max(heights.get(host) ?? 0, host.offsetHeight));
  }
  for (const [host, height] of heights) host.style.minHeight = `${height}px`;
  return sentences;
}
