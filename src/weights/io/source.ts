/**
 * Random access to bytes, so that a file of any size is read a piece at a time and never held whole.
 *
 * @module
 */

import { ArgumentError, FileError } from "../../errors.ts";
import { asBytes, isBlob, kindOf } from "../../kinds.ts";

/** Bytes that can be read from anywhere: a file, memory, a Blob. */
export interface ByteSource {
  /** What the user knows it by; error messages begin with it. */
  readonly name: string;
  /** How many bytes there are; {@linkcode unknownSize} for a stream that does not say. */
  readonly size: number;
  /** Whether what was read is gone: bytes are best asked for in their order. */
  readonly forward?: boolean;
  /**
   * Fills `into` with the bytes from `offset` on.
   *
   * @throws {FileError} When the source ends before `into` is full, or was closed.
   */
  read(offset: number, into: Uint8Array): Promise<void>;
  /** Gives back what the source holds; closing twice does nothing. */
  close(): void;
}

/** Nothing that does not say how long it is may claim to be longer: 4 GiB. */
export const unknownSize = 2 ** 32;

/**
 * A source over bytes in memory. They are not copied, so they must stay as they are while it is used.
 *
 * @param bytes The whole file.
 * @param name What error messages call it.
 * @throws {ArgumentError} When they are no bytes.
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

/** Whether a value has what a source needs. */
export function isSource(value: unknown): value is ByteSource {
  const { read, close, size } = (value ?? {}) as Partial<ByteSource>;
  return typeof read === "function" && typeof close === "function" && typeof size === "number";
}

/**
 * A source over a Blob, for example a `File` that a page was given; only what is read is loaded.
 *
 * @param blob The whole file.
 * @param name What error messages call it; a `File` brings its own.
 * @throws {ArgumentError} When it is no Blob.
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
      } catch (cause) { // a File whose file on disk was changed or removed
        throw new FileError(name, "cannot be read any more", { cause });
      }
      into.set(new Uint8Array(bytes));
    },
    close() {},
  };
}

/** Longer claims of a stream are believed as far as bytes arrive: 1 MiB. */
const believedBytes = 1 << 20;

/** A copy of `length` bytes from `offset` on; for headers, and tensors that are needed whole. */
export async function readBytes(
  source: ByteSource,
  offset: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  // Before the allocation: a length that a damaged file claims must not be believed.
  checkRange(source, offset, length);
  const believed = source.forward ? Math.min(length, believedBytes) : length;
  let bytes = new Uint8Array(believed);
  await source.read(offset, bytes);
  while (bytes.length < length) {
    const more = new Uint8Array(Math.min(length, 2 * bytes.length));
    more.set(bytes);
    await source.read(offset + bytes.length, more.subarray(bytes.length));
    bytes = more;
  }
  return bytes;
}

/** Says that a stream does not do. */
export function disordered(file: string): FileError {
  const message =
    "its tensors lie in an order that cannot be read from a stream: download it first";
  return new FileError(file, message);
}

/** Throws unless a source has these bytes. */
export function checkRange(source: ByteSource, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= source.size) return;
  throw new FileError(
    source.name,
    `ends after ${source.size} bytes, where ${offset + length} are needed: truncated or damaged`,
  );
}
