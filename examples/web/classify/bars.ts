/** The most probable classes as bars. Each is a button that shows where the network found the class. */

/// <reference lib="dom" />

import { byId, choice, element, press } from "./elements.ts";
import { percent } from "./format.ts";
import type { Score } from "./page_calls.ts";

const list = byId("bars");

/** Shows bars, with the first one pressed. */
export function showBars(scores: readonly Score[], onChoose: (score: Score) => void): void {
  const focused = Array.from(list.children, (item) => item.contains(document.activeElement));
  // the same elements, so that the lengths change smoothly
  while (list.children.length > scores.length) list.lastChild!.remove();
  const buttons = scores.map((score, i) => {
    const item = list.children[i] ?? list.appendChild(element("li", ""));
    const [name, ...others] = score.label.split(", ");
    const label = element("span", "label", name);
    if (others.length > 0) label.append(element("small", "", ` ${others.join(", ")}`));
    const bar = element("span", "bar");
    const button = choice(
      () => {
        press(buttons, button);
        onChoose(score);
      },
      label,
      element("span", "number", percent(score.probability)),
      bar,
    );
    bar.style.setProperty("--from", item.querySelector<HTMLElement>(".bar")?.dataset.to ?? "0%");
    bar.style.setProperty("--to", bar.dataset.to = `${score.probability * 100}%`);
    item.replaceChildren(button);
    return button;
  });
  press(buttons, buttons[0]);
  buttons[focused.indexOf(true)]?.focus({ preventScroll: true });
}

/** The scores as a sentence. */
export function sentence(scores: readonly Score[]): string {
  const [first, ...others] = scores.map(({ label, probability }) =>
    `${label.split(", ")[0]}, ${percent(probability)}`
  );
  return `It looks like ${first}. Less probable: ${others.join("; ")}.`;
}
