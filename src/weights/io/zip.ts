/**
 * Reads the directory of uncompressed zip archives, as `torch.save()` writes them, including the
 * zip64 fields of large archives.
 *
 * Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { DescriptionBudget } from "./description_budget.ts";
import { type ByteRange, type ByteSource, readBytes } from "./source.ts";
import { escapeText } from "./quote.ts";

/** An entry, as the directory describes it. */
interface Entry {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly size: number;
  /** The offset of its local header. */
  readonly header: number;
  /** The offset of what follows the entry: the next one, or the directory. */
  limit: number;
}

const endSignature = 0x06054b50;
const zip64LocatorSignature = 0x07064b50;
const zip64EndSignature = 0x06064b50;
const entrySignature = 0x02014b50;
/** The signature of an entry's own header, before its contents. */
export const localSignature = 0x04034b50;

/** Enough for 100 000 entries, and small enough to hold in memory. */
const maxDirectoryBytes = 8 << 20;

/** The memory of an entry besides its name, in bytes. */
const entryBytes = 200;

const text = new TextDecoder();

/** An archive whose directory has been read. */
export class ZipArchive {
  constructor(readonly source: ByteSource, readonly entries: ReadonlyMap<string, Entry>) {}

  /**
   * Finds the contents of an entry; undefined if there is no entry of this name.
   *
   * @throws {FileError} When it is compressed, encrypted, or not where the directory says.
   */
  async find(name: string): Promise<ByteRange | undefined> {
    const entry = this.entries.get(name);
    if (!entry) return undefined;
    const bad = (why: string) =>
      new FileError(this.source.name, `its entry ${escapeText(name)} ${why}`);
    const unsupported = unsupportedReason(entry.flags, entry.method);
    if (unsupported) throw bad(unsupported);
    const local = view(await readBytes(this.source, entry.header, 30));
    const nameLength = local.getUint16(26, true);
    const start = entry.header + 30 + nameLength + local.getUint16(28, true);
    if (local.getUint32(0, true) !== localSignature || start + entry.size > entry.limit) {
      throw bad("is not where the directory says: damaged");
    }
    const localName = text.decode(await readBytes(this.source, entry.header + 30, nameLength));
    if (localName !== name) {
      throw bad(`is named ${escapeText(localName)} in its own header: damaged`);
    }
    return { start, length: entry.size };
  }
}

/**
 * Reads the directory of an archive.
 *
 * @throws {FileError} When there is none, or it is inconsistent.
 */
export async function readZip(source: ByteSource): Promise<ZipArchive> {
  const bad = (why: string) => new FileError(source.name, why);
  const { offset, size, end } = await findDirectory(source);
  if (size > maxDirectoryBytes) throw bad("has a zip directory of more than 8 MiB");
  if (!(offset + size <= end)) throw bad("has a zip directory outside the file: damaged");
  const list = readEntries(await readBytes(source, offset, size), offset, source.name);
  list.sort((a, b) => a.header - b.header);
  const entries = new Map<string, Entry>();
  for (const [i, entry] of list.entries()) {
    entry.limit = list[i + 1]?.header ?? entry.limit;
    if (entry.header + 30 + entry.size > entry.limit) {
      throw bad(`its entry ${escapeText(entry.name)} overlaps another: damaged`);
    }
    if (entries.has(entry.name)) {
      throw bad(`has two entries named ${escapeText(entry.name)}: damaged`);
    }
    entries.set(entry.name, entry);
  }
  return new ZipArchive(source, entries);
}

/**
 * Reads the entries of a directory, in its order.
 *
 * @param bytes The directory.
 * @param offset Its offset in the file, which must be behind all entries.
 * @param file The file name in error messages.
 */
function readEntries(bytes: Uint8Array, offset: number, file: string): Entry[] {
  const bad = (why: string) => new FileError(file, why);
  const directory = view(bytes), size = bytes.length;
  const entries: Entry[] = [], budget = new DescriptionBudget(file, "its zip directory");
  for (let at = 0; at < size;) {
    if (at + 46 > size || directory.getUint32(at, true) !== entrySignature) {
      throw bad("has a damaged zip directory");
    }
    const nameLength = directory.getUint16(at + 28, true);
    const extraLength = directory.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + directory.getUint16(at + 32, true);
    if (next > size) throw bad("has a damaged zip directory");
    budget.spend(entryBytes + 2 * nameLength);
    const name = text.decode(bytes.subarray(at + 46, at + 46 + nameLength));
    const extra = view(bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength));
    // A field of all ones did not fit: its value is the next one in the zip64 extra field.
    const wide = zip64Values(extra);
    const field = (place: number) => {
      const value = directory.getUint32(at + place, true);
      return value === 0xffffffff ? wide.shift() ?? NaN : value;
    };
    const unpacked = field(24), packed = field(20), header = field(42); // in the order of the values
    const method = directory.getUint16(at + 10, true);
    if (!(header + 30 + nameLength + packed <= offset) || (method === 0 && packed !== unpacked)) {
      throw bad(`its entry ${escapeText(name)} is outside the archive: damaged`);
    }
    const flags = directory.getUint16(at + 8, true);
    entries.push({ name, flags, method, size: packed, header, limit: offset });
    at = next;
  }
  return entries;
}

/** The reason why an entry cannot be read in place; undefined if it can. */
export function unsupportedReason(flags: number, method: number): string | undefined {
  if (flags & 1) return "is encrypted";
  if (method === 0) return undefined;
  return "is compressed, which torch.save() never does: save it again with torch.save()";
}

/** Finds the directory, and the end record after it. */
async function findDirectory(
  source: ByteSource,
): Promise<{ offset: number; size: number; end: number }> {
  // The end record has 22 bytes, and a comment of up to 65 535 bytes.
  const tailLength = Math.min(source.size, 22 + 65535);
  const tailStart = source.size - tailLength;
  const tail = view(await readBytes(source, tailStart, tailLength));
  const isEndRecord = (at: number) =>
    tail.getUint32(at, true) === endSignature &&
    at + 22 + tail.getUint16(at + 20, true) === tailLength;
  let at = tailLength - 22;
  while (at >= 0 && !isEndRecord(at)) at--;
  if (at < 0) {
    throw new FileError(
      source.name,
      "is a zip archive without an end record: truncated or damaged",
    );
  }
  const end = tailStart + at;
  const size = tail.getUint32(at + 12, true), offset = tail.getUint32(at + 16, true);
  const mayBeZip64 = size === 0xffffffff || offset === 0xffffffff ||
    tail.getUint16(at + 10, true) === 0xffff;
  if (!mayBeZip64 || at < 20 || tail.getUint32(at - 20, true) !== zip64LocatorSignature) {
    return { offset, size, end };
  }
  const recordAt = Number(tail.getBigUint64(at - 12, true));
  const record = view(await readBytes(source, recordAt, 56));
  if (record.getUint32(0, true) !== zip64EndSignature) {
    throw new FileError(source.name, "has a damaged zip64 directory");
  }
  return {
    offset: Number(record.getBigUint64(48, true)),
    size: Number(record.getBigUint64(40, true)),
    end: recordAt,
  };
}

/** The values in the zip64 extra field (id 1); empty if there is none. */
function zip64Values(extra: DataView): number[] {
  const values: number[] = [];
  for (let at = 0; at + 4 <= extra.byteLength;) {
    const id = extra.getUint16(at, true), length = extra.getUint16(at + 2, true);
    if (id === 1) {
      const end = Math.min(at + 4 + length, extra.byteLength);
      for (let i = at + 4; i + 8 <= end; i += 8) values.push(Number(extra.getBigUint64(i, true)));
    }
    at += 4 + length;
  }
  return values;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
