/**
 * Links what belongs together. An element with `data-select="y3"` selects y₃ when it is hovered,
 * focused or tapped. Then every element whose `data-on` contains `y3` lights up.
 *
 * The letters: y an output, x an input and its gradient, w a weight and its gradient, p a pooled value,
 * q an input of pooling and its gradient.
 */

/// <reference lib="dom" />

/** What can be selected. */
export type Kind = "y" | "x" | "w" | "p" | "q";

/** The selected element of each kind, and the kind selected last. */
export class Links {
  readonly selected: Record<Kind, number> = { y: 2, x: 3, w: 0, p: 1, q: 2 };
  #active: Kind = "y";

  /** @param changed Called after the reader selects an element, and whether a key did. */
  constructor(root: HTMLElement, changed: (kind: Kind) => void) {
    const select = ({ target }: Event) => {
      const token = (target as Element).closest<HTMLElement>("[data-select]")?.dataset.select;
      if (!token) return;
      const kind = token[0] as Kind, index = Number(token.slice(1));
      if (kind === this.#active && index === this.selected[kind]) return;
      this.#active = kind;
      this.selected[kind] = index;
      changed(kind);
    };
    for (const type of ["pointerover", "focusin", "click"]) root.addEventListener(type, select);
  }

  /** Keeps the selection inside these lengths. */
  limit(lengths: Record<Kind, number>): void {
    for (const [kind, length] of Object.entries(lengths) as [Kind, number][]) {
      this.selected[kind] = Math.min(this.selected[kind], length - 1);
    }
  }

  /** Lights up what belongs to the selected element. */
  light(root: HTMLElement): void {
    const token = `${this.#active}${this.selected[this.#active]}`;
    for (const element of root.querySelectorAll<HTMLElement>("[data-on]")) {
      element.classList.toggle("lit", element.dataset.on!.split(" ").includes(token));
    }
  }
}
