/** The worker, where everything is computed. It computes calls one at a time, in order. */

/// <reference lib="dom" />

import { wasmProblem } from "../problems.ts";
import { pageHandlers } from "./page_handlers.ts";
import type { Answer, CallContext, Calls, Handlers, Request, Response } from "./protocol.ts";

/** Calls that need neither the network nor other calls: they do not wait for a long download. */
const independent: readonly string[] = ["photo", "devices", "loadForLater"];

const scope = globalThis as unknown as Worker;
const waiting: Extract<Request, { call: string }>[] = [];
const running = new Map<number, AbortController>();
let isComputing = false;

scope.addEventListener("message", ({ data }: MessageEvent<Request>) => {
  if ("cancel" in data) {
    const place = waiting.findIndex(({ id }) => id === data.id);
    if (place >= 0) waiting.splice(place, 1);
    running.get(data.id)?.abort();
  } else if (independent.includes(data.call)) {
    compute(data);
  } else {
    waiting.push(data);
    if (!isComputing) computeAll();
  }
});

async function computeAll(): Promise<void> {
  isComputing = true;
  for (let next = waiting.shift(); next; next = waiting.shift()) await compute(next);
  isComputing = false;
}

async function compute({ id, call, takes }: typeof waiting[number]): Promise<void> {
  const controller = new AbortController(), { signal } = controller;
  running.set(id, controller);
  const context: CallContext<Calls[string]> = {
    report: (report) => answer({ id, report }),
    signal,
    pause: async () => {
      await new Promise((resolve) => setTimeout(resolve));
      signal.throwIfAborted();
    },
  };
  try {
    await context.pause(); // it may have been cancelled meanwhile
    const handlers = await handlersOf(call);
    answer({ id, returned: await handlers[call](takes, context) });
  } catch (error) {
    const { message, name } = error instanceof Error ? error : new Error(String(error));
    const problem = wasmProblem(); // whatever failed: nothing can be computed
    answer({ id, error: problem ?? message, kind: problem ? "Error" : name });
  } finally {
    running.delete(id);
  }
}

/** Those of "Teach it" are loaded when it is used. */
async function handlersOf(call: string): Promise<Handlers<Calls>> {
  const handlers = call in pageHandlers
    ? pageHandlers
    : (await import("./teach_worker.ts")).teachHandlers;
  return handlers as unknown as Handlers<Calls>;
}

/** Sends an answer. Pixels and bitmaps in it are moved, not copied. */
function answer(response: Answer): void {
  const moved: Transferable[] = [];
  if ("returned" in response) {
    for (const value of Object.values(response.returned ?? {})) {
      if (value instanceof ImageBitmap) moved.push(value);
      else if (value?.data instanceof Uint8ClampedArray) moved.push(value.data.buffer);
    }
  }
  scope.postMessage(response, moved);
}

// The page cannot see what its worker loads, but has to store it for the next visit.
new PerformanceObserver((list) => {
  const loaded = list.getEntries().map(({ name }) => name);
  scope.postMessage({ loaded } satisfies Response);
}).observe({ type: "resource", buffered: true });
