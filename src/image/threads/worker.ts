/**
 * What the worker of a {@linkcode DecodeThread} does: bytes in, a network's input out.
 *
 * @module
 */

import { FileError, TooLargeError } from "../../errors.ts";
import type { Job } from "./thread.ts";
import { type Decoded, decodeFor } from "../prepare.ts";

/** What a worker says: that it has started, what came of an image, or what ends it. */
export type Said =
  | { readonly started: true }
  | { readonly ended: string }
  | Answer;

/** What came of an image. */
export type Answer =
  & { readonly number: number }
  & (
    | { readonly decoded: Decoded }
    | { readonly file: string; readonly reason: string; readonly tooLarge: boolean }
    | { readonly unexpected: unknown }
  );

/** A worker's global scope; packages are not type-checked as workers. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Job & { readonly number: number }>) => void;
  postMessage(message: Said, transfer: Transferable[]): void;
  close(): void;
};

scope.onmessage = async ({ data }) => {
  const { number, bytes, preprocessing, options } = data;
  try {
    const decoded = await decodeFor(preprocessing, bytes, options);
    say({ number, decoded }, [decoded.values.buffer]);
  } catch (error) {
    if (error instanceof FileError) {
      const { file, reason } = error;
      say({ number, file, reason, tooLarge: error instanceof TooLargeError });
    } else say({ number, unexpected: error });
  }
};

// left alone, the runtime would print them with a stack
globalThis.addEventListener("error", (event) => end(event, event.message));
globalThis.addEventListener("unhandledrejection", (event) => end(event, event.reason));

function end(event: Event, reason: unknown): void {
  event.preventDefault();
  say({ ended: reason instanceof Error ? reason.message : String(reason) });
  scope.close();
}

function say(message: Said, transfer: Transferable[] = []): void {
  scope.postMessage(message, transfer);
}

say({ started: true });
