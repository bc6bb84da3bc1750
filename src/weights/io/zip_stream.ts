/**
 * The records of a zip archive in the order in which they lie there, without its directory, which is
 * at the end.
 *
 * Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.9.
 *
 * @module
 */

import { FileError } from "../../errors.ts";
import type { Extent } from "../layout.ts";
import { type ByteSource, readBytes } from "./source.ts";
import { shown } from "./quote.ts";
import { localSignature, recordFlaws } from "./zip.ts";

const descriptorSignature = 0x08074b50;

/** Records of unknown length are looked through for their end: only short ones. */
const mostSearched = 1 << 12;

/** A record of the archive. */
export interface ZipRecord extends Extent {
  readonly name: string;
}

/** How long a record is that `torch.save()` did not know the length of; undefined to look for its end. */
export type LengthOf = (name: string, start: number) => Promise<number | undefined>;

/** Goes from record to record. */
export class ZipStream {
  /** Where the next header is. */
  #at: () => Promise<number> = () => Promise.resolve(0);

  constructor(readonly source: ByteSource, readonly lengthOf: LengthOf) {}

  /**
   * The next record; undefined where the directory begins. Nothing behind its beginning has to be read.
   *
   * @throws {FileError} When it is compressed or encrypted, or its length is not what it should be.
   */
  async next(): Promise<ZipRecord | undefined> {
    const at = await this.#at();
    const header = await this.#view(at, 30);
    if (header.getUint32(0, true) !== localSignature) return undefined;
    const nameLength = header.getUint16(26, true);
    const name = new TextDecoder().decode(await readBytes(this.source, at + 30, nameLength));
    const flags = header.getUint16(6, true), method = header.getUint16(8, true);
    const flaw = recordFlaws(flags, method);
    if (flaw) throw this.#bad(name, flaw);

    const start = at + 30 + nameLength + header.getUint16(28, true);
    const known = await this.lengthOf(name, start);
    if ((flags & 8) === 0) { // no descriptor follows
      const length = header.getUint32(18, true);
      if (length !== (known ?? length)) {
        throw this.#bad(name, `has ${length} bytes, not ${known}: damaged`);
      }
      this.#at = () => Promise.resolve(start + length);
      return { name, start, length };
    }
    const length = known ?? await this.#search(name, start);
    this.#at = async () => start + length + await this.#descriptor(name, start + length, length);
    return { name, start, length };
  }

  /** How many bytes the descriptor takes that stands behind the content. */
  async #descriptor(name: string, at: number, length: number): Promise<number> {
    const size = descriptorSize(await this.#view(at, 24), 0, length);
    if (size === 0) throw this.#bad(name, `does not end after ${length} bytes: damaged`);
    return size;
  }

  /** The length of a record, from the descriptor that says the same. */
  async #search(name: string, start: number): Promise<number> {
    for (let most = 64; most <= mostSearched; most *= 4) {
      const bytes = await this.#view(start, Math.min(most + 24, this.source.size - start));
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
    return new FileError(this.source.name, `its entry ${shown(name)} ${why}`);
  }
}

/** 16 or 24 if a descriptor of so many bytes of content stands there, otherwise 0. */
function descriptorSize(bytes: DataView, at: number, length: number): number {
  if (bytes.getUint32(at, true) !== descriptorSignature) return 0;
  if (bytes.getBigUint64(at + 8, true) === BigInt(length)) return 24;
  return bytes.getUint32(at + 8, true) === length && bytes.getUint32(at + 12, true) === length
    ? 16
    : 0;
}
