/** What SIGINT and SIGTERM do while the command writes files. */

import { temporaryFiles } from "../io/write_file.ts";
import { isGranted } from "./errors.ts";

/** The signals that stop a command. */
export const signals: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

/** What the worker is sent: first the signals, later the files. */
export interface InterruptMessage {
  readonly signals?: readonly Deno.Signal[];
  readonly paths: readonly string[];
}

/** Writes files. If a signal stops the command meanwhile, it deletes the incomplete ones first. */
export async function withSignalCleanup<T>(write: () => Promise<T>): Promise<T> {
  const listeners = signals.map((signal) => [signal, () => stop(signal)] as const);
  const ignore = () => listeners.forEach((listener) => Deno.removeSignalListener(...listener));
  const stop = (signal: Deno.Signal) => {
    ignore();
    for (const path of temporaryFiles) {
      try {
        Deno.removeSync(path);
      } catch { // deleted already
      }
    }
    // a shell stops its script only if the signal ended the command
    if (isGranted({ name: "run" })) Deno.kill(Deno.pid, signal);
    else Deno.exit(signal === "SIGINT" ? 130 : 143);
  };
  listeners.forEach((listener) => Deno.addSignalListener(...listener));
  try {
    return await write();
  } finally {
    ignore();
  }
}

/**
 * As {@linkcode withSignalCleanup}, for writing while this thread is busy for seconds at a time: another
 * one waits for signals. Without the permission to end the command from there, this one does.
 *
 * @param write Calls `onCreated` when the incomplete file exists.
 */
export async function withSignalCleanupWhenBusy<T>(
  write: (onCreated: () => void) => Promise<T>,
): Promise<T> {
  const here = () => withSignalCleanup(() => write(() => {}));
  if (!isGranted({ name: "run" })) return await here();
  const worker = new Worker(new URL("./interrupt_worker.ts", import.meta.url), { type: "module" });
  const send = (message: InterruptMessage) => worker.postMessage(message);
  try {
    const listens = await new Promise<boolean>((resolve) => {
      worker.onmessage = () => resolve(true);
      worker.onerror = (event) => {
        event.preventDefault();
        resolve(false);
      };
      send({ signals, paths: [] });
    });
    return listens ? await write(() => send({ paths: [...temporaryFiles] })) : await here();
  } finally {
    worker.terminate();
  }
}
