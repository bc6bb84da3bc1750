/**
 * Reads the entries of a zip archive in file order, without the directory at its end.
 *
 * Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.9.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import { type ByteRange, type ByteSource, readBytes } from "./source.ts";
import { escapeText } from "./quote.ts";
import { localSignature, unsupportedReason } from "./zip.ts";

const descriptorSignature = 0x08074b50;

/** The end of an entry of unknown length is searched within so many bytes. */
const maxSearchBytes = 1 << 12;

/** An entry of the archive, and the range of its contents. */
interface ZipEntry extends ByteRange {
  readonly name: string;
}

/** Returns the length of an entry, from its name and offset; undefined if it is not known. */
type LengthLookup = (name: string, start: number) => Promise<number | undefined>;

/** Iterates over the entries of an archive. */
export class ZipStream {
  /** Finds the offset of the next header. Not called early: it may read past the contents. */
  #nextHeader: () => Promise<number> = () => Promise.resolve(0);

  constructor(readonly source: ByteSource, readonly lookUpLength: LengthLookup) {}

  /**
   * Finds the next entry without reading its contents; undefined where the directory begins.
   *
   * @throws {FileError} When it is compressed, encrypted or not as long as it should be.
   */
  async next(): Promise<ZipEntry | undefined> {
    const at = await this.#nextHeader();
    const header = await this.#view(at, 30);
    if (header.getUint32(0, true) !== localSignature) return undefined;
    const nameLength = header.getUint16(26, true);
    const name = new TextDecoder().decode(await readBytes(this.source, at + 30, nameLength));
    const flags = header.getUint16(6, true), method = header.getUint16(8, true);
    const unsupported = unsupportedReason(flags, method);
    if (unsupported) throw this.#bad(name, unsupported);

    const start = at + 30 + nameLength + header.getUint16(28, true);
    const known = await this.lookUpLength(name, start);
    if ((flags & 8) === 0) { // no descriptor follows
      const length = header.getUint32(18, true);
      if (length !== (known ?? length)) {
        throw this.#bad(name, `has ${length} bytes, not ${known}: damaged`);
      }
      this.#nextHeader = () => Promise.resolve(start + length);
      return { name, start, length };
    }
    const length = known ?? await this.#search(name, start);
    this.#nextHeader = async () =>
      start + length + await this.#readDescriptor(name, start + length, length);
    return { name, start, length };
  }

  /** The size of the data descriptor after the contents, which must state their length. */
  async #readDescriptor(name: string, at: number, length: number): Promise<number> {
    const size = descriptorSize(await this.#view(at, 24), 0, length);
    if (size === 0) throw this.#bad(name, `does not end after ${length} bytes: damaged`);
    return size;
  }

  /** Finds the length of an entry by searching for a data descriptor that states it. */
  async #search(name: string, start: number): Promise<number> {
    for (let size = 64; size <= maxSearchBytes; size *= 4) {
      const bytes = await this.#view(start, Math.min(size + 24, this.source.size - start));
      for (let length = 0; length + 24 <= bytes.byteLength; length++) {
        if (descriptorSize(bytes, length, length) > 0) return length;
      }
    }
    throw this.#bad(name, "does not end where it should: damaged");
  }

  async #view(at: number, length: number): Promise<DataView> {
    return new DataView((await readBytes(this.source, at, length)).buffer);
  }

  #bad(name: string, why: string): FileError {
    return new FileError(this.source.name, `its entry ${escapeText(name)} ${why}`);
  }
}

/** The size of a data descriptor that states this length, 16 or 24 bytes; 0 if there is none. */
function descriptorSize(bytes: DataView, at: number, length: number): number {
  if (bytes.getUint32(at, true) !== descriptorSignature) return 0;
  if (bytes.getBigUint64(at + 8, true) === BigInt(length)) return 24;
  return bytes.getUint32(at + 8, true) === length && bytes.getUint32(at + 12, true) === length
    ? 16
    : 0;
}
