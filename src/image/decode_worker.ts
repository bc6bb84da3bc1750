/**
 * What a worker of {@linkcode Decoders} does: bytes in, a network's input out.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { type Decoded, decodeFor } from "./decoded.ts";
import type { Job } from "./decoders.ts";

/** What a worker answers. */
export type Answer =
  & { readonly number: number }
  & (
    | { readonly decoded: Decoded }
    | { readonly file: string; readonly reason: string }
    | { readonly unexpected: unknown }
  );

/** A worker's global scope; packages are not type-checked as workers. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Job>) => void;
  postMessage(message: Answer, transfer: Transferable[]): void;
};

scope.onmessage = async ({ data }) => {
  const { number, bytes, preprocessing, options } = data;
  try {
    const decoded = await decodeFor(preprocessing, bytes, options);
    answer({ number, decoded }, [decoded.values.buffer]);
  } catch (error) {
    if (error instanceof FileError) answer({ number, file: error.file, reason: error.reason });
    else answer({ number, unexpected: error });
  }
};

function answer(message: Answer, transfer: Transferable[] = []): void {
  scope.postMessage(message, transfer);
}
