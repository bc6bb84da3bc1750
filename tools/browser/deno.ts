/**
 * What the tests use of Deno, for a page: registering a test, and reading the cases that the page's
 * server has.
 *
 * @module
 */

/** A test as the suites register it. */
interface Registered {
  readonly name: string;
  readonly ignore?: boolean;
  readonly fn: () => void | Promise<void>;
}

/** The tests of all suites that were imported. */
export const tests: Registered[] = [];

function test(first: string | Registered, fn?: () => void | Promise<void>): void {
  tests.push(typeof first === "string" ? { name: first, fn: fn! } : first);
}

/** As browsers have it, and Deno does not. */
declare const XMLHttpRequest: new () => {
  readonly status: number;
  readonly responseText: string;
  open(method: string, url: URL, async: boolean): void;
  send(): void;
};

/** A file, at once: modules read cases while they are evaluated. */
function read(url: URL): string {
  const request = new XMLHttpRequest();
  request.open("GET", url, false);
  request.send();
  if (request.status !== 200) throw new Error(`${url}: ${request.status}`);
  return request.responseText;
}

Object.assign(globalThis, {
  Deno: {
    test,
    env: { get: () => "required" },
    readTextFileSync: read,
    readDirSync: (url: URL): { name: string }[] => JSON.parse(read(url)),
  },
});
