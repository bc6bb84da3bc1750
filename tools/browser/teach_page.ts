/** What tests and pictures do in the section "Teach it" of a page. */

import type { Page } from "npm:playwright-core@1.56.1";
import type { ChosenFile } from "./shapes.ts";
import { until } from "./site.ts";

/** The selector of the n-th class, from 1. */
export const card = (n: number) => `#teach .card:nth-child(${n})`;

/** Waits until a card has read its photos. */
export async function assertCount(page: Page, n: number, text: string): Promise<void> {
  await page.waitForSelector(`${card(n)} .count:text-is("${text}")`);
}

/** Waits until the section says what is wrong. */
export async function assertProblem(page: Page, text: string): Promise<void> {
  await page.waitForSelector(`#teach > .problem:text-is("${text}")`);
}

/** What a card says is wrong. */
export const problemOf = (page: Page, n: number) =>
  page.locator(`${card(n)} .problem:not([hidden])`).textContent();

/** Whether the browser would ask before it leaves the page. */
export const asks = (page: Page): Promise<boolean> =>
  page.evaluate(`{
    const event = document.createEvent("BeforeUnloadEvent");
    event.initEvent("beforeunload", false, true);
    dispatchEvent(event);
    event.returnValue !== "";
  }`);

/** Downloads what was learned. */
export async function saveFile(page: Page): Promise<void> {
  const download = page.waitForEvent("download");
  await page.click("#teach form .primary");
  await (await download).cancel();
}

/** Learns, and waits until the page uses what was learned. */
export async function learn(page: Page): Promise<void> {
  await page.click("#teach [data-learn]");
  await page.waitForSelector("#teach .trial:not([hidden])");
  await page.waitForSelector("#teach [data-learn]:not([hidden])");
}

/** Lets the page classify a photo, and returns the most probable class and its percentage. */
export async function tryPhoto(
  page: Page,
  file: ChosenFile,
): Promise<{ label: string; percent: string }> {
  await page.setInputFiles("#teach .trial [type=file]", file);
  await page.waitForSelector("#teach .guesses[aria-busy=false]");
  const [label, percent] = await page.locator("#teach .guesses .best > span:not(.track)")
    .allTextContents();
  return { label, percent };
}

/**
 * Runs code in the page when it makes a call. The call is made when the code's promise resolves.
 */
export function beforeCall(page: Page, call: string, code: string): Promise<unknown> {
  return page.evaluate(`{
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = async function (message, transfer) {
      if (message.call === "${call}") {
        Worker.prototype.postMessage = postMessage;
        await (${code});
      }
      postMessage.call(this, message, transfer);
    };
  }`);
}

/** Starts from another network, which is the bundled one under another name. */
export async function startFrom(page: Page, name: string): Promise<void> {
  const weights = `caches.keys().then(async ([store]) => {
    const stored = await (await caches.open(store)).keys();
    return stored.map(({ url }) => url).find((url) => /resnet_tiny\\.safetensors/.test(url));
  })`;
  await until(page, weights); // the service worker may still store them
  await page.evaluate(`${weights}.then((weights) => {
    document.querySelector("#teach").dispatchEvent(new CustomEvent("network", {
      detail: { source: globalThis["${name}"] ??= { name: "${name}", weights } },
    }));
  })`);
}
