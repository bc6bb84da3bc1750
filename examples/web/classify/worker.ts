/** The worker, where everything is computed. It computes calls one at a time, in order. */

/// <reference lib="dom" />

import { pageHandlers } from "./page_handlers.ts";
import type { CallContext, Calls, Handlers, Request, Response } from "./protocol.ts";
import { teachHandlers } from "./teach_worker.ts";

const handlers = { ...pageHandlers, ...teachHandlers } as unknown as Handlers<Calls>;

const scope = globalThis as unknown as Worker;
const waiting: Extract<Request, { call: string }>[] = [];
const running = new Map<number, AbortController>();

scope.addEventListener("message", ({ data }: MessageEvent<Request>) => {
  if ("cancel" in data) {
    const place = waiting.findIndex(({ id }) => id === data.id);
    if (place >= 0) waiting.splice(place, 1);
    running.get(data.id)?.abort();
    return;
  }
  waiting.push(data);
  if (running.size === 0) computeAll();
});

async function computeAll(): Promise<void> {
  for (let next = waiting.shift(); next; next = waiting.shift()) await compute(next);
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
    answer({ id, returned: await handlers[call](takes, context) });
  } catch (error) {
    answer({ id, error: error instanceof Error ? error.message : String(error) });
  } finally {
    running.delete(id);
  }
}

/** Sends an answer. The buffers of pixels in it are moved, not copied. */
function answer(response: Response): void {
  const buffers: Transferable[] = [];
  if ("returned" in response && typeof response.returned === "object") {
    for (const value of Object.values(response.returned ?? {})) {
      if (value?.data instanceof Uint8ClampedArray) buffers.push(value.data.buffer);
    }
  }
  scope.postMessage(response, buffers);
}
