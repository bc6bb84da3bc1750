/**
 * Helpers for reading a file's bytes, and the errors for truncated and damaged files.
 *
 * @module
 */

import { FileError } from "../../errors.ts";

/** A view of exactly these bytes, which may be a part of their buffer. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** `length` bytes as Latin-1 text; fewer at the end of the file. */
export function text(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

/** Whether the file has this Latin-1 text at this offset. */
export function hasText(bytes: Uint8Array, at: number, expected: string): boolean {
  return text(bytes, at, expected.length) === expected;
}

/**
 * Parts of a file to read at most, such as chunks. No image has as many, but to walk millions of them
 * would block a server.
 */
export const maxParts = 2 ** 16;

/** The error for a file that ends too early. */
export function truncated(file: string, format: string): FileError {
  return new FileError(file, `the ${format} is truncated (incomplete copy or download?)`);
}

/** The error for a complete file with invalid content. */
export function damaged(file: string, format: string, reason: string): FileError {
  return new FileError(file, `the ${format} is damaged: ${reason}`);
}
