/** Reading integers and names out of a file's bytes, and the words for a file that ends too early. */

import { FileError } from "../../errors.ts";

/** A view of the bytes, wherever in their buffer they lie. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** `length` bytes as Latin-1, fewer where the file ends. */
export function text(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

/** Whether the file has this Latin-1 text at this place. */
export function hasText(bytes: Uint8Array, at: number, expected: string): boolean {
  return text(bytes, at, expected.length) === expected;
}

/** The error for a file whose end is missing. */
export function cutOff(file: string, format: string): FileError {
  return new FileError(
    file,
    `the ${format} ends before its last row (cut off while copying or downloading?)`,
  );
}

/** The error for a file that is all there, and wrong. */
export function damaged(file: string, format: string, reason: string): FileError {
  return new FileError(file, `the ${format} is damaged: ${reason}`);
}
