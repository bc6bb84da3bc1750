/** Makes the page work offline after the first visit, which no service worker sees. */

/// <reference lib="dom" />

import type { Response } from "./protocol.ts";

/** Lets the service worker store what a worker of this page loads. On later visits it does so itself. */
export function storeFilesOf(worker: Worker): void {
  const { serviceWorker } = navigator as { readonly serviceWorker?: ServiceWorkerContainer };
  if (!serviceWorker || serviceWorker.controller) return;
  worker.addEventListener("message", async ({ data }: MessageEvent<Response>) => {
    if ("loaded" in data) (await serviceWorker.ready).active?.postMessage(data.loaded);
  });
}
