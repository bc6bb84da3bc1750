/** What the tests of pages share that do not have all of their files. */

import type { Page } from "npm:playwright-core@1.56.1";
import { assertEquals } from "../../tests/assert.ts";
import type { Site } from "./site.ts";

/**
 * Makes a function that opens a page without a service worker. The server does not have the files
 * with the names that it is given. Nothing on the page moves, which would take the processor's
 * time.
 */
export const opener =
  (site: Site) => (path: string, missing?: RegExp, options = {}): Promise<Page> =>
    site.page(
      path,
      { reducedMotion: "reduce", serviceWorkers: "block", ...options },
      async (page) => {
        if (missing) await page.route(missing, (route) => route.fulfill({ status: 404 }));
      },
    );

/** Changes pages and workers that the server sends, and adds headers. Blocks scripts of others. */
export async function rewrite(
  page: Page,
  change: (text: string, isWorker: boolean) => string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  await page.route(/\/$|worker\.js/, async (route) => {
    const response = await route.fetch(), all = { ...response.headers(), ...headers };
    const body = change(await response.text(), /worker/.test(route.request().url()));
    await route.fulfill({ response, headers: all, body });
  });
  await page.route(/^http:\/\/other\./, (route) => route.abort());
}

/**
 * A page with scripts as hosts and extensions add them. One cannot be loaded, before `main.js` runs;
 * one throws while the page computes.
 */
export const withForeignScripts = (html: string): string =>
  html.replace(
    /<script [^>]*main\.js/,
    `<script>addEventListener("DOMContentLoaded", () => { throw new Error("other.example"); });</script>
    <script defer src="http://other.example/beacon.js"></script>$&`,
  );

/** Asserts that nothing went wrong but that files were missing, and scripts of others. */
export const assertNoProblems = ({ problems }: Site) =>
  assertEquals(problems.filter((text) => !/404|ERR_FAILED|other\.example/.test(text)), []);
