/**
 * Random access to bytes, so that a file of any size can be read in chunks instead of loaded whole.
 *
 * @module
 */

import { ArgumentError, FileError } from "../../errors.ts";
import { asBytes, isBlob, kindOf } from "../../kinds.ts";

/** Bytes that can be read at any offset: a file, memory or a Blob. */
export interface ByteSource {
  /** The name that the user knows; error messages start with it. */
  readonly name: string;
  /** The size in bytes; 4 GiB for a stream of unknown length. */
  readonly size: number;
  /** Whether bytes should be read in order, because a stream drops most of what has passed. */
  readonly forward?: boolean;
  /**
   * Fills `into` with the bytes that start at `offset`.
   *
   * @throws {FileError} When the source ends before `into` is full, or is closed.
   */
  read(offset: number, into: Uint8Array): Promise<void>;
  /**
   * Opens another file in the same folder, for weights that consist of several files.
   *
   * @param name A file name without folders.
   * @throws {FileError} When there is no such file, or it is a link to another folder.
   */
  sibling?(name: string): Promise<ByteSource>;
  /** Releases the source. Closing twice is harmless. */
  close(): void;
}

/** A part of a source, in bytes. */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/** The `size` of a stream whose length is unknown, and the most that it may have: 4 GiB. */
export const unknownSize = 2 ** 32;

/**
 * Creates a source over bytes in memory. They are not copied, so do not change them while it is
 * used.
 *
 * @param bytes The whole file.
 * @param name The file name in error messages.
 * @throws {ArgumentError} When `bytes` is not a Uint8Array or ArrayBuffer.
 *
 * @example
 * ```ts
 * import { bytesSource } from "./source.ts";
 *
 * const source = bytesSource(new Uint8Array([1, 2, 3]), "three.bin");
 * const last = new Uint8Array(1);
 * await source.read(2, last); // last is [3]
 * ```
 */
export function bytesSource(bytes: Uint8Array | ArrayBufferLike, name = "weights"): ByteSource {
  const all = asBytes(bytes);
  if (!all) {
    throw new ArgumentError("bytesSource", "bytes", bytes, "a Uint8Array or an ArrayBuffer");
  }
  return {
    name,
    size: all.length,
    // deno-lint-ignore require-await -- async, so that an error rejects instead of being thrown
    async read(offset, into) {
      checkRange(this, offset, into.length);
      into.set(all.subarray(offset, offset + into.length));
    },
    close() {},
  };
}

/** Whether a value looks like a {@linkcode ByteSource}. */
export function isSource(value: unknown): value is ByteSource {
  const { read, close, size } = (value ?? {}) as Partial<ByteSource>;
  return typeof read === "function" && typeof close === "function" && typeof size === "number";
}

/**
 * Creates a source over a Blob, such as a `File` from a web page. Only the parts that are read are
 * loaded.
 *
 * @param blob The whole file.
 * @param name The file name in error messages. Default: the name of a `File`.
 * @throws {ArgumentError} When `blob` is not a Blob.
 *
 * @example
 * ```ts
 * import { blobSource } from "./source.ts";
 *
 * const source = blobSource(new Blob([new Uint8Array([1, 2, 3])]), "three.bin");
 * console.log(source.size); // 3
 * ```
 */
export function blobSource(
  blob: Blob,
  name: string = kindOf(blob) === "File" ? (blob as File).name : "weights",
): ByteSource {
  if (!isBlob(blob)) throw new ArgumentError("blobSource", "blob", blob, "a Blob or a File");
  return {
    name,
    size: blob.size,
    async read(offset, into) {
      checkRange(this, offset, into.length);
      let bytes: ArrayBuffer;
      try {
        bytes = await blob.slice(offset, offset + into.length).arrayBuffer();
      } catch (cause) { // the file on disk was changed or removed
        throw new FileError(name, "can no longer be read", { cause });
      }
      into.set(new Uint8Array(bytes));
    },
    close() {},
  };
}

/** The most that is allocated for a stream before its bytes arrive: 1 MiB. */
const maxAheadBytes = 1 << 20;

/**
 * Reads `length` bytes at `offset` into new memory: for headers, and tensors that are needed whole.
 */
export async function readBytes(
  source: ByteSource,
  offset: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  // Check before allocating: a damaged file may claim any length.
  checkRange(source, offset, length);
  let bytes = new Uint8Array(source.forward ? Math.min(length, maxAheadBytes) : length);
  await source.read(offset, bytes);
  while (bytes.length < length) {
    const more = new Uint8Array(Math.min(length, 2 * bytes.length));
    more.set(bytes);
    await source.read(offset + bytes.length, more.subarray(bytes.length));
    bytes = more;
  }
  return bytes;
}

/** Reads the first 512 bytes, or fewer of a shorter file: enough to detect its format. */
export async function readStart(source: ByteSource): Promise<Uint8Array<ArrayBuffer>> {
  return await readBytes(source, 0, Math.min(source.size, 512));
}

/** The error for a read that a stream cannot serve. */
export function needsRandomAccess(file: string): FileError {
  return new FileError(
    file,
    "its tensors are stored in an order that cannot be read from a stream: download it first",
  );
}

/**
 * Checks that a source has these bytes.
 *
 * @throws {FileError} When it ends before.
 */
export function checkRange(source: ByteSource, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= source.size) return;
  throw new FileError(
    source.name,
    `ends after ${source.size} bytes, but ${offset + length} are needed: truncated or damaged`,
  );
}
