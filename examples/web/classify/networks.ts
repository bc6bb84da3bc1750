/** The networks to choose from: those of the folder, and files that the reader opened. */

/// <reference lib="dom" />

import { byId, choice, element, press } from "./elements.ts";
import { megabytes } from "./format.ts";
import type { NetworkSource } from "./page_calls.ts";

/** The networks in the folder. `deno task web` writes the list; the first one is the bundled one. */
declare const NETWORKS: readonly {
  readonly name: string;
  /** Relative to the folder of all pages. */
  readonly url: string;
  readonly bytes: number;
}[];

/** The networks in the folder. */
export const storedNetworks: readonly NetworkSource[] = NETWORKS.map(({ name, url }) => ({
  name,
  weights: new URL(`../${url}`, import.meta.url).href,
}));

/** The list of networks. */
export class NetworkList {
  readonly #onChoose: (source: NetworkSource) => void;
  readonly #buttons = new Map<NetworkSource, HTMLButtonElement>();

  /** @param onChoose Called when the reader chooses a network or opens one. */
  constructor(onChoose: (source: NetworkSource) => void) {
    this.#onChoose = onChoose;
    for (const [i, source] of storedNetworks.entries()) this.#add(source, NETWORKS[i].bytes);
    this.press(storedNetworks[0]);
  }

  #add(source: NetworkSource, bytes: number): void {
    const button = choice(
      () => this.#onChoose(source),
      element("span", "name", source.name),
      element("span", "size number", megabytes(bytes)),
    );
    this.#buttons.set(source, button);
    byId("networks").append(button);
  }

  /** Removes a network that the reader no longer needs. */
  remove(source: NetworkSource): void {
    this.#buttons.get(source)?.remove();
    this.#buttons.delete(source);
  }

  /** Presses the button of the network in use, if there is one. One from a file appears in the list. */
  press(source?: NetworkSource): void {
    if (source && !this.#buttons.has(source)) this.#add(source, (source.weights as Blob).size);
    press(this.#buttons.values(), source && this.#buttons.get(source));
  }
}

/**
 * The network in files that the reader opened: one file, or several that belong together.
 *
 * @param current The network in use: the base of a file that holds a last layer only.
 */
export function networkIn(files: readonly File[], current: NetworkSource): NetworkSource {
  const main = files.find(({ name }) => /\.(onnx|index\.json)$/i.test(name)) ?? files[0];
  const others = files.filter((file) => file !== main).map((file) => [file.name, file]);
  return {
    name: main.name,
    weights: main,
    files: Object.fromEntries(others),
    base: others.length === 0 ? current.base ?? current.weights : undefined,
  };
}
