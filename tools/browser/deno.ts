/**
 * Replaces Deno in a page, as far as the tests use it: registers tests, and reads test cases from
 * the page's server.
 *
 * @module
 */

/** A registered test. */
interface TestDefinition {
  readonly name: string;
  readonly ignore?: boolean;
  readonly fn: () => void | Promise<void>;
}

/** All registered tests. */
export const tests: TestDefinition[] = [];

function test(first: string | TestDefinition, fn?: () => void | Promise<void>): void {
  tests.push(typeof first === "string" ? { name: first, fn: fn! } : first);
}

/** A browser API that Deno has no type for. */
declare const XMLHttpRequest: new () => {
  readonly status: number;
  readonly responseText: string;
  open(method: string, url: URL, async: boolean): void;
  send(): void;
};

/** Reads a file synchronously, because modules read test cases during evaluation. */
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
