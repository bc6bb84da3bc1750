/**
 * Stores the pages in the browser, so that they work offline, and adds the headers for threads, which
 * many static hosts do not send.
 *
 * `deno task web` writes the version and the lists of files into it, so every change of a file is a new
 * version of the worker. A new version has a store of its own. It waits until no page uses the old one,
 * or until a page asks for it (page.ts).
 */

/** A hash of all files. */
declare const VERSION: string;
/** The files to store at once, and those to store when a page has used them. */
declare const FILES: readonly string[], LATER: readonly string[];

/** An event of a service worker, as far as it is used here. */
interface WorkerEvent {
  readonly data: unknown;
  readonly request: Request & { readonly mode: string };
  waitUntil(done: Promise<unknown>): void;
  respondWith(response: Promise<Response>): void;
}

/** The global scope of a service worker, which Deno has no types for. */
const worker = globalThis as unknown as {
  readonly clients: { claim(): Promise<void> };
  readonly location: URL;
  skipWaiting(): Promise<void>;
  addEventListener(type: string, listener: (event: WorkerEvent) => void): void;
};

const scope = new URL("./", worker.location.href).href;
const prefix = `pembroke ${scope} `, name = prefix + VERSION;

/** The URL of a file. Pages are stored under the URLs of their folders. */
const urlOf = (path: string) => scope + path.replace(/(^|\/)index\.html$/, "$1");
const known = new Set([...FILES, ...LATER].map(urlOf));

worker.addEventListener("install", (event) => event.waitUntil(store(FILES.map(urlOf))));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("message", (event) => {
  if (event.data === "activate") event.waitUntil(worker.skipWaiting());
  else if (Array.isArray(event.data)) event.waitUntil(store(event.data.map(keyOf)));
});
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const isOurs = request.url.startsWith(scope) && request.method === "GET";
  if (isOurs && !request.headers.has("range")) event.respondWith(respond(request));
});

/** Stores the files that are not stored yet. Fails if one cannot be downloaded. */
async function store(urls: readonly string[]): Promise<void> {
  const cache = await caches.open(name);
  await Promise.all(
    urls.filter((url) => known.has(url)).map(async (url) => {
      if (await cache.match(url)) return;
      const response = await fetch(url, { cache: "no-cache" }); // not an old version of it
      if (!response.ok) throw new Error(`${url}: ${response.status}`);
      await cache.put(url, response);
    }),
  );
}

/** Deletes the stores of older versions, and takes over the open pages. */
async function activate(): Promise<void> {
  const old = (await caches.keys()).filter((key) => key.startsWith(prefix) && key !== name);
  await Promise.all(old.map((key) => caches.delete(key)));
  await worker.clients.claim();
}

/** The URL under which a file is stored. */
function keyOf(url: string): string {
  return url.replace(/[?#].*/, "").replace(/\/index\.html$/, "/");
}

/** Answers from the store, or else from the network. */
async function respond(request: WorkerEvent["request"]): Promise<Response> {
  const key = keyOf(request.url), cache = await caches.open(name);
  const stored = await cache.match(key);
  if (stored) return isolated(stored);
  if (request.mode === "navigate" && known.has(`${key}/`)) return Response.redirect(`${key}/`);
  const response = await fetch(request);
  if (response.ok && known.has(key)) await cache.put(key, response.clone());
  return isolated(response);
}

/** Adds the headers that let a page have shared memory, which threads need. */
function isolated(response: Response): Response {
  if (response.status === 0) return response; // a redirect, which the browser follows itself
  const headers = new Headers(response.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  headers.set("cross-origin-resource-policy", "same-origin");
  const { status, statusText } = response;
  const empty = status === 204 || status === 205 || status === 304;
  return new Response(empty ? null : response.body, { status, statusText, headers });
}
