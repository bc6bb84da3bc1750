/**
 * The worker behind a `DecodeThread`: decodes and preprocesses the images it is sent.
 *
 * @module
 */

import { FileError, TooLargeError } from "../../errors.ts";
import { prepareImage } from "../prepare.ts";
import type { DecodeRequest, WorkerMessage } from "./protocol.ts";

/** The worker's global scope. Deno type-checks this file as a document, not as a worker. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<DecodeRequest>) => void;
  postMessage(message: WorkerMessage, transfer: Transferable[]): void;
  close(): void;
};

scope.onmessage = async ({ data }) => {
  const { id, bytes, preprocessing, options } = data;
  try {
    const image = await prepareImage(bytes, preprocessing, options);
    send({ id, image }, [image.values.buffer]);
  } catch (error) {
    if (error instanceof FileError) {
      const { file, reason } = error;
      send({ id, file, reason, tooLarge: error instanceof TooLargeError });
    } else send({ id, error });
  }
};

// Report crashes as messages: by default the runtime would print a stack trace.
globalThis.addEventListener("error", (event) => crash(event, event.message));
globalThis.addEventListener("unhandledrejection", (event) => crash(event, event.reason));

function crash(event: Event, reason: unknown): void {
  event.preventDefault();
  send({ crashed: reason instanceof Error ? reason.message : String(reason) });
  scope.close();
}

function send(message: WorkerMessage, transfer: Transferable[] = []): void {
  scope.postMessage(message, transfer);
}

send({ started: true });
