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

/** Asserts that nothing went wrong but that files were missing. */
export const assertNoProblems = ({ problems }: Site) =>
  assertEquals(problems.filter((text) => !/404|ERR_FAILED/.test(text)), []);
