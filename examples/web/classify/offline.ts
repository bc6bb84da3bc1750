/** Makes the page work offline after the first visit, which no service worker sees. */

/// <reference lib="dom" />

import type { Response } from "./protocol.ts";

/** The service workers of this page. Undefined where it may not have one. */
const { serviceWorker } = navigator as { readonly serviceWorker?: ServiceWorkerContainer };

/** Whether the page has a service worker. A browser without room for the files does not install it. */
export async function hasServiceWorker(): Promise<boolean> {
  return await serviceWorker?.getRegistration().catch(() => undefined) !== undefined;
}

/** Lets the service worker store what a worker of this page loads. On later visits it does so itself. */
export function storeFilesOf(worker: Worker): void {
  if (!serviceWorker || serviceWorker.controller) return;
  worker.addEventListener("message", ({ data }: MessageEvent<Response>) => {
    if (!("loaded" in data)) return;
    serviceWorker.ready.then(({ active }) => active?.postMessage(data.loaded))
      .catch(() => {}); // Firefox with cookies blocked
  });
}
