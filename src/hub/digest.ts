/**
 * The hashes that downloads are verified by.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** The hash that a file must have. */
export interface FileDigest {
  /** SHA-256, or the id that Git gives the file. */
  readonly kind: "sha256" | "gitBlob";
  /** Its hexadecimal digits in lower case, or the first of them. */
  readonly digits: string;
}

/** The names of both kinds, in messages. */
export const digestNames = { sha256: "SHA-256", gitBlob: "Git blob id" } as const;

/** Computes a hash of an open file. */
export async function digestOf(
  file: Deno.FsFile,
  kind: FileDigest["kind"],
  signal?: AbortSignal,
): Promise<string> {
  const hash = createHash(kind === "sha256" ? "sha256" : "sha1");
  if (kind === "gitBlob") hash.update(`blob ${(await file.stat()).size}\0`);
  const buffer = new Uint8Array(1 << 20);
  await file.seek(0, Deno.SeekMode.Start);
  for (let count; (count = await file.read(buffer)) !== null;) {
    signal?.throwIfAborted();
    hash.update(buffer.subarray(0, count));
  }
  return hash.digest("hex");
}

/** Says how the actual hash of a file differs from the expected one; undefined if it does not. */
export function mismatch({ kind, digits }: FileDigest, actual: string): string | undefined {
  if (digits.length > 0 && actual.startsWith(digits)) return undefined;
  const expected = digits.length < actual.length ? `${digits}…` : digits;
  return `its ${digestNames[kind]} is ${actual}, not ${expected}`;
}
