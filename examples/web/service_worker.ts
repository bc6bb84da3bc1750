/**
 * Stores the pages in the browser, so that they work offline, and adds the headers for threads, which
 * many static hosts do not send.
 *
 * `deno task web` writes the version and the lists of files into it, so every change of a file is a new
 * version of the worker, with a store of its own. Pages come from the newest complete store, scripts and
 * styles from any: their URLs contain a hash. So the next visit has the new version, even if a browser
 * does not let the worker before go yet.
 */

/** A hash of all files. */
declare const VERSION: string;
/** The bytes of files by their paths: those to store at once, and those to store when a page has used them. */
declare const FILES: Readonly<Record<string, number>>, LATER: Readonly<Record<string, number>>;

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
const first = Object.keys(FILES).map(urlOf), later = Object.keys(LATER).map(urlOf);
const sizes = new Map(
  Object.entries({ ...FILES, ...LATER }).map(([path, bytes]) => [urlOf(path), bytes]),
);

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("message", (event) => {
  if (event.data === "activate") event.waitUntil(worker.skipWaiting());
  else if (Array.isArray(event.data)) event.waitUntil(store(event.data.map(keyOf)));
});
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const isOurs = request.url.startsWith(scope) && request.method === "GET";
  if (isOurs && !request.headers.has("range")) event.respondWith(respond(event));
});

/** A URL without the hash of the file, which the build writes into names, and folders of networks. */
const stemOf = (url: string) =>
  url.replace(/-[A-Z0-9]{8}(?=\.\w+$)|(?<=\/)[0-9a-f]{12}\/|\?[0-9a-f]{12}$/, "");

/** Stores the files that a first visit stores, and those that pages of the version before have used. */
async function install(): Promise<void> {
  const names = await stores();
  const stored = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
  const used = new Set(stored.flat().map(({ url }) => stemOf(url)));
  const urls = [...first, ...later.filter((url) => used.has(stemOf(url)))];
  const isPage = (url: string) => url.endsWith("/");
  await store(urls.filter((url) => !isPage(url)));
  await store(urls.filter(isPage)); // last: a store that has them is complete
}

/** Stores the files that are not stored yet. Fails if one cannot be downloaded. */
async function store(urls: readonly string[]): Promise<void> {
  const cache = await caches.open(name);
  await Promise.all(
    urls.filter((url) => sizes.has(url)).map(async (url) => {
      if (await cache.match(url)) return;
      // A URL with a hash never has other contents. Of another one, an old version may be stored.
      const stored = stemOf(url) === url ? undefined : await caches.match(url);
      try {
        await keep(cache, url, stored ?? await fetch(url, { cache: "no-cache" }));
      } catch { // the browser, or an old store, may have only a part of the file
        await keep(cache, url, await fetch(url, { cache: "reload" }));
      }
    }),
  );
}

/** Stores a response. Fails if it is not the whole file. */
async function keep(cache: Cache, url: string, response: Response): Promise<void> {
  if (!isFile(url, response)) throw new Error(`${url}: ${response.status}`);
  const missing = `${url}: the end is missing`;
  let bytes = 0;
  const counted = response.body!.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        bytes += chunk.length;
        controller.enqueue(chunk);
      },
      flush(controller) {
        // without a length, a connection that breaks looks like the end; a host may add to a page
        if (bytes < sizes.get(url)!) controller.error(new Error(missing));
      },
    }),
  );
  await cache.put(url, new Response(counted, response));
}

/**
 * Whether a response is the file of a URL, and not a page in its place: some servers send one with status
 * 200 for a file that they do not have yet. Such a page must not be stored.
 */
function isFile(url: string, { ok, body, headers }: Response): boolean {
  const isPage = /^text\/html\b/i.test(headers.get("content-type") ?? "");
  return ok && body !== null && isPage === url.endsWith("/");
}

/** The names of the stores of all versions, from the oldest to the newest. */
async function stores(): Promise<string[]> {
  return (await caches.keys()).filter((key) => key.startsWith(prefix));
}

/** Deletes the stores of older versions, and takes over the open pages. */
async function activate(): Promise<void> {
  const old = (await stores()).filter((key) => key !== name);
  await Promise.all(old.map((key) => caches.delete(key)));
  await worker.clients.claim();
}

/** The URL under which a file is stored: with its hash, but without what links add. */
function keyOf(url: string): string {
  return url.replace(/#.*|\?(?![0-9a-f]{12}$).*/, "").replace(/\/index\.html$/, "/");
}

/** What is stored of a file, in the newest store that has it. */
async function storedIn(key: string): Promise<Response | undefined> {
  for (const cacheName of (await stores()).reverse()) {
    const stored = await caches.match(key, { cacheName });
    if (stored) return stored;
  }
}

/** Answers from the store, or else from the network. */
async function respond(event: WorkerEvent): Promise<Response> {
  const { request } = event;
  const key = keyOf(request.url);
  // a browser may be unable to read or write the store; the page needs the file all the same
  const stored = await storedIn(key).catch(() => undefined);
  if (stored) return isolated(stored);
  if (request.mode === "navigate" && sizes.has(`${key}/`)) return Response.redirect(`${key}/`);
  const response = await fetch(request);
  if (sizes.has(key) && isFile(key, response)) {
    const copy = response.clone(); // the page need not wait for it
    event.waitUntil(caches.open(name).then((cache) => keep(cache, key, copy)).catch(() => {}));
  }
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
