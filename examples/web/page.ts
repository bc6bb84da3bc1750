/**
 * What every page does: it says why the page does not start, and registers the service worker, which
 * makes the pages work offline.
 *
 * A page with `<html data-threads>` needs cross-origin isolation for threads. If the host does not send
 * the headers for it, the page loads once more, because the service worker adds them then. If the reader
 * already uses the page, it waits for the next visit.
 */

/// <reference lib="dom" />

const main = document.querySelector("main");

/** Says why the page does not start, unless it has started. */
function fail(text: string): void {
  const problem = document.getElementById("problem"),
    starting = document.getElementById("starting");
  if (!problem || !starting) return;
  starting.remove();
  main!.setAttribute("aria-busy", "false");
  problem.textContent = text;
  problem.hidden = false;
}

/** Whether a script is a file of this site. Hosts and extensions add others, also in the page itself. */
function isOwn(url: string): boolean {
  return url.startsWith(new URL("./", import.meta.url).href) && /\.js(\?|$)/.test(url);
}

for (const script of document.scripts) {
  if (!isOwn(script.src)) continue;
  script.addEventListener("error", () => {
    fail("A part of the page cannot be loaded. Load it again.");
  });
}
addEventListener("error", ({ filename }) => {
  // that the browser cannot read, or that uses what it lacks
  if (isOwn(filename)) fail("The page does not work in this browser: use a current one.");
});
if (document.getElementById("starting")) main!.setAttribute("aria-busy", "true"); // until it has started

/** Undefined where a page may not have one: without HTTPS, and in some private windows. */
const container = navigator.serviceWorker as ServiceWorkerContainer | undefined;

/** Whether the reader has done something on the page. */
let isInUse = false;
for (const type of ["pointerdown", "keydown", "drop", "paste"]) {
  addEventListener(type, () => isInUse = true, { once: true, capture: true });
}

async function start(container: ServiceWorkerContainer): Promise<void> {
  const wasControlled = container.controller !== null;
  const registration = await container.register(new URL("service_worker.js", import.meta.url));
  // An earlier visit downloaded a new version. This page is of it, whichever worker answers.
  registration.waiting?.postMessage("activate");
  const { active } = await container.ready;
  if (wasControlled) return;
  // What this page loaded before the worker started has to be stored, too.
  const observer = new PerformanceObserver((list) => {
    active?.postMessage(list.getEntries().map(({ name }) => name));
  });
  observer.observe({ type: "resource", buffered: true });
  if (!document.documentElement.hasAttribute("data-threads") || crossOriginIsolated) return;
  if (!container.controller) await controllerChange(container);
  if (sessionStorage.getItem("reloaded")) return; // once is enough if the browser refuses
  if (isInUse) return; // the reader would lose what they did
  sessionStorage.setItem("reloaded", "for threads");
  location.reload();
}

function controllerChange(container: ServiceWorkerContainer): Promise<Event> {
  return new Promise((resolve) =>
    container.addEventListener("controllerchange", resolve, { once: true })
  );
}

// Without a service worker, the page needs the network, and computes on one thread.
if (container) start(container).catch(() => {});
