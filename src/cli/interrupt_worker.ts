/**
 * The worker behind `withSignalCleanupWhenBusy()`: when a signal arrives, it deletes files, and lets the
 * signal end the command.
 *
 * @module
 */

import type { InterruptMessage } from "./interrupts.ts";

/** The worker's global scope. Deno type-checks this file as a document, not as a worker. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<InterruptMessage>) => void;
  postMessage(message: "listening"): void;
};

let files: readonly string[] = [];

scope.onmessage = ({ data: { signals, paths } }) => {
  files = paths;
  if (!signals) return;
  for (const signal of signals) {
    Deno.addSignalListener(signal, function stop() {
      Deno.removeSignalListener(signal, stop); // for the one below
      for (const file of files) {
        try {
          Deno.removeSync(file);
        } catch { // deleted already
        }
      }
      Deno.kill(Deno.pid, signal);
    });
  }
  scope.postMessage("listening");
};
