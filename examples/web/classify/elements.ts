/** Parts of the page. */

/// <reference lib="dom" />

/** The element with this id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

/** A new element with a class and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

/** A button that stays pressed while its choice is in use. */
export function choice(onClick: () => void, ...children: (Node | string)[]): HTMLButtonElement {
  const button = element("button", "choice", ...children);
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", onClick);
  return button;
}

/** Presses one of several buttons. */
export function press(buttons: Iterable<Element>, pressed: Element | undefined): void {
  for (const button of buttons) {
    button.setAttribute("aria-pressed", String(button === pressed));
  }
}

/** Whether the reader has no mouse: nothing can be dropped. */
export const isTouch = matchMedia("(hover: none)").matches;

/** Loads a style sheet from the folder of the page. */
export function loadStyle(path: string): Promise<unknown> {
  const link = element("link", "");
  link.rel = "stylesheet";
  link.href = new URL(path, import.meta.url).href;
  document.head.append(link);
  return new Promise((resolve) => link.onload = link.onerror = resolve);
}

/** Escapes what would reorder the rest of a sentence: names of files and classes may have it. */
export function printable(text: string): string {
  return text.replace(
    /\p{Bidi_Control}/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Shows a problem, or a note that is none. Hides the line without a text. */
export function tell(line: HTMLElement, text: string, isNote = false): void {
  line.hidden = text === "";
  line.textContent = printable(text);
  line.classList.toggle("note", isNote);
}

let announcement: ReturnType<typeof setTimeout> | undefined;

/** Tells a screen reader what happened, once it has settled. */
export function say(text: string): void {
  clearTimeout(announcement);
  announcement = setTimeout(() => byId("status").textContent = text, 200);
}
