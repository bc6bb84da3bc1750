/** The page that classifies photos. */

/// <reference lib="dom" />

import { Client } from "./client.ts";
import type { PageCalls } from "./page_calls.ts";
import { startTeach } from "./teach.ts";
import type { TeachCalls } from "./teach_protocol.ts";

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const client = new Client<PageCalls>(worker);
const teach = document.getElementById("teach")!;

/** Tells "Teach it" about a network that was loaded, or moved to another device. */
function announceNetwork(classes: readonly string[]): void {
  teach.dispatchEvent(new CustomEvent("network", { detail: classes }));
}

startTeach(teach, new Client<TeachCalls>(worker));
client.call("classes", undefined).then(announceNetwork, () => {});
