/**
 * The fingerprint of a network's weights, whatever file they come from: a SHA-256.
 *
 * Each parameter is split into pieces of 65,536 float32 values, the last one of fewer, in
 * little-endian order. The fingerprint is the SHA-256 of lines, sorted by name, of the name of a
 * parameter, a space, and the hexadecimal SHA-256 of each piece, separated by commas. The parameters
 * of the last layer are left out.
 *
 * @module
 */

import { PembrokeError } from "../errors.ts";
import type { Classifier } from "./classifier.ts";

/** Values in a piece. */
const pieceSize = 1 << 16;

/** A parameter whose values arrive in chunks. */
interface Pieces {
  readonly digests: Promise<string>[];
  readonly values: Float32Array;
  filled: number;
}

/** Computes a fingerprint. */
export class Fingerprint {
  readonly #parameters = new Map<string, Pieces>();

  /** Adds the next values of a parameter. */
  add(name: string, values: Float32Array): void {
    const pieces = this.#parameters.get(name) ??
      { digests: [], values: new Float32Array(pieceSize), filled: 0 };
    this.#parameters.set(name, pieces);
    for (let at = 0; at < values.length;) {
      const chunk = values.subarray(at, at + pieceSize - pieces.filled);
      pieces.values.set(chunk, pieces.filled);
      pieces.filled += chunk.length;
      at += chunk.length;
      if (pieces.filled === pieceSize) finishPiece(pieces);
    }
  }

  /**
   * The SHA-256 of all parameters but those whose names start with `except`, in hexadecimal digits.
   *
   * @throws {PembrokeError} In a page without https, where there is no SHA-256.
   */
  async digest(except: string): Promise<string> {
    const lines: string[] = [];
    for (const [name, pieces] of this.#parameters) {
      if (pieces.filled > 0) finishPiece(pieces);
      if (name.startsWith(except)) continue;
      lines.push(`${name} ${(await Promise.all(pieces.digests)).join()}\n`);
    }
    return await sha256(new TextEncoder().encode(lines.sort().join("")));
  }
}

function finishPiece(pieces: Pieces): void {
  pieces.digests.push(sha256(new Uint8Array(pieces.values.slice(0, pieces.filled).buffer)));
  pieces.filled = 0;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  if (!globalThis.crypto?.subtle) {
    throw new PembrokeError("there is no SHA-256 in this page: it needs https, or localhost");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Returns the fingerprint of the layers of a classifier, without the last one.
 *
 * @throws {PembrokeError} When a parameter has no float32 values.
 */
export async function fingerprintOf(model: Classifier): Promise<string> {
  const fingerprint = new Fingerprint(), head = `${model.head.name}.`;
  for (const [name, { tensor }] of model.stateDict()) {
    if (name.startsWith(head)) continue;
    if (!tensor) {
      throw new PembrokeError(
        `saveModel: ${name} has no float32 values; call init() or load weights in f32 first`,
      );
    }
    fingerprint.add(name, await tensor.read());
  }
  return await fingerprint.digest(head);
}
