/** The section "Teach it": classes with photos, learning with a live curve, and what comes out. */

/// <reference lib="dom" />

import type { Client } from "./client.ts";
import { printable, say, tell } from "./elements.ts";
import { filesOf } from "./files.ts";
import { megabytes, problemText } from "./format.ts";
import type { NetworkSource } from "./page_calls.ts";
import { Card, type CardHost } from "./teach_card.ts";
import { Curve } from "./teach_curve.ts";
import type { ClassToLearn, Learned, TeachCalls, TeachReport } from "./teach_protocol.ts";
import { fileNameOf, listed, measuredText, missing } from "./teach_text.ts";
import { Trial } from "./teach_trial.ts";
import { unlessAborted } from "./turn.ts";

/** The event "network" tells this section which network is in use. */
export interface NetworkDetail {
  readonly source: NetworkSource;
}

/** The event "use" asks the page to use a taught network, or with null the one before it. */
export type UseDetail = NetworkSource | null;

const fewestClasses = 2, mostClasses = 5;

const template = `
  <h2 id="teach-title">Teach it</h2>
  <p>
    Show it photos of your own things: ten of each are a start. It learns to tell them apart in a
    moment, here in the page. Your photos stay on this device.
  </p>
  <ol class="cards" role="list"></ol>
  <div class="buttons">
    <button type="button" class="primary" data-learn>Learn</button>
    <button type="button" data-stop hidden>Stop</button>
    <button type="button" data-add>Add a class</button>
    <progress max="1" value="0" aria-labelledby="teach-progress" hidden></progress>
    <span id="teach-progress"></span>
  </div>
  <p class="problem" role="alert" hidden></p>
  <div class="lesson" hidden>
    <div class="lesson-result">
      <h3>What it learned</h3>
      <p data-measured></p>
      <figure class="curve"></figure>
    </div>
    <div class="trial"></div>
    <div class="lesson-use" hidden>
      <h3>Keep it</h3>
      <p>
        The file has the whole network with your classes. Open it on this page, or with the command
        below.
      </p>
      <form class="buttons">
        <label>File name <input name="file" type="text" required pattern='[^\\\\\\/:*?"<>\\|]+'
          maxlength="80" autocomplete="off" spellcheck="false"></label>
        <button class="primary">Download <span></span></button>
      </form>
      <pre><code></code></pre>
      <button type="button" data-use></button>
    </div>
  </div>`;

/** Fills the section, and connects it. The network in use is the one to start from. */
export function startTeach(
  section: HTMLElement,
  client: Client<TeachCalls>,
  network: NetworkSource,
): void {
  new Lesson(section, client, network);
}

/** The section. */
class Lesson implements CardHost {
  readonly client: Client<TeachCalls>;
  readonly #section: HTMLElement;
  readonly #curve: Curve;
  readonly #trial: Trial;
  #cards: Card[] = [];
  #added = 0;
  #controller: AbortController | undefined;
  /** The network that was learned last. */
  #taught: (NetworkSource & { readonly weights: Blob }) | undefined;
  /** The photos that it has learned from, and those of the network that was downloaded last. */
  #learned: readonly string[] = [];
  #saved = this.#learned;
  /** The network in use, and the one to start from. */
  #network: NetworkSource | undefined;
  #base: NetworkSource | undefined;
  /** Those that the worker knows, by their places. */
  readonly #bases: NetworkSource[] = [];

  constructor(section: HTMLElement, client: Client<TeachCalls>, network: NetworkSource) {
    this.#section = section;
    this.client = client;
    section.innerHTML = template;
    this.#curve = new Curve(this.#find(".curve"));
    this.#trial = new Trial(this.#find(".trial"), client);
    for (let i = 0; i < fewestClasses; i++) this.#add();
    this.#on("[data-add]", () => this.#add().focusName());
    this.#on("[data-learn]", () => this.#learn());
    this.#on("[data-stop]", () => this.#controller?.abort(new Error("stopped")));
    this.#on("[data-use]", () => this.#use(this.#network !== this.#taught));
    this.#find("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#download();
    });
    this.#find("[name=file]").addEventListener("input", () => this.#showCommand());
    section.addEventListener("network", (event) => {
      this.#setNetwork((event as CustomEvent<NetworkDetail>).detail.source);
    });
    this.#setNetwork(network);
    document.addEventListener("paste", (event) => this.#paste(event), { capture: true });
    addEventListener("beforeunload", (event) => {
      // older browsers do not ask the reader because of preventDefault()
      if (this.#isUnsaved) event.returnValue = true;
    });
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      observer.disconnect();
      client.call("teachPrepare", undefined).catch(() => {}); // the next call will tell
    });
    observer.observe(section);
  }

  #find<E extends HTMLElement>(selector: string): E {
    return this.#section.querySelector<E>(selector)!;
  }

  #on(selector: string, act: () => void): void {
    this.#find(selector).addEventListener("click", act);
  }

  #add(): Card {
    const card = new Card(this, `Class ${++this.#added}`);
    this.#cards.push(card);
    this.#find(".cards").append(card.element);
    this.#countCards();
    return card;
  }

  #countCards(): void {
    const { length } = this.#cards;
    this.#find<HTMLButtonElement>("[data-add]").disabled = length >= mostClasses;
    for (const card of this.#cards) card.removable = length > fewestClasses;
  }

  /** Takes files that are pasted in this section: for the class where the reader is, or to try them. */
  #paste(event: ClipboardEvent): void {
    const files = filesOf(event.clipboardData), { activeElement } = document;
    // where the text cursor is, or the focus, which browsers do not always take for the target
    const isAt = (element: HTMLElement) =>
      element.contains(event.target as Node) || element.contains(activeElement);
    if (files.length === 0 || !isAt(this.#section)) return;
    event.stopPropagation(); // or else the page takes them
    const card = this.#cards.find(({ element }) => isAt(element));
    if (card) card.addFiles(files);
    else if (this.#find(".trial").hidden) this.#showProblem("Click a class, then paste.");
    else this.#trial.tryFiles(files);
  }

  removed(card: Card): void {
    this.#cards = this.#cards.filter((other) => other !== card);
    this.#countCards();
    this.changed();
    this.#cards.at(-1)!.focusName();
    say(`Removed. ${this.#cards.length} classes are left.`);
  }

  changed(): void {
    this.#showProblem("");
  }

  ownerOf(key: string): Card | undefined {
    return this.#cards.find((card) => card.has(key));
  }

  /** Whether the reader would lose the network that was learned last, or photos for another one. */
  get #isUnsaved(): boolean {
    const saved = new Set(this.#saved), photos = this.#cards.flatMap(({ photos }) => photos);
    return this.#saved !== this.#learned || photos.some((key) => !saved.has(key));
  }

  #showProblem(text: string): void {
    tell(this.#find(":scope > .problem"), text);
  }

  /** Learns, or says what is missing. */
  async #learn(): Promise<void> {
    const { signal } = this.#controller = new AbortController();
    this.#showRunning(true);
    try {
      await unlessAborted(Promise.all(this.#cards.map((card) => card.read)), signal);
      const classes = this.#cards.map(({ name, photos }): ClassToLearn => ({ name, photos }));
      const problem = missing(classes);
      this.#showProblem(problem);
      if (problem) return;
      this.#curve.clear();
      this.#find("[data-measured]").textContent = "";
      this.#find(".lesson").hidden = false;
      this.#find(".lesson-result").scrollIntoView({ block: "nearest" });
      const learned = await this.client.call("teachLearn", classes, {
        signal,
        onReport: (report) => this.#show(report),
      });
      this.#finish(learned, classes);
    } catch (error) {
      this.#find(".lesson").hidden = this.#taught === undefined;
      if (signal.aborted) say("Stopped.");
      else this.#showProblem(problemText(error, ""));
    } finally {
      this.#showRunning(false);
    }
  }

  #showRunning(is: boolean): void {
    const learn = this.#find("[data-learn]"), stop = this.#find("[data-stop]");
    const [before, after] = is ? [learn, stop] : [stop, learn];
    const hasFocus = before === document.activeElement; // or else the reader is elsewhere
    before.hidden = true;
    after.hidden = false;
    if (hasFocus) after.focus();
    this.#find("progress").hidden = !is;
    this.#find("#teach-progress").textContent = "";
    this.#section.toggleAttribute("data-running", is);
  }

  #show(report: TeachReport): void {
    const { phase } = report;
    const [done, total] = phase === "step"
      ? [report.step.step, report.step.steps]
      : [report.done, report.total];
    const what = {
      photos: "Looking at photo",
      choosing: "Comparing settings, part",
      step: "Learning, step",
    }[phase];
    this.#find<HTMLProgressElement>("progress").value = done / total;
    this.#find("#teach-progress").textContent = `${what} ${done} of ${total}`;
    if (phase === "step") this.#curve.add(report.step);
  }

  #finish(learned: Learned, classes: readonly ClassToLearn[]): void {
    const names = classes.map(({ name }) => name), text = measuredText(learned, classes);
    this.#taught = { name: listed(names), weights: learned.file };
    this.#learned = classes.flatMap(({ photos }) => photos);
    this.#find("[data-measured]").textContent = printable(text);
    this.#find<HTMLInputElement>("[name=file]").value = fileNameOf(names);
    this.#find(".lesson-use button span").textContent = megabytes(learned.file.size);
    this.#showCommand();
    this.#find(".lesson-use").hidden = false;
    this.#trial.reset(names);
    say(`Learned ${listed(names)}. ${text} ${this.#curve.text}`);
    this.#use(true);
  }

  /** Asks the page to use what was learned, or the network before it. */
  #use(taught: boolean): void {
    const detail: UseDetail = taught ? this.#taught! : null;
    this.#section.dispatchEvent(new CustomEvent("use", { detail }));
  }

  /** Takes note of the network in use. Any but a taught one is the next to start from. */
  #setNetwork(network: NetworkSource): void {
    this.#network = network;
    const isTaught = network === this.#taught;
    if (!isTaught && network !== this.#base) {
      this.#base = network;
      if (!this.#bases.includes(network)) this.#bases.push(network);
      const id = this.#bases.indexOf(network);
      this.client.call("teachFrom", { ...network, id }).catch(() => {});
    }
    this.#find(".trial").hidden = !isTaught;
    if (!isTaught) this.#trial.closeCamera();
    this.#find("[data-use]").textContent = isTaught
      ? `Use ${printable(this.#base!.name)} again`
      : "Use my classes again";
  }

  get #fileName(): string {
    return `${this.#find<HTMLInputElement>("[name=file]").value}.safetensors`;
  }

  #showCommand(): void {
    const name = this.#fileName;
    const quoted = /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
    this.#find("pre code").textContent = `deno run -A cli.ts --weights ${quoted} photo.jpg`;
  }

  #download(): void {
    this.#saved = this.#learned;
    const link = document.createElement("a");
    link.download = this.#fileName;
    link.href = URL.createObjectURL(this.#taught!.weights);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // once the browser has read it
  }
}
