/**
 * The checksum of a safetensors file in the cache, which is part of the file's metadata. It is
 * compared while the file is read, so that finding a flipped bit costs almost nothing.
 *
 * @module
 */

import { FileError } from "../errors.ts";
import { type ByteSource, readBytes } from "../weights/io/source.ts";
import { checksumKey } from "../weights/stored.ts";

/** Stands for the checksum until it is known. */
export const emptyChecksum = "00000000";

/** Longer headers are not searched for a checksum. */
const maxHeaderBytes = 2 ** 24;

/** How much is read at a time. */
const chunkBytes = 2 ** 20;

/** The beginning of a file, up to its tensors, and the checksum in it. */
interface Header {
  /** The bytes, with an empty checksum in place of the real one. */
  readonly bytes: Uint8Array;
  /** The offset of the checksum's eight digits. */
  readonly at: number;
  readonly checksum: string;
}

/** Computes the checksum of a complete file and writes it to its place. */
export async function writeChecksum(file: Deno.FsFile): Promise<void> {
  const { size } = file.statSync();
  const source: ByteSource = {
    name: "the file",
    size,
    // deno-lint-ignore require-await -- async, so that an error rejects instead of being thrown
    async read(offset, into) {
      file.seekSync(offset, Deno.SeekMode.Start);
      for (let rest = into; rest.length > 0;) {
        const count = file.readSync(rest);
        if (count === null) throw new Error("the file became shorter");
        rest = rest.subarray(count);
      }
    },
    close() {},
  };
  const header = await readHeader(source);
  if (!header) throw new Error("the file has no place for a checksum");
  const crc32 = await loadCrc32();
  let crc = crc32(header.bytes);
  for (let at = header.bytes.length; at < size;) {
    const chunk = await readBytes(source, at, Math.min(chunkBytes, size - at));
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

/** Wraps a source, and checks what is read. Files without a checksum pass. */
export async function checkedSource(source: ByteSource): Promise<CheckedSource> {
  const header = await readHeader(source);
  const crc32 = header ? await loadCrc32() : () => 0;
  let crc = header ? crc32(header.bytes) : 0;
  let checked = header?.bytes.length ?? source.size; // the offset up to which `crc` covers the file
  const readOn = async (until: number) => {
    const chunk = new Uint8Array(Math.min(chunkBytes, until - checked));
    while (checked < until) {
      const part = chunk.subarray(0, Math.min(chunk.length, until - checked));
      await source.read(checked, part);
      crc = crc32(part, crc);
      checked += part.length;
    }
  };
  return {
    name: source.name,
    size: source.size,
    forward: source.forward,
    ...(source.sibling && { sibling: (name: string) => source.sibling!(name) }),
    async read(offset, into) {
      if (offset > checked) await readOn(offset);
      await source.read(offset, into);
      const end = offset + into.length;
      if (end <= checked) return;
      crc = crc32(into.subarray(checked - offset), crc);
      checked = end;
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

/** Node's CRC-32. The import takes 40 ms, so only files with a checksum pay for it. */
async function loadCrc32(): Promise<(bytes: Uint8Array, crc?: number) => number> {
  return (await import("node:zlib")).crc32;
}

/** Reads the header of a safetensors file; undefined if it has no checksum, or is another file. */
async function readHeader(source: ByteSource): Promise<Header | undefined> {
  if (source.size < 8) return undefined;
  const lengthField = new DataView((await readBytes(source, 0, 8)).buffer);
  const length = 8 + Number(lengthField.getBigUint64(0, true));
  if (length > Math.min(source.size, maxHeaderBytes)) return undefined;
  const bytes = await readBytes(source, 0, length);
  const text = new TextDecoder("latin1").decode(bytes);
  const match = new RegExp(`"${checksumKey}":"([\\da-f]{8})"`).exec(text);
  if (!match) return undefined;
  const [item, checksum] = match, at = match.index + item.length - 1 - checksum.length;
  bytes.set(new TextEncoder().encode(emptyChecksum), at);
  return { bytes, at, checksum };
}

function hex(crc: number): string {
  return (crc >>> 0).toString(16).padStart(8, "0");
}
