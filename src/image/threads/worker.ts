/**
 * The worker behind a `DecodeThread`: decodes and preprocesses the images it is sent.
 *
 * @module
 */

import { FileError, toMessage } from "../../errors.ts";
import { detectFormat } from "../formats/mod.ts";
import { prepareImage } from "../prepare.ts";
import type { DecodeRequest, WorkerMessage } from "./protocol.ts";

/** The worker's global scope. Deno type-checks this file as a document, not as a worker. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<DecodeRequest>) => void;
  postMessage(message: WorkerMessage, transfer: Transferable[]): void;
  close(): void;
};

/** Ends when all requests so far are done. */
let queue = Promise.resolve();

scope.onmessage = ({ data }) => {
  // One at a time, so that the time an image takes is its own.
  queue = queue.then(() => handle(data));
};

async function handle(request: DecodeRequest): Promise<void> {
  const { id, bytes, preprocessing, options, cancelled } = request;
  if (cancelled && Atomics.load(cancelled, 0) === 1) return send({ id, cancelled: true });
  await loadCodec(bytes).catch(() => {}); // decoding reports the same error
  send({ begins: id });
  try {
    const image = await prepareImage(bytes, preprocessing, options);
    send({ id, image }, [image.values.buffer]);
  } catch (error) {
    if (error instanceof FileError) send({ id, fileError: toMessage(error) });
    else send({ id, error });
  }
}

/** Loads the codec of an image in advance: a download does not count as the image's time. */
async function loadCodec(bytes: Uint8Array): Promise<void> {
  const { name } = detectFormat(bytes, "image");
  if (name === "JPEG") {
    const { loadJpegCodec } = await import("../codecs/jpeg.ts");
    await loadJpegCodec();
  } else if (name === "WebP") {
    const { loadWebpCodec } = await import("../codecs/webp.ts");
    await loadWebpCodec();
  }
}

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
