/** A class to teach: its name and its photos. */

/// <reference lib="dom" />

import { openCamera } from "./camera.ts";
import type { Client } from "./client.ts";
import { isTouch, say, tell } from "./elements.ts";
import { acceptDrops, bufferOf, photoOf, photoTypes } from "./files.ts";
import { problemText } from "./format.ts";
import type { Photo, Pixels } from "./protocol.ts";
import type { KeptPhoto, TeachCalls } from "./teach_protocol.ts";
import { counted } from "./teach_text.ts";
import { Turn } from "./turn.ts";

/** What a card needs of the section. */
export interface CardHost {
  readonly client: Client<TeachCalls>;
  /** Called when the name or the photos change. */
  changed(): void;
  /** Called when the reader removes the class. */
  removed(card: Card): void;
  /** The class that has a photo. */
  ownerOf(key: string): Card | undefined;
}

/** Photos whose problems are told one by one. */
const maxProblems = 3;

const template = `
  <div class="card-head">
    <label><span class="unseen">Name of the class</span>
      <input name="class" type="text" required maxlength="60" autocomplete="off" spellcheck="false">
    </label>
    <button type="button" class="small" data-remove>×</button>
  </div>
  <p class="count"></p>
  <ul class="thumbnails" role="list"></ul>
  <p class="hint">${isTouch ? "Add photos, or take them." : "Drop or paste photos here."}</p>
  <p class="problem" role="alert" hidden></p>
  <div class="card-camera"></div>
  <div class="buttons">
    <input type="file" accept="${photoTypes}" multiple hidden>
    <button type="button" data-files>Add files</button>
    <button type="button" data-camera>Camera</button>
  </div>`;

/** Reads a photo. */
type Read = () => Photo | Promise<Photo>;

/** A class to teach. */
export class Card {
  readonly element = document.createElement("li");
  readonly #host: CardHost;
  readonly #photos: { readonly key: string; readonly item: HTMLElement }[] = [];
  readonly #name: HTMLInputElement;
  readonly #cameraTurn = new Turn();
  /** Photos that are read, or wait for it. */
  #waiting = 0;
  #reading: Promise<void> = Promise.resolve();
  #isRemoved = false;

  constructor(host: CardHost, name: string) {
    this.#host = host;
    const { element } = this;
    element.className = "card";
    element.innerHTML = template;
    this.#name = this.#find("[name=class]");
    this.#name.value = name;
    this.#name.addEventListener("input", () => {
      this.#nameButtons();
      host.changed();
    });
    this.#nameButtons();
    const picker = this.#find<HTMLInputElement>("[type=file]");
    picker.addEventListener("change", () => {
      this.addFiles(Array.from(picker.files ?? []));
      picker.value = ""; // so that the same file can be chosen again
    });
    this.#on("[data-files]", () => picker.click());
    this.#on("[data-camera]", () => this.#openCamera());
    this.#on("[data-remove]", () => this.#remove());
    acceptDrops(element, (files) => this.addFiles(files), (files) => this.#addFolder(files));
  }

  /** The name, without spaces around it. */
  get name(): string {
    return this.#name.value.trim();
  }

  /** The keys of the photos, in order. */
  get photos(): readonly string[] {
    return this.#photos.map(({ key }) => key);
  }

  /** Resolves when all photos have been read. */
  get read(): Promise<void> {
    return this.#reading;
  }

  /** Shows whether the class can be removed. */
  set removable(is: boolean) {
    this.#find<HTMLButtonElement>("[data-remove]").hidden = !is;
  }

  /** Whether the card has a photo. */
  has(key: string): boolean {
    return this.#photos.some((photo) => photo.key === key);
  }

  /** Puts the cursor into the name. */
  focusName(): void {
    this.#name.focus();
    this.#name.select();
  }

  #find<E extends HTMLElement>(selector: string): E {
    return this.element.querySelector<E>(selector)!;
  }

  #on(selector: string, act: () => void): void {
    this.#find(selector).addEventListener("click", act);
  }

  /** Says in the names of the buttons which class they belong to. */
  #nameButtons(): void {
    const of = (selector: string, text: string) =>
      this.#find(selector).setAttribute("aria-label", text);
    of("[data-remove]", `Remove the class ${this.name}`);
    of("[data-files]", `Add files to ${this.name}`);
    of("[data-camera]", `Camera for ${this.name}`);
    of(".thumbnails", `Photos of ${this.name}`);
  }

  /** Adds photos that the reader picked, dropped or pasted. */
  addFiles(files: readonly File[]): void {
    if (files.length > 0) this.#add(files.length, files.map(readOf));
  }

  /** Adds the photos of a folder. Until they are found, it counts as one. */
  #addFolder(files: Promise<readonly File[]>): void {
    this.#add(
      1,
      files.then((found) => found.map(readOf), (error) => [() => Promise.reject(error)]),
    );
  }

  async #openCamera(): Promise<void> {
    const button = this.#find<HTMLButtonElement>("[data-camera]");
    const place = this.#find(".card-camera");
    place.replaceChildren();
    button.hidden = true;
    await openCamera(place, (photo: Pixels) => this.#add(1, [() => photo]), {
      shutter: "Hold to photograph",
      hold: true,
      signal: this.#cameraTurn.next(),
      onClose: (hadFocus) => {
        button.hidden = false;
        if (hadFocus && !this.#isRemoved) button.focus();
      },
    });
  }

  /** Reads photos one after the other, behind those that are being read. */
  #add(count: number, read: readonly Read[] | Promise<readonly Read[]>): void {
    if (this.#waiting === 0) this.#report([]);
    this.#waiting += count;
    this.#showCount();
    this.#host.changed();
    this.#reading = this.#reading.then(async () => {
      const found = await read;
      this.#waiting += found.length - count;
      this.#showCount();
      await this.#readAll(found);
    });
  }

  async #readAll(read: readonly Read[]): Promise<void> {
    const problems: string[] = [];
    let copies = 0;
    for (const photo of read) {
      if (this.#isRemoved) return;
      try {
        const found = await photo();
        const kept = await this.#host.client.call("teachKeep", found, {
          transfer: [bufferOf(found)],
        });
        const owner = this.#host.ownerOf(kept.key);
        if (owner || this.#isRemoved) this.#forget([kept.key]);
        if (this.#isRemoved) return;
        if (owner === this) copies++;
        else if (owner) {
          const name = "bytes" in found ? found.name : "a photo";
          problems.push(`${name} is in “${owner.name}”, too: a photo can be in one class only.`);
        } else this.#append(kept);
      } catch (error) {
        problems.push(problemText(error, "It is left out."));
      }
      this.#waiting--;
      this.#showCount();
      this.#host.changed();
    }
    const isNote = problems.length === 0;
    if (copies > 0) {
      problems.push(`${copies === 1 ? "A photo was" : `${copies} were`} there already.`);
    }
    if (problems.length > 0) this.#report(problems, isNote);
    if (this.#waiting === 0) say(`${this.name} has ${counted(this.#photos.length)}.`);
  }

  #report(problems: readonly string[], isNote = false): void {
    const texts = Array.from(new Set(problems)); // several photos may have the same
    const more = texts.length - maxProblems;
    const shown = [
      ...texts.slice(0, maxProblems),
      ...more > 0 ? [`${more} more ${more === 1 ? "has" : "have"} problems.`] : [],
    ];
    tell(this.#find(".problem"), shown.join(" "), isNote);
  }

  /** Adds the thumbnail of a photo. */
  #append({ key, thumbnail: { width, height, data } }: KeptPhoto): void {
    const item = document.createElement("li"), canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d")!.putImageData(new ImageData(data, width, height), 0, 0);
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.addEventListener("click", () => this.#removePhoto(key));
    item.append(canvas, remove);
    this.#photos.push({ key, item });
    const list = this.#find(".thumbnails");
    list.append(item);
    list.scrollTop = list.scrollHeight;
    this.#number();
  }

  /** Numbers the photos for screen readers. */
  #number(): void {
    for (const [i, { item }] of this.#photos.entries()) {
      item.lastElementChild!.setAttribute("aria-label", `Remove photo ${i + 1}`);
    }
  }

  #removePhoto(key: string): void {
    const i = this.#photos.findIndex((photo) => photo.key === key);
    const [{ item }] = this.#photos.splice(i, 1);
    item.remove();
    const next = this.#photos[Math.min(i, this.#photos.length - 1)];
    const focus = next?.item.lastElementChild ?? this.#find("[data-files]");
    (focus as HTMLElement).focus();
    this.#number();
    this.#forget([key]);
    this.#showCount();
    this.#host.changed();
    say(`Removed. ${this.name} has ${counted(this.#photos.length)}.`);
  }

  #remove(): void {
    const { length } = this.#photos, what = `“${this.name}” and its ${counted(length)}`;
    if (length > 0 && !confirm(`Remove ${what}?`)) return;
    this.#isRemoved = true;
    this.#cameraTurn.cancel();
    this.#forget(this.photos);
    this.element.remove();
    this.#host.removed(this);
  }

  #forget(keys: readonly string[]): void {
    this.#host.client.call("teachForget", keys).catch(() => {});
  }

  #showCount(): void {
    const { length } = this.#photos, isReading = this.#waiting > 0;
    const isEmpty = length === 0 && !isReading,
      reading = isReading ? `, reading ${this.#waiting} more …` : "";
    this.#find(".count").textContent = isEmpty ? "" : `${counted(length)}${reading}`;
    this.#find(".hint").hidden = !isEmpty;
  }
}

function readOf(file: File): Read {
  return () => photoOf(file);
}
