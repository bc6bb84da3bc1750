/**
 * The checksum of a safetensors file in the cache, which its metadata holds. It is computed while the
 * file is read, so that a flipped bit is found at almost no cost.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import type { ByteSource } from "../weights/io/source.ts";
import { checksumKey } from "../weights/stored.ts";

/** Stands for the checksum until it is known. */
export const emptyChecksum = "00000000";

/** Headers above this are not searched. */
const maxHeaderBytes = 2 ** 24;
const chunkBytes = 2 ** 20;

/** A file's beginning, up to its tensors, and the checksum in it. */
interface Header {
  /** The bytes with an empty checksum. */
  readonly bytes: Uint8Array;
  /** The position of the checksum's eight digits. */
  readonly at: number;
  readonly checksum: string;
}

/** Computes the checksum of a complete file and writes it to its place. */
export async function writeChecksum(file: Deno.FsFile): Promise<void> {
  const read = (offset: number, into: Uint8Array) => {
    file.seekSync(offset, Deno.SeekMode.Start);
    for (let rest = into; rest.length > 0;) {
      const count = file.readSync(rest);
      if (count === null) throw new Error("the file became shorter");
      rest = rest.subarray(count);
    }
  };
  const { size } = file.statSync();
  const start = new Uint8Array(8);
  read(0, start);
  const length = headerLength(start, size);
  const bytes = new Uint8Array(length ?? 0);
  read(0, bytes);
  const header = findChecksum(bytes);
  if (!header) throw new Error("the file has no place for a checksum");
  const crc32 = await loadCrc32();
  let crc = crc32(header.bytes);
  for (let at = bytes.length; at < size;) {
    const chunk = new Uint8Array(Math.min(chunkBytes, size - at));
    read(at, chunk);
    crc = crc32(chunk, crc);
    at += chunk.length;
  }
  file.seekSync(header.at, Deno.SeekMode.Start);
  file.writeSync(new TextEncoder().encode(hex(crc)));
}

/** A source that computes the checksum of what is read. */
export interface CheckedSource extends ByteSource {
  /**
   * Reads what has not been read yet, and compares the checksum.
   *
   * @throws {FileError} When the file is damaged.
   */
  finish(): Promise<void>;
}

/** Wraps a source. Files without a checksum are not checked. */
export async function checkedSource(source: ByteSource): Promise<CheckedSource> {
  const header = await readHeader(source);
  const crc32 = header ? await loadCrc32() : () => 0;
  let crc = header ? crc32(header.bytes) : 0, end = header?.bytes.length ?? source.size;
  const readOn = async (until: number) => {
    const chunk = new Uint8Array(Math.min(chunkBytes, until - end));
    while (end < until) {
      const part = chunk.subarray(0, Math.min(chunk.length, until - end));
      await source.read(end, part);
      crc = crc32(part, crc);
      end += part.length;
    }
  };
  return {
    name: source.name,
    size: source.size,
    forward: source.forward,
    ...(source.sibling && { sibling: (name: string) => source.sibling!(name) }),
    async read(offset, into) {
      if (offset > end) await readOn(offset);
      await source.read(offset, into);
      const known = end - offset;
      if (known < into.length) {
        crc = crc32(known > 0 ? into.subarray(known) : into, crc);
        end = offset + into.length;
      }
    },
    async finish() {
      await readOn(source.size);
      if (header && hex(crc) !== header.checksum) {
        throw new FileError(source.name, "is damaged: its checksum is wrong");
      }
    },
    close: () => source.close(),
  };
}

/** Reads a whole file and compares its checksum. */
export async function verify(source: ByteSource): Promise<void> {
  await (await checkedSource(source)).finish();
}

/** Node's checksum. It is imported only when there is one, because that takes 40 ms. */
async function loadCrc32(): Promise<(bytes: Uint8Array, crc?: number) => number> {
  return (await import("node:zlib")).crc32;
}

async function readHeader(source: ByteSource): Promise<Header | undefined> {
  if (source.size < 8) return undefined;
  const start = new Uint8Array(8);
  await source.read(0, start);
  const length = headerLength(start, source.size);
  if (length === undefined) return undefined;
  const bytes = new Uint8Array(length);
  await source.read(0, bytes);
  return findChecksum(bytes);
}

/** The length of a safetensors header with its length field; undefined for other files. */
function headerLength(start: Uint8Array, size: number): number | undefined {
  const { buffer, byteOffset } = start;
  const length = 8 + Number(new DataView(buffer, byteOffset).getBigUint64(0, true));
  return length <= Math.min(size, maxHeaderBytes) ? length : undefined;
}

function findChecksum(bytes: Uint8Array): Header | undefined {
  const text = new TextDecoder("latin1").decode(bytes);
  const match = new RegExp(`"${checksumKey}":"([\\da-f]{8})"`).exec(text);
  if (!match) return undefined;
  const at = match.index + match[0].length - 1 - emptyChecksum.length;
  const cleared = bytes.slice();
  cleared.set(new TextEncoder().encode(emptyChecksum), at);
  return { bytes: cleared, at, checksum: match[1] };
}

function hex(crc: number): string {
  return (crc >>> 0).toString(16).padStart(8, "0");
}
