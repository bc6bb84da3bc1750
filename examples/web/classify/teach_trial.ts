/** Tries what was learned, on the live camera or on a photo. */

/// <reference lib="dom" />

import { openCamera } from "./camera.ts";
import type { Client } from "./client.ts";
import { isTouch, say, tell } from "./elements.ts";
import { acceptDrops, bufferOf, onlyFirst, photoOf, photoTypes } from "./files.ts";
import { percent, problemText } from "./format.ts";
import type { Photo } from "./protocol.ts";
import type { Guess, TeachCalls } from "./teach_protocol.ts";
import { Turn, unlessAborted } from "./turn.ts";

const template = `
  <h3>Try it</h3>
  <div class="trial-place"></div>
  <div class="buttons">
    <input type="file" accept="${photoTypes}" hidden>
    <button type="button" data-try-file>Choose a photo</button>
    <button type="button" data-try-camera>Live camera</button>
  </div>
  <p class="problem" role="alert" hidden></p>
  <ul class="guesses" role="list" aria-label="Probabilities"></ul>`;

/** A place for a photo or the camera, with bars. */
export class Trial {
  readonly #element: HTMLElement;
  readonly #client: Client<TeachCalls>;
  /** The photo or the camera that it looks at. */
  readonly #turn = new Turn();
  #classes: readonly string[] = [];
  /** The address of the photo that is shown. */
  #shown: string | undefined;

  constructor(element: HTMLElement, client: Client<TeachCalls>) {
    this.#element = element;
    this.#client = client;
    element.innerHTML = template;
    const picker = this.#find<HTMLInputElement>("[type=file]");
    picker.addEventListener("change", () => {
      const files = Array.from(picker.files ?? []);
      picker.value = "";
      this.tryFiles(files);
    });
    this.#find("[data-try-file]").addEventListener("click", () => picker.click());
    this.#find("[data-try-camera]").addEventListener("click", () => this.#tryCamera());
    acceptDrops(element, (files) => this.tryFiles(files), (files) => this.#tryFolder(files));
  }

  /** Starts with other classes, and without a photo. */
  reset(classes: readonly string[]): void {
    this.#classes = classes;
    this.#clear();
  }

  /** Closes the camera, if it is open or the browser asks for it. A photo stays. */
  closeCamera(): void {
    if (!this.#shown) this.#clear();
  }

  #find<E extends HTMLElement>(selector: string): E {
    return this.#element.querySelector<E>(selector)!;
  }

  /** Asks for a photo, and empties the bars. */
  #clear(): void {
    this.#turn.cancel();
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.textContent = `${isTouch ? "Choose" : "Drop or paste"} a photo that it has not seen.`;
    this.#show(hint);
    tell(this.#find(".problem"), "");
    this.#draw([]);
  }

  #show(content: HTMLElement): void {
    if (this.#shown) URL.revokeObjectURL(this.#shown);
    this.#shown = undefined;
    this.#find(".trial-place").replaceChildren(content);
  }

  /** Classifies the first file. */
  async tryFiles(files: readonly File[]): Promise<void> {
    const [file] = files;
    if (!file) return;
    const signal = this.#turn.next(), image = document.createElement("img");
    image.alt = `The photo ${file.name}`;
    image.src = URL.createObjectURL(file);
    this.#show(image);
    this.#shown = image.src;
    this.#find(".guesses").setAttribute("aria-busy", "true");
    const [best] = await this.#try(photoOf(file), signal, onlyFirst(files)) ?? [];
    if (best) say(`${best.label}, ${percent(best.probability)}.`);
  }

  /** Classifies the first file of a folder. */
  async #tryFolder(files: Promise<readonly File[]>): Promise<void> {
    const signal = this.#turn.next();
    this.#find(".guesses").setAttribute("aria-busy", "true");
    try {
      await this.tryFiles(await unlessAborted(files, signal));
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  async #tryCamera(): Promise<void> {
    const signal = this.#turn.next(), place = document.createElement("div");
    const button = this.#find<HTMLButtonElement>("[data-try-camera]");
    this.#show(place);
    this.#draw([]);
    button.hidden = true;
    const camera = await openCamera(place, () => {}, {
      shutter: "",
      signal,
      onClose: (hadFocus) => {
        button.hidden = false;
        if (hadFocus) button.focus();
        const isProblem = place.childElementCount > 0;
        if (!isProblem && !signal.aborted) this.#clear();
      },
    });
    while (camera && !signal.aborted) {
      await new Promise(requestAnimationFrame);
      const frame = camera.capture();
      if (frame && !await this.#try(frame, signal)) break;
    }
  }

  /** Classifies a photo, and draws the bars, with a note. Undefined if there is a problem, or another photo. */
  async #try(
    photo: Photo | Promise<Photo>,
    signal: AbortSignal,
    note = "",
  ): Promise<readonly Guess[] | undefined> {
    try {
      const taken = await photo;
      const guesses = await this.#client.call("teachTry", taken, {
        signal,
        transfer: [bufferOf(taken)],
      });
      tell(this.#find(".problem"), note, true);
      this.#draw(guesses);
      return guesses;
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
      return undefined;
    }
  }

  #fail(error: unknown): void {
    this.#clear();
    tell(this.#find(".problem"), problemText(error, "Choose another one."));
  }

  /** Draws a bar for each class, in the order of the cards. */
  #draw(guesses: readonly Guess[]): void {
    const list = this.#find(".guesses");
    list.setAttribute("aria-busy", "false");
    const most = Math.max(...guesses.map(({ probability }) => probability));
    if (list.childElementCount !== this.#classes.length) {
      list.innerHTML = this.#classes.map(() =>
        `<li><span class="label"></span><span class="track"><span></span></span><span class="number"></span></li>`
      ).join("");
    }
    for (const [i, label] of this.#classes.entries()) {
      const item = list.children[i];
      const { probability } = guesses.find((guess) => guess.label === label) ?? { probability: 0 };
      item.classList.toggle("best", probability > 0 && probability === most);
      item.querySelector(".label")!.textContent = label;
      item.querySelector<HTMLElement>(".track span")!.style.width = `${probability * 100}%`;
      item.querySelector(".number")!.textContent = most > 0 ? percent(probability) : "–";
    }
  }
}
