/** A plot of bars that pointers and keys can change. */

/// <reference lib="dom" />

import { fixed, short, signOf } from "./format.ts";

/** What a plot shows, and how it changes. */
export interface PlotOptions {
  /** The letter of its values, and their name in words. */
  readonly name: string;
  readonly words: string;
  /** The largest value that the reader can choose; the smallest is its negative. */
  readonly limit: number;
  /** The distance between values. */
  readonly step: number;
  /** The token that an element selects (link.ts), such as "x". */
  readonly selects: string;
  /** The tokens that light up each element. */
  readonly litBy: (index: number) => string;
  /** Called with a new value. */
  readonly change: (index: number, value: number) => void;
}

/** What is drawn. */
export interface PlotValues {
  /** The values that the reader chooses. */
  readonly values: readonly number[];
  /** Bars to draw, if the values are points over bars. */
  readonly bars?: readonly number[];
  /** The value at the top. */
  readonly scale: number;
}

/** A column of a plot. */
interface Column {
  readonly slider: HTMLElement;
  readonly bar: HTMLElement;
  readonly point: HTMLElement;
  readonly label: HTMLElement;
}

/** Bars, or points over bars, one slider each. Pointers draw across them. */
export class Plot {
  #columns: Column[] = [];
  /** The pointer that draws, and the values before. */
  #pointer: number | undefined;
  #before: readonly number[] = [];
  #shown: PlotValues = { values: [], scale: 1 };
  readonly #host: HTMLElement;
  readonly #options: PlotOptions;

  constructor(host: HTMLElement, options: PlotOptions) {
    this.#host = host;
    this.#options = options;
    host.setAttribute("role", "group");
    host.setAttribute("aria-label", options.words);
    host.addEventListener("keydown", (event) => this.#press(event));
    host.addEventListener("pointerdown", (event) => {
      const isOnTrack = (event.target as Element).closest(".track") !== null;
      if (event.button !== 0 || !isOnTrack || this.isDrawing) return;
      event.preventDefault();
      host.setPointerCapture(event.pointerId);
      this.#pointer = event.pointerId;
      this.#before = [...this.#shown.values];
      this.#draw(event);
    });
    // two fingers zoom the page
    host.addEventListener("pointercancel", ({ pointerId }) => {
      if (pointerId === this.#pointer) this.#undo();
    });
    host.addEventListener("lostpointercapture", ({ pointerId }) => {
      if (pointerId === this.#pointer) this.#pointer = undefined;
    });
    host.addEventListener("pointermove", (event) => {
      if (event.pointerId === this.#pointer) this.#draw(event);
    });
  }

  /** Whether a pointer is drawing: the scale must not change then. */
  get isDrawing(): boolean {
    return this.#pointer !== undefined;
  }

  /** The scale that is shown. */
  get scale(): number {
    return this.#shown.scale;
  }

  /** Shows values. */
  show(shown: PlotValues): void {
    this.#shown = shown;
    const { name, limit, litBy } = this.#options, { values, bars = values, scale } = shown;
    if (this.#columns.length !== values.length) this.#build(values.length);
    for (const [i, { slider, bar, point, label }] of this.#columns.entries()) {
      const height = Math.min(1, Math.abs(bars[i]) / scale) * 50;
      bar.className = `fill ${signOf(bars[i])}`;
      bar.style.height = `${height}%`;
      bar.style[bars[i] < 0 ? "top" : "bottom"] = "50%";
      bar.style[bars[i] < 0 ? "bottom" : "top"] = "auto";
      point.hidden = shown.bars === undefined;
      point.style.bottom = `${50 + Math.max(-1, Math.min(1, values[i] / scale)) * 50}%`;
      label.textContent = fixed(values[i], Number.isInteger(values[i] * 2) ? 1 : 2);
      slider.dataset.on = litBy(i);
      const most = Math.max(limit, Math.abs(values[i]));
      slider.setAttribute("aria-valuemin", String(-most));
      slider.setAttribute("aria-valuemax", String(most));
      slider.setAttribute("aria-valuenow", String(values[i]));
      const output = shown.bars ? `, output y ${i} is ${short(bars[i])}` : "";
      slider.setAttribute("aria-valuetext", `${name} ${i} is ${short(values[i])}${output}`);
    }
  }

  #build(count: number): void {
    const { name, words, selects } = this.#options;
    this.#columns = Array.from({ length: count }, (_, i) => {
      const slider = document.createElement("div");
      slider.className = "column";
      slider.tabIndex = 0;
      slider.dataset.select = `${selects}${i}`;
      slider.setAttribute("role", "slider");
      slider.setAttribute("aria-orientation", "vertical");
      slider.setAttribute("aria-label", `${words}, ${name} ${i}`);
      slider.innerHTML = `<span class="track"><span></span><span class="point"></span></span>
        <span class="number"></span><span class="index"><i>${name}</i><sub>${i}</sub></span>`;
      const [bar, point] = slider.firstElementChild!.children as unknown as HTMLElement[];
      return { slider, bar, point, label: slider.querySelector<HTMLElement>(".number")! };
    });
    this.#host.replaceChildren(...this.#columns.map(({ slider }) => slider));
    this.#host.style.setProperty("--columns", String(count));
  }

  /** Sets the value of the column under the pointer. */
  #draw(event: PointerEvent): void {
    const { left, width } = this.#host.getBoundingClientRect();
    const count = this.#columns.length, { step } = this.#options;
    const i = Math.floor((event.clientX - left) / width * count);
    if (i < 0 || i >= count) return;
    const { slider } = this.#columns[i];
    const track = slider.firstElementChild!.getBoundingClientRect();
    const share = 1 - 2 * (event.clientY - track.top) / track.height;
    slider.focus({ preventScroll: true });
    this.#set(i, Math.round(share * this.#shown.scale / step) * step);
  }

  /** Takes back what the pointer has drawn. */
  #undo(): void {
    for (const [i, value] of this.#before.entries()) {
      if (value !== this.#shown.values[i]) this.#options.change(i, value);
    }
  }

  #press(event: KeyboardEvent): void {
    const i = this.#columns.findIndex(({ slider }) => slider === event.target);
    if (i < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const { step, limit } = this.#options, value = this.#shown.values[i];
    const up = (steps: number) => Math.round(value / step + steps) * step;
    const keys: Record<string, number> = {
      ArrowUp: up(1),
      ArrowRight: up(1),
      ArrowDown: up(-1),
      ArrowLeft: up(-1),
      PageUp: up(4),
      PageDown: up(-4),
      Home: -limit,
      End: limit,
      "0": 0,
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    this.#set(i, keys[event.key]);
  }

  #set(i: number, value: number): void {
    const { limit, change } = this.#options;
    const within = Math.max(-limit, Math.min(limit, value)) + 0; // without a negative zero
    if (within !== this.#shown.values[i]) change(i, within);
  }
}
